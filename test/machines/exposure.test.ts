import { describe, expect, it } from 'vitest'
import { catalogue, definePipeline } from '../../src/app/compose.ts'
import { COUNTING } from '../../src/core/counting.ts'
import type { PlannedSignal } from '../../src/core/engine.ts'
import type { RunEvent } from '../../src/core/event.ts'
import { exposureOf } from '../../src/core/exposure.ts'
import { Journal, type JournalState } from '../../src/core/journal.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { defaultScript, scriptedRun } from '../fixtures/scripted-run.ts'

const pipelineWith = (own: object, ...arms: object[]) =>
  definePipeline({
    name: 'p',
    stages: [
      { id: 'draft', model: 'm', prompt: '{{ input }}', policy: own },
      { id: 'refine', model: 'm', prompt: 'Draft: {{ draft.output }}|Change: {{ interrupt.input }}', policy: own },
    ],
    experiment: { name: 'x', arms: [{ name: 'own' }, ...arms.map((arm, index) => ({ name: `arm ${index}`, ...arm }))] },
  })

async function run(pipeline: ReturnType<typeof pipelineWith>, signals: PlannedSignal[], arm = 'own') {
  const { finish, run, engine } = scriptedRun(pipeline, {
    script: defaultScript,
    signals,
    experiment: { name: 'x', arm, session: 's' },
  })
  const record = await finish()
  const events: RunEvent[] = []
  for await (const event of run.events) events.push(event)
  await engine.close()
  return { record, events, told: events.filter((event) => event.type === 'experiment-exposure') }
}

const signals: PlannedSignal[] = [75, 82, 95, 150, 400].map((afterMs, index) => ({ afterMs, input: `signal ${index}` }))
const parameters: Record<string, unknown> = { grace: 20, hold: { confirm: 40 } }

describe('a run is exposed once, at the first interrupt that its arms could answer differently', () => {
  for (const { name } of catalogue.responses) {
    for (const arm of ['own', 'arm 0']) {
      it(`whatever follows: ${name}, in ${arm}`, async () => {
        const response = { [name]: parameters[name] ?? null }
        const own = { response: name === 'drain' ? 'abort' : 'drain' }
        const { record, told } = await run(pipelineWith(own, { policy: { response } }), signals, arm)
        const [first] = record.interrupts
        expect(first).toMatchObject({ at: 75, from: 'draft' })
        expect(record.experiment).toEqual({ name: 'x', arm, session: 's', exposedMs: 75, counting: COUNTING })
        expect(told).toEqual([
          {
            ...{ seq: expect.any(Number), runId: record.runId, ms: 75, type: 'experiment-exposure' },
            ...{ stage: 'draft', callId: 'draft.1', interrupt: 1 },
            experiment: { name: 'x', arm },
          },
        ])
      })
    }
  }

  it('not at one that a filter refused', async () => {
    const policy = { trigger: { signal: null, minimum: { words: 3 } } }
    const { record, told } = await run(pipelineWith(policy, { policy: { ...policy, response: 'drain' } }), [
      { afterMs: 75, input: 'too short' },
      { afterMs: 95, input: 'long enough for it' },
    ])
    expect(record.interrupts.map(({ suppressed }) => suppressed)).toEqual([true, undefined])
    expect(record.experiment?.exposedMs).toBe(95)
    expect(told).toMatchObject([{ interrupt: 2 }])
  })

  it('not at a boundary where they do the same', async () => {
    const pipeline = pipelineWith({ response: 'abort' }, { stage: 'refine', policy: { response: 'drain' } })
    const early = await run(pipeline, [{ afterMs: 75 }])
    expect(early.record.interrupts).toHaveLength(1)
    expect(early.record.experiment).toEqual({ name: 'x', arm: 'own', session: 's', counting: COUNTING })
    expect(early.told).toEqual([])
    const late = await run(pipeline, [{ afterMs: 75 }, { stage: 'refine', afterMs: 60 }])
    expect(late.record.experiment?.exposedMs).toBe(late.record.interrupts[1]!.at)
    expect(late.told).toMatchObject([{ stage: 'refine', interrupt: 2 }])
  })

  it('not at all without an interrupt, and not for arms that do the same', async () => {
    const without = await run(pipelineWith({}, { policy: { response: 'drain' } }), [])
    expect([without.record.experiment?.exposedMs, without.told]).toEqual([undefined, []])
    const same = await run(pipelineWith({}, {}), signals)
    expect([same.record.experiment?.exposedMs, same.told]).toEqual([undefined, []])
  })
})

describe('arms that differ without an interrupt', () => {
  it('expose a run at the start of the stage, once, whatever the arm', async () => {
    for (const arm of ['own', 'arm 0']) {
      const pipeline = pipelineWith({ response: 'abort' }, { policy: { response: 'abort', trigger: { after: 70 } } })
      const { record, told } = await run(pipeline, [{ stage: 'refine', afterMs: 60, input: 'x' }], arm)
      expect(record.experiment?.exposedMs).toBe(record.stages[0]!.startMs)
      expect(told).toMatchObject([{ stage: 'draft', callId: 'draft.1' }])
      expect(told[0]).not.toHaveProperty('interrupt')
    }
  })

  it('do so only when that stage is reached, and not if an interrupt came before that', async () => {
    const pipeline = pipelineWith(
      { response: 'abort' },
      { stage: 'refine', policy: { response: 'abort', trigger: { after: 70 } } },
    )
    const { record, told } = await run(pipeline, [{ afterMs: 75 }])
    expect(record.experiment?.exposedMs).toBe(record.stages[1]!.startMs)
    expect(told).toMatchObject([{ stage: 'refine', callId: 'refine.1' }])
    const both = pipelineWith(
      { response: 'abort' },
      { policy: { response: 'drain' } },
      { stage: 'refine', policy: { response: 'abort', trigger: { after: 70 } } },
    )
    const first = await run(both, [{ afterMs: 75 }])
    expect(first.record.experiment?.exposedMs).toBe(75)
    expect(first.told).toHaveLength(1)
  })
})

it('tells the arm in run-start, and nothing there of a run that takes no part', async () => {
  const { events } = await run(pipelineWith({}, { policy: { response: 'drain' } }), [], 'arm 0')
  expect(events[0]).toMatchObject({ type: 'run-start', experiment: { name: 'x', arm: 'arm 0' } })
  const { experiment: _, ...plain } = pipelineWith({}, {})
  const { run: other, finish } = scriptedRun(plain)
  await finish()
  for await (const event of other.events) {
    expect(event).toEqual({
      ...{ seq: 1, runId: other.runId, ms: 0, type: 'run-start', pipeline: 'p', traceId: other.traceId },
    })
    break
  }
})

it('is found again by whoever goes on with the run', () => {
  const pipeline = pipelineWith({}, { policy: { response: 'drain' } })
  const identity = {
    runId: 'r',
    pipeline: 'p',
    trace: { traceId: '0'.repeat(32) },
    experiment: { name: 'x', arm: 'own' },
    exposing: pipeline.experiment!.boundaries,
  }
  const journal = new Journal(identity, new VirtualClock())
  journal.openCall({ callId: 'draft.1', stage: 'draft' } as Parameters<Journal['openCall']>[0])
  const interrupt = { fromCall: 'draft.1', trigger: 'signal', response: 'abort', carry: 'all', superseded: false }
  journal.interrupts.push({ ...interrupt, id: 1, at: 5 }, { ...interrupt, id: 2, at: 9 })
  const state = JSON.parse(JSON.stringify(journal.state)) as JournalState
  const again = new Journal(identity, new VirtualClock(), undefined, { state, events: [], texts: new Map() })
  expect(exposureOf(again)).toEqual(exposureOf(journal))
  expect(exposureOf(again)).toEqual({ at: 5, callId: 'draft.1', interrupt: 1 })
})
