import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CallRecord, InterruptRecord, Phase, RunRecord } from '../../../src/core/record.ts'
import { alternativesOf } from '../../../src/records/explaining/alternatives.ts'
import { fullProbe } from '../../probes.ts'
import { abortInterrupt, draftAborted, interruptedRun, refineCompleted } from '../../records.ts'

type Marks = Readonly<Record<string, number>>
const marked = (call: CallRecord, marks: Marks): CallRecord => ({
  ...call,
  marks: Object.entries(marks).map(([name, ms]) => ({ name, ms })),
})
const observed = (phases: Partial<Record<Phase['name'], number>>): Phase[] =>
  Object.entries(phases).map(([name, ms]) => ({ name: name as Phase['name'], ms, source: 'observed' }))

/** A run whose interrupt at 60 ms has these phases. */
function runOf(
  phases: Phase[],
  {
    old = {},
    next = {},
    ...more
  }: { old?: Partial<CallRecord>; next?: Partial<CallRecord> } & Partial<InterruptRecord> = {},
): RunRecord {
  const toFirstTokenMs = phases.reduce((sum, { ms }) => sum + ms, 0)
  return {
    ...interruptedRun,
    stages: [
      { ...draftAborted, ...old },
      { ...refineCompleted, ...next },
    ],
    interrupts: [{ ...abortInterrupt, ...more, phases, toFirstTokenMs }],
  }
}
const told = (run: RunRecord, beside = {}) =>
  alternativesOf(run.interrupts[0]!, run, { records: [], ...beside }).alternatives
const unknown = (run: RunRecord, beside = {}) =>
  alternativesOf(run.interrupts[0]!, run, { records: [], ...beside }).unknown

const drainedMarks = { 'call-start': 0.2, 'slot-acquired': 1, 'first-token': 20, 'slot-released': 147, settled: 147 }
const drained = { ...marked(draftAborted, drainedMarks), settlement: 'drained' as const, settledMs: 147 }
/** A run in which a call like `draft` was cancelled, and its slot was free `lag` ms later. */
const cancelled = (lag: number, more: Partial<CallRecord> = {}): RunRecord => ({
  ...interruptedRun,
  stages: [
    {
      ...marked(draftAborted, { 'slot-acquired': 1, 'first-token': 20, 'abort-requested': 60, settled: 60 + lag }),
      ...more,
    },
  ],
})
const drain = runOf(observed({ drain: 87, prefill: 38 }), { old: drained, response: 'drain', decision: 'drain' })

describe('an abort instead of a drain', () => {
  it('saves the drain less the median of three recorded cancels, and wastes slot time at most up to then', () => {
    expect(told(drain, { records: [cancelled(7), cancelled(50), cancelled(5)] })).toEqual([
      {
        kind: 'abort',
        phase: 'drain',
        savedMs: 80,
        lag: { ms: 7, source: 'records', n: 3, node: 'embedded', model: 'caesura-demo-3m', during: 'decoding' },
        wastedSlotMs: 66,
      },
    ])
  })

  it('is not known from two, nor from cancels of another model, node or backend, nor of calls that did not decode', () => {
    const like = [cancelled(7), cancelled(7)]
    const others = [{ model: 'm' }, { node: 'gpu-1' }, { backend: 'ollama' }, { firstTokenMs: 100 }]
    const records = [...like, ...others.map((other) => cancelled(7, other))]
    expect(told(drain, { records })).toEqual([])
    expect(unknown(drain, { records })).toEqual([
      { kind: 'abort', node: 'embedded', model: 'caesura-demo-3m', during: 'decoding', n: 2 },
    ])
  })

  it('is told from a probe where records are too few, or where the probe says that it takes longer', () => {
    const probe = () => fullProbe
    expect(told(drain, { probe })).toMatchObject([{ savedMs: 79.4, lag: { source: 'probe', ms: 7.6, n: 5 } }])
    const records = [cancelled(1), cancelled(1), cancelled(1)]
    expect(told(drain, { probe, records })).toMatchObject([{ lag: { source: 'probe' } }])
  })

  it('saves nothing where a cancel takes longer than the drain', () => {
    expect(told(drain, { records: [cancelled(90), cancelled(90), cancelled(90)] })).toMatchObject([{ savedMs: 0 }])
  })

  it('is not told by closed connections while a server reads a prompt: it may read on', () => {
    const { firstTokenMs: _, ...early } = draftAborted
    const old = { ...early, ...drained, backend: 'ollama', firstTokenMs: 100 }
    const run = runOf(observed({ drain: 87, prefill: 38 }), { old })
    const marks = [{ 'slot-acquired': 1, 'abort-requested': 60, settled: 61 }]
    const cut = (more: Marks = {}) => ({
      ...cancelled(0),
      stages: marks.map((each) => marked({ ...early, backend: 'ollama' }, { ...each, ...more })),
    })
    expect(told(run, { records: [cut(), cut(), cut()] })).toEqual([])
    const witnessed = cut({ 'slot-free': 100 })
    expect(told(run, { records: [witnessed, witnessed, witnessed] })).toMatchObject([{ savedMs: 47, lag: { ms: 40 } }])
  })

  it('is an upper bound where something was done ahead during the drain', () => {
    const warmed = { model: 'm', outcome: 'loaded' as const }
    const run = runOf(observed({ drain: 87, prefill: 38 }), { old: { ...drained, warmed } })
    expect(told(run, { probe: () => fullProbe })).toMatchObject([{ kind: 'abort', atMost: true }])
  })

  it('wastes nothing that is known of where all is carried', () => {
    const run = runOf(observed({ drain: 87, prefill: 38 }), { old: drained, carry: 'all' })
    expect(told(run, { probe: () => fullProbe })[0]).not.toHaveProperty('wastedSlotMs')
  })
})

describe('an abort at once instead of a later one', () => {
  const late = { 'slot-acquired': 1, 'first-token': 20, 'abort-requested': 100, settled: 110 }
  it('saves the drain: the cancel that came shows what one takes', () => {
    const run = runOf(observed({ drain: 40, settle: 10, prefill: 38 }), { old: marked(draftAborted, late) })
    expect(told(run)).toEqual([{ kind: 'abort', phase: 'drain', savedMs: 40, ownLagMs: 10 }])
  })

  it('needs other evidence where the call was doing something else at the interrupt', () => {
    const old = { ...marked(draftAborted, { ...late, 'first-token': 80 }), firstTokenMs: 80 }
    const run = runOf(observed({ drain: 40, settle: 10, prefill: 38 }), { old })
    expect(told(run)).toEqual([])
    const slow = { ...fullProbe, slotFreeAfterAbortMs: { prefill: { p50: 30, p95: 30, n: 5 } } }
    expect(told(run, { probe: () => slow })).toMatchObject([{ savedMs: 20, lag: { ms: 30 } }])
  })
})

describe('an overlap instead of an abort', () => {
  const phases = observed({ settle: 20, prefill: 38 })
  it('is not told where one slot is all that the record shows', () => {
    expect(told(runOf(phases))).toEqual([])
  })

  it('hides the cancel at most, where the next call ran on another node and had a slot at once', () => {
    expect(told(runOf(phases, { next: { node: 'gpu-2' } }))).toEqual([
      { kind: 'overlap', phase: 'settle', savedMs: 20, atMost: true, evidence: 'other-node', node: 'gpu-2' },
    ])
    const waited = runOf(observed({ settle: 20, slot: 20, prefill: 38 }), { next: { node: 'gpu-2' } })
    expect(told(waited).map(({ kind }) => kind)).toEqual(['free-slot'])
  })

  it('… or where two calls of the run held slots of the node at once', () => {
    const run = runOf(phases)
    const other = marked({ ...draftAborted, callId: 'x' }, { 'slot-acquired': 50, 'slot-released': 65 })
    expect(told({ ...run, stages: [...run.stages, other] })).toMatchObject([{ evidence: 'two-calls-at-once' }])
  })
})

describe('what the next call waited for', () => {
  it('a slot: names the call of this run that held it', () => {
    const next = marked(refineCompleted, { 'call-start': 60, 'slot-acquired': 70 })
    expect(told(runOf(observed({ slot: 10, prefill: 38 }), { next }))).toEqual([
      { kind: 'free-slot', phase: 'slot', savedMs: 10, atMost: true, holder: 'draft' },
    ])
  })

  it('a new connection: as long as opening it took', () => {
    const next = marked(refineCompleted, { 'connect-start': 72, connected: 77 })
    expect(told(runOf(observed({ connect: 6, prefill: 38 }), { next }))).toEqual([
      { kind: 'open-connection', phase: 'connect', savedMs: 5 },
    ])
  })

  it('a load: hidden by warm where the call before ran as long and another node had a slot', () => {
    const phases = observed({ load: 50, prefill: 38 })
    const elsewhere = { model: 'large', node: 'gpu-2' }
    expect(told(runOf(phases, { next: elsewhere }))).toMatchObject([{ kind: 'warm-load', savedMs: 50, ranMs: 59 }])
    const silent = [
      runOf(observed({ load: 70, prefill: 38 }), { next: elsewhere }),
      runOf(phases, { next: { model: 'large' } }),
      runOf(phases, { next: { node: 'gpu-2' } }),
      runOf(phases, { next: elsewhere, old: { warmed: { model: 'large', outcome: 'skipped' } } }),
    ]
    expect(silent.flatMap((run) => told(run))).toEqual([])
  })

  it('what is too short to matter has no line', () => {
    expect(told(runOf(observed({ slot: 0.9, prefill: 10 })))).toEqual([])
    expect(told(runOf(observed({ slot: 5, prefill: 1000 })))).toEqual([])
  })
})

it('says nothing of an interrupt without a first token, nor after a failed call', () => {
  const { toFirstTokenMs: _, ...interrupt } = drain.interrupts[0]!
  expect(told({ ...drain, interrupts: [interrupt] }, { probe: () => fullProbe })).toEqual([])
  const failed = runOf(observed({ drain: 87 }), { old: { ...drained, settlement: 'failed' } })
  expect(told(failed, { probe: () => fullProbe })).toEqual([])
})

it('a saving is never negative, and never more than the phase that it comes from', () => {
  const ms = fc.double({ min: 0, max: 200, noNaN: true })
  const names = [
    'slot-acquired',
    'connect-start',
    'connected',
    'abort-requested',
    'slot-free',
    'slot-released',
  ] as const
  const call = fc.record({
    node: fc.constantFrom('embedded', 'gpu-2'),
    model: fc.constantFrom('caesura-demo-3m', 'large'),
    backend: fc.constantFrom('llama-cpp', 'ollama'),
    settlement: fc.constantFrom('completed' as const, 'drained' as const, 'aborted' as const),
    marks: fc
      .tuple(ms, fc.array(fc.record({ name: fc.constantFrom(...names), ms }), { maxLength: 8 }))
      .map(([settled, marks]) => [...marks, { name: 'settled', ms: settled }]),
  })
  /** Those that an alternative may save, and one that none does. */
  const savable = ['drain', 'settle', 'slot', 'queue', 'connect', 'load', 'unattributed'] as const
  const phases = fc
    .tuple(fc.subarray([...savable]), fc.array(ms, { minLength: savable.length, maxLength: savable.length }))
    .map(([some, lengths]) => some.map((name, index) => ({ name, ms: lengths[index]!, source: 'observed' as const })))
  const lags = fc.array(ms, { maxLength: 5 })
  const met: Set<string> = new Set()
  fc.assert(
    fc.property(call, call, phases, ms, lags, fc.boolean(), (old, next, split, at, cancels, hasProbe) => {
      const run = runOf(split, { old, next, at })
      const like = { node: old.node, model: old.model, backend: old.backend }
      const records = cancels.map((lag) => cancelled(lag, like))
      for (const { kind, phase, savedMs } of told(run, { records, ...(hasProbe && { probe: () => fullProbe }) })) {
        met.add(kind)
        expect(savedMs).toBeGreaterThanOrEqual(0)
        expect(savedMs).toBeLessThanOrEqual(split.find(({ name }) => name === phase)!.ms)
      }
    }),
    { numRuns: 2_000, seed: 1 },
  )
  // The property has met each of them.
  expect([...met].toSorted()).toEqual(['abort', 'free-slot', 'free-worker', 'open-connection', 'overlap', 'warm-load'])
})
