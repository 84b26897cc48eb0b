import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CallRecord, RunRecord } from '../../src/core/record.ts'
import { spanCount } from '../../src/telemetry/run-spans.ts'
import { problemsOf } from '../fixtures/trace-checks.ts'
import { combinations, nameOf } from '../machines/combinations.ts'
import { play } from '../machines/played.ts'
import { scenarioOf } from '../machines/scenario.ts'
import { abortInterrupt, interruptedRun } from '../records.ts'
import { lengthOf, named, openWire, shapeOfRuns } from './sent.ts'

let wire: Awaited<ReturnType<typeof openWire>>
beforeAll(async () => {
  wire = await openWire()
})
afterAll(() => wire.close())

const ns = (ms: number): number => Math.round(ms * 1e6)
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000)

describe('the spans of any run', () => {
  it('are one tree with one ended span a call, and phases that are the record’s to the nanosecond', async () => {
    const chosen = Array.from({ length: 150 }, (_, index) => combinations[(seed + index * 1579) % combinations.length]!)
    const seen = new Set<string>()
    for (const [index, combination] of chosen.entries()) {
      await fc
        .assert(
          fc.asyncProperty(scenarioOf(combination), async (scenario) => {
            const { record } = await play(scenario)
            const spans = await wire.spansOf(record)
            expect(problemsOf(spans, shapeOfRuns)).toEqual([])
            expect(spans).toHaveLength(spanCount(record))
            const calls = spans.filter(({ kind }) => kind === 'client')
            expect(calls.map(({ attributes }) => attributes['caesura.call.id']).sort()).toEqual(
              record.stages.map(({ callId }) => callId).sort(),
            )
            for (const [at, { superseded, suppressed, phases, toFirstTokenMs }] of record.interrupts.entries()) {
              const own = spans.filter(
                ({ name, attributes }) =>
                  name === 'interrupt' && Number(attributes['caesura.interrupt.index']) === at + 1,
              )
              expect(own).toHaveLength(superseded || suppressed ? 0 : 1)
              if (own.length === 0) continue
              const lengths = spans.filter(({ parentSpanId }) => parentSpanId === own[0]!.spanId).map(lengthOf)
              expect(lengths).toEqual(phases.map(({ ms }) => ns(ms)))
              if (toFirstTokenMs !== undefined) expect(lengthOf(own[0]!)).toBe(ns(toFirstTokenMs))
            }
            for (const { settlement } of record.stages) seen.add(settlement)
          }),
          { seed: seed + index, numRuns: 2 },
        )
        .catch((cause: unknown) => {
          throw new Error(`${nameOf(combination)}: play it again with SEED=${seed}`, { cause })
        })
    }
    expect([...seen].sort()).toEqual(['aborted', 'completed', 'drained', 'failed', 'withdrawn'])
  }, 120_000)

  it('are the same ones each time that a record is sent', async () => {
    expect(await wire.spansOf(interruptedRun)).toEqual(await wire.spansOf(structuredClone(interruptedRun)))
  })
})

describe('what a search finds on the root', () => {
  it('policy, response, decision, settlement and time to the first token of the slowest interrupt, and the arm', async () => {
    const slower = { ...abortInterrupt, response: 'drain', decision: 'drain', toFirstTokenMs: 200, phases: [] }
    const [first, ...rest] = interruptedRun.stages
    const root = named(
      await wire.spansOf({
        ...interruptedRun,
        experiment: { name: 'cut-in', arm: 'b', session: 's1' },
        stages: [{ ...first!, policy: 'cut-in' }, ...rest],
        interrupts: [abortInterrupt, slower, { ...slower, superseded: true, toFirstTokenMs: 900 }],
      }),
      `invoke_workflow ${interruptedRun.pipeline}`,
    )
    expect(root.attributes).toMatchObject({
      'caesura.policy': 'cut-in',
      'caesura.response': 'drain',
      'caesura.decision': 'drain',
      'caesura.settlement': 'aborted',
      'caesura.interrupt.to_first_token_ms': 200,
      'feature_flag.key': 'cut-in',
      'feature_flag.result.variant': 'b',
      'feature_flag.result.reason': 'split',
      'feature_flag.context.id': 's1',
    })
    expect(root.events.map(({ name }) => name)).toEqual(['interrupt', 'interrupt', 'interrupt-superseded'])
    expect(root.parentSpanId).toBeUndefined()
  })

  it('that the arms could have differed, and when, once', async () => {
    const experiment = { name: 'cut-in', arm: 'b', session: 's1', exposedMs: 40 }
    const root = async (own: RunRecord['experiment']) =>
      named(await wire.spansOf({ ...interruptedRun, experiment: own }), `invoke_workflow ${interruptedRun.pipeline}`)
    const exposed = await root(experiment)
    expect(exposed.attributes['caesura.experiment.exposed']).toBe(true)
    expect(exposed.events.filter(({ name }) => name === 'experiment-exposure')).toEqual([
      {
        name: 'experiment-exposure',
        time: exposed.startTime + 40_000_000n,
        attributes: { 'feature_flag.key': 'cut-in', 'feature_flag.result.variant': 'b' },
      },
    ])
    const { exposedMs: _, ...unexposed } = experiment
    const other = await root(unexposed)
    expect(other.attributes).not.toHaveProperty('caesura.experiment.exposed')
    expect(other.events.filter(({ name }) => name === 'experiment-exposure')).toEqual([])
  })

  it('names no response where nothing was interrupted', async () => {
    const root = named(
      await wire.spansOf({ ...interruptedRun, interrupts: [] }),
      `invoke_workflow ${interruptedRun.pipeline}`,
    )
    expect(
      Object.keys(root.attributes).filter((name) => /response|decision|settlement|first_token/.test(name)),
    ).toEqual([])
  })
})

describe('the status of a span', () => {
  const ended = (call: Partial<CallRecord>): RunRecord => ({
    ...interruptedRun,
    stages: [{ ...interruptedRun.stages[0]!, ...call }, ...interruptedRun.stages.slice(1)],
  })
  const error = { code: 'CAESURA_E_STREAM_CUT', message: 'the answer broke off' }

  it('is unset, without error.type, for what was cancelled on purpose, even where its last line was a fault', async () => {
    for (const settlement of ['aborted', 'withdrawn'] as const) {
      const [call] = (await wire.spansOf(ended({ settlement, error }))).filter(({ kind }) => kind === 'client')
      expect(call).toMatchObject({ status: { code: 'unset' } })
      expect(call!.attributes['error.type']).toBeUndefined()
    }
  })

  it('is an error with its code for what failed, on the call, its stage and the run', async () => {
    const spans = await wire.spansOf({ ...ended({ settlement: 'failed', error }), outcome: 'failed', error })
    for (const name of ['chat caesura-demo-3m', 'stage draft', `invoke_workflow ${interruptedRun.pipeline}`]) {
      const [span] = spans.filter((candidate) => candidate.name === name)
      expect(span).toMatchObject({ status: { code: 'error' }, attributes: { 'error.type': error.code } })
    }
  })

  it('is unset for a run that was cancelled, which says why', async () => {
    const root = named(
      await wire.spansOf({ ...interruptedRun, outcome: 'cancelled', cancelReason: 'enough' }),
      `invoke_workflow ${interruptedRun.pipeline}`,
    )
    expect(root).toMatchObject({ status: { code: 'unset' }, attributes: { 'caesura.cancel.reason': 'enough' } })
  })
})

describe('a run in several processes', () => {
  const owner = (instance: string, fromMs: number) => ({
    service: 'caesura-pipelines',
    instance,
    clock: { offsetMs: 1, errorMs: 0.2 },
    fromMs,
  })
  const worker = { service: 'caesura-stages', instance: 'w', clock: { offsetMs: 4, errorMs: 0.3 } }

  it('names each process by its own resource, and the clocks’ difference and error on what crosses them', async () => {
    const spans = await wire.spansOf({
      ...interruptedRun,
      owners: [owner('one', 0)],
      stages: interruptedRun.stages.map((call) => ({ ...call, process: worker })),
    })
    expect(problemsOf(spans, shapeOfRuns)).toEqual([])
    for (const span of spans) {
      const service = span.kind === 'client' ? 'caesura-stages' : 'caesura-pipelines'
      expect(span.resource).toMatchObject({ 'service.name': service })
    }
    const settle = named(spans, 'phase settle')
    expect(settle.attributes['caesura.clock.offset_ms']).toBe(3)
    expect(settle.attributes['caesura.clock.error_ms']).toBeCloseTo(0.5)
    expect(named(spans, 'phase decide').attributes['caesura.clock.error_ms']).toBeUndefined()
    expect(spans.filter(({ name }) => name === 'host run')).toEqual([])
  })

  it('shows who hosted it, each later one linked to the one before, and says that it was resumed', async () => {
    const spans = await wire.spansOf({ ...interruptedRun, owners: [owner('one', 0), owner('two', 90)] })
    const [first, second] = spans
      .filter(({ name }) => name === 'host run')
      .sort((a, b) => Number(a.startTime - b.startTime))
    expect(first).toMatchObject({ resource: { 'service.instance.id': 'one' }, links: [] })
    expect(first!.endTime).toBe(second!.startTime)
    expect(second).toMatchObject({
      resource: { 'service.instance.id': 'two' },
      links: [{ spanId: first!.spanId }],
      attributes: { 'caesura.resumed': true },
    })
    const root = named(spans, `invoke_workflow ${interruptedRun.pipeline}`)
    expect(root).toMatchObject({ attributes: { 'caesura.resumed': true }, resource: { 'service.instance.id': 'two' } })
  })

  it('lies below the span that asked for it', async () => {
    const parentSpanId = 'b7ad6b7169203331'
    const spans = await wire.spansOf({ ...interruptedRun, parentSpanId, traceState: 'vendor=1' })
    expect(named(spans, `invoke_workflow ${interruptedRun.pipeline}`).parentSpanId).toBe(parentSpanId)
    expect(problemsOf(spans, { ...shapeOfRuns, remoteParents: [parentSpanId] })).toEqual([])
  })
})

describe('retries', () => {
  it('are calls of one stage, each linked to the one that failed, a lost worker marked', async () => {
    const [draft] = interruptedRun.stages
    const lost = { code: 'CAESURA_E_WORKER_LOST', message: 'gone' }
    const failed: CallRecord = {
      ...draft!,
      callId: 'draft.1',
      settlement: 'failed',
      error: lost,
      settledMs: 30,
      marks: [],
    }
    const again: CallRecord = { ...draft!, callId: 'draft.2', attempt: 2, retryOf: 'draft.1', settlement: 'completed' }
    const spans = await wire.spansOf({ ...interruptedRun, stages: [failed, again], interrupts: [] })
    expect(problemsOf(spans, shapeOfRuns)).toEqual([])
    const stage = named(spans, 'stage draft')
    const [one, two] = spans.filter(({ kind }) => kind === 'client')
    expect([one, two].map((call) => call!.parentSpanId)).toEqual([stage.spanId, stage.spanId])
    expect(two!.links).toMatchObject([{ spanId: one!.spanId }])
    expect(one!.attributes['caesura.worker.lost']).toBe(true)
    expect(stage).toMatchObject({ status: { code: 'unset' } })
    expect(Number(stage.attributes['caesura.stage.attempts'])).toBe(2)
  })
})

describe('what people wrote and models answered', () => {
  const secret = { input: 'my secret question', text: 'a secret answer' }
  const record: RunRecord = {
    ...interruptedRun,
    output: secret.text,
    stages: interruptedRun.stages.map((call) => ({ ...call, text: secret.text })),
    interrupts: [{ ...abortInterrupt, input: secret.input }],
  }
  const words = async (captureContent: boolean, longest = 1024) =>
    JSON.stringify(await wire.spansOf(record, { captureContent, longest }), (_, value) =>
      typeof value === 'bigint' ? String(value) : value,
    )

  it('is in no span', async () => {
    expect(await words(false)).not.toContain('secret')
  })

  it('is there where it is asked for, cut at the longest value', async () => {
    expect(await words(true)).toContain(secret.text)
    expect(await words(true)).toContain(secret.input)
    expect(await words(true, 5)).not.toContain('secret')
  })
})

it('an attribute that a policy or a fault made long is cut', async () => {
  const long = 'x'.repeat(100_000)
  const spans = await wire.spansOf({
    ...interruptedRun,
    outcome: 'failed',
    error: { code: 'CAESURA_E_SERVER', message: long },
    interrupts: [{ ...abortInterrupt, reason: long }],
  })
  for (const { attributes, status } of spans) {
    expect(status.message.length).toBeLessThanOrEqual(1024)
    for (const value of Object.values(attributes)) expect(String(value).length).toBeLessThanOrEqual(1024)
  }
})
