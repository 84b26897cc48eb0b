import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Labels } from '../../../src/core/figures.ts'
import type { RunRecord } from '../../../src/core/record.ts'
import { metricTable, type RunMetricName } from '../../../src/telemetry/metric-table.ts'
import { measureRun } from '../../../src/telemetry/metrics/run-measurements.ts'
import { combinations, nameOf } from '../../machines/combinations.ts'
import { play } from '../../machines/played.ts'
import { scenarioOf } from '../../machines/scenario.ts'
import { abortInterrupt, draftAborted, interruptedRun, refineCompleted } from '../../records.ts'

interface Measured {
  readonly name: RunMetricName
  readonly value: number
  readonly labels: Labels
}

const measured = (record: RunRecord): Measured[] => {
  const found: Measured[] = []
  measureRun(record, (name, value, labels) => found.push({ name, value, labels }))
  return found
}
const of = (found: readonly Measured[], name: RunMetricName) => found.filter((each) => each.name === name)
const sum = (found: readonly Measured[]) => found.reduce((total, { value }) => total + value, 0)
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000)

describe('what any run adds to the figures', () => {
  it('has each call and each interrupt once, adds up to the record, and has no zero for what never was', async () => {
    const seen = new Set<string>()
    const chosen = Array.from({ length: 80 }, (_, index) => combinations[(seed + index * 1579) % combinations.length]!)
    for (const [index, combination] of chosen.entries()) {
      await fc
        .assert(
          fc.asyncProperty(scenarioOf(combination), async (scenario) => {
            const { record } = await play(scenario)
            check(record)
            for (const { settlement } of record.stages) seen.add(settlement)
            for (const { suppressed, superseded } of record.interrupts)
              seen.add(suppressed ? 'suppressed' : superseded ? 'superseded' : 'handled')
          }),
          { seed: seed + index, numRuns: 3 },
        )
        .catch((cause: unknown) => {
          throw new Error(`${nameOf(combination)}: play it again with SEED=${seed}`, { cause })
        })
    }
    for (const each of ['aborted', 'completed', 'drained', 'failed', 'withdrawn', 'superseded', 'handled'])
      expect(seen).toContain(each)
  }, 120_000)

  function check(record: RunRecord): void {
    const found = measured(record)
    const { stages, interrupts, cost } = record
    for (const { name, value, labels } of found) {
      expect(value).toBeGreaterThanOrEqual(0)
      for (const label of Object.keys(labels)) expect(metricTable[name].labels).toContain(label)
      for (const value of Object.values(labels)) expect(value).not.toContain(record.runId)
    }
    expect(of(found, 'gen_ai.workflow.duration')).toHaveLength(1)

    const calls = of(found, 'gen_ai.client.operation.duration')
    expect(calls.map(({ labels }) => labels['caesura.settlement'])).toEqual(stages.map((call) => call.settlement))
    for (const { labels } of calls) expect('error.type' in labels).toBe(labels['caesura.settlement'] === 'failed')
    expect(of(found, 'gen_ai.client.operation.time_to_first_chunk')).toHaveLength(
      stages.filter(({ firstTokenMs }) => firstTokenMs !== undefined).length,
    )

    expect(sum(of(found, 'caesura.tokens.generated'))).toBe(cost.generatedTokens)
    expect(sum(of(found, 'caesura.tokens.wasted'))).toBe(cost.wastedTokens)
    expect(sum(of(found, 'caesura.slot.held'))).toBeCloseTo(cost.slotMs / 1000, 9)
    expect(sum(of(found, 'caesura.slot.wasted'))).toBeCloseTo(cost.wastedSlotMs / 1000, 9)
    const output = of(found, 'gen_ai.client.token.usage').filter(
      ({ labels }) => labels['gen_ai.token.type'] === 'output',
    )
    expect(sum(output)).toBe(cost.generatedTokens)

    expect(of(found, 'caesura.interrupts')).toHaveLength(interrupts.length)
    const answered = interrupts.filter(
      ({ suppressed, superseded, toFirstTokenMs }) => !suppressed && !superseded && toFirstTokenMs !== undefined,
    )
    const lengths = of(found, 'caesura.interrupt.to_first_token')
    expect(lengths.map(({ value }) => value)).toEqual(answered.map(({ toFirstTokenMs = 0 }) => toFirstTokenMs / 1000))
    expect(sum(of(found, 'caesura.interrupt.phase'))).toBeCloseTo(sum(lengths), 9)
  }
})

describe('a call', () => {
  const one = (call: Partial<RunRecord['stages'][number]>) =>
    measured({ ...interruptedRun, interrupts: [], stages: [{ ...draftAborted, ...call }] })

  it('that was aborted is in the histograms with its tokens and its length', () => {
    const found = one({})
    expect(of(found, 'gen_ai.client.operation.duration')).toEqual([
      {
        name: 'gen_ai.client.operation.duration',
        value: 0.069,
        labels: {
          'gen_ai.operation.name': 'chat',
          'gen_ai.provider.name': 'llama-cpp',
          'gen_ai.request.model': 'caesura-demo-3m',
          'caesura.settlement': 'aborted',
        },
      },
    ])
    expect(of(found, 'gen_ai.client.operation.time_to_first_chunk')).toMatchObject([
      { value: 0.019, labels: { 'caesura.node': 'embedded' } },
    ])
    expect(of(found, 'gen_ai.client.operation.time_per_output_chunk')[0]!.value).toBeCloseTo(0.04 / 11, 12)
    expect(
      of(found, 'gen_ai.client.token.usage').map(({ value, labels }) => [labels['gen_ai.token.type'], value]),
    ).toEqual([
      ['input', 40],
      ['output', 12],
    ])
  })

  it('that was cut off before its first token has a length, and neither a time to a token nor an output of 0', () => {
    const { firstTokenMs: _, lastTokenMs: __, ...cut } = draftAborted
    const found = measured({
      ...interruptedRun,
      interrupts: [],
      stages: [{ ...cut, tokens: { generated: 0, delivered: 0, wasted: 0 } }],
    })
    expect(of(found, 'gen_ai.client.operation.duration')).toMatchObject([{ value: 0.069 }])
    for (const name of ['time_to_first_chunk', 'time_per_output_chunk'] as const)
      expect(of(found, `gen_ai.client.operation.${name}`)).toEqual([])
    expect(of(found, 'gen_ai.client.token.usage')).toEqual([])
  })

  it('without a slot begins where it was started, on no node', () => {
    const { node: _, backend: __, ...placeless } = draftAborted
    const call = { ...placeless, settlement: 'withdrawn' as const, marks: [], slotMs: 0, wastedSlotMs: 0 }
    const found = measured({ ...interruptedRun, interrupts: [], stages: [call] })
    expect(of(found, 'gen_ai.client.operation.duration')).toMatchObject([
      { value: 0.0698, labels: { 'gen_ai.provider.name': 'unknown', 'caesura.settlement': 'withdrawn' } },
    ])
  })

  it('has error.type where it failed, and nowhere else, even where its last line was a fault', () => {
    const error = { code: 'CAESURA_E_STREAM_CUT', message: 'cut' }
    const typeOf = (found: readonly Measured[]) =>
      of(found, 'gen_ai.client.operation.duration')[0]!.labels['error.type']
    expect(typeOf(one({ settlement: 'failed', error }))).toBe('CAESURA_E_STREAM_CUT')
    expect(typeOf(one({ settlement: 'aborted', error }))).toBeUndefined()
  })

  it('whose tokens came all at once says nothing of the time between them', () => {
    const found = one({ firstTokenMs: 60, lastTokenMs: 60 })
    expect(of(found, 'gen_ai.client.operation.time_per_output_chunk')).toEqual([])
  })
})

describe('an interrupt', () => {
  const of3 = (interrupts: RunRecord['interrupts']) => measured({ ...interruptedRun, interrupts })
  const { toFirstTokenMs: _, to: __, toCall: ___, ...unanswered } = abortInterrupt

  it('without a next first token is counted, by the model that was interrupted, and has no length', () => {
    const found = of3([{ ...unanswered, decision: 'none', phases: [] }])
    expect(of(found, 'caesura.interrupts').map(({ labels }) => labels)).toEqual([
      {
        'caesura.interrupt.fate': 'handled',
        'caesura.response': 'abort',
        'caesura.decision': 'none',
        'gen_ai.request.model': 'caesura-demo-3m',
      },
    ])
    expect(of(found, 'caesura.interrupt.to_first_token')).toEqual([])
    expect(of(found, 'caesura.interrupt.phase')).toEqual([])
  })

  it('that was refused or taken over is counted as that', () => {
    const found = of3([
      { ...unanswered, suppressed: true, phases: [] },
      { ...unanswered, superseded: true, phases: [] },
      abortInterrupt,
    ])
    expect(of(found, 'caesura.interrupts').map(({ labels }) => labels['caesura.interrupt.fate'])).toEqual([
      'suppressed',
      'superseded',
      'handled',
    ])
  })

  it('is measured by the model that was waited for', () => {
    const found = measured({ ...interruptedRun, stages: [draftAborted, { ...refineCompleted, model: 'large' }] })
    expect(of(found, 'caesura.interrupt.to_first_token')).toMatchObject([
      { value: 0.1, labels: { 'gen_ai.request.model': 'large' } },
    ])
  })
})

it('counts a run that took part in an experiment once, by whether it was exposed, and no other', () => {
  const took = (experiment: RunRecord['experiment']) =>
    of(measured({ ...interruptedRun, experiment }), 'caesura.experiment.runs')
  const labels = (exposed: string) => ({
    ...{ 'feature_flag.key': 'x', 'feature_flag.result.variant': 'a', 'caesura.experiment.exposed': exposed },
  })
  const name = 'caesura.experiment.runs'
  expect(took({ name: 'x', arm: 'a', exposedMs: 3 })).toEqual([{ name, value: 1, labels: labels('true') }])
  expect(took({ name: 'x', arm: 'a' })).toEqual([{ name, value: 1, labels: labels('false') }])
  expect(of(measured(interruptedRun), name)).toEqual([])
})
