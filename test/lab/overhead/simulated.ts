import type { CallRecord, InterruptRecord, RunRecord } from '../../../src/core/record.ts'
import type { Execution } from '../../../src/core/trial.ts'
import { cellsFor } from '../../../src/lab/overhead/cells.ts'
import { type CellPlan, type OverheadDesign, transports } from '../../../src/lab/overhead/design.ts'

/** What an engine and its server cost, ms. */
export interface Costs {
  /** Request → first token in-process, prompt known. */
  readonly firstToken: number
  /** More of it over HTTP: on the wire, and before the slot is asked for. */
  readonly transport: number
  readonly preparation: number
  readonly connection: number
  readonly prefill: number
  readonly load: number
  /** Request → end of the first stage, without what HTTP costs. */
  readonly firstStage: number
  /** How long an aborted call holds its slot. */
  readonly abortLag: number
  /** What a whole block is slower than the first one. */
  readonly drift: number
}

export const usualCosts: Costs = {
  ...{ firstToken: 2, transport: 1, preparation: 0.2, connection: 0.7, prefill: 30, load: 90 },
  ...{ firstStage: 190, abortLag: 0.5, drift: 3 },
}

const TOKENS = 200

export const designOf = (blocks: number, quick = true, url?: string): OverheadDesign => ({
  kind: 'overhead/1',
  ...{ quick, model: 'model', seed: 7, system: 'system', prompt: 'prompt', maxTokens: TOKENS, shortTokens: 4 },
  firstStageMs: { 'in-process': 190, http: 190, ...(url !== undefined && { ollama: 190 }) },
  longPrefillMs: 200,
  replicationMs: { early: 100, late: 500 },
  cells: url === undefined ? cellsFor(['in-process', 'http'], quick) : cellsFor(transports, quick, 'ollama'),
  ...(url !== undefined && { answersFor: 'ollama' }),
  ...{
    blocks,
    budgetMs: 60_000,
    servers: [
      ...[{ name: 'in-process', version: '3' }, { name: 'embedded server' }],
      ...(url === undefined ? [] : [{ name: 'ollama', address: url }]),
    ],
    skipped: [],
  },
})

export const executionOf = (design: OverheadDesign): Execution => ({
  ...{ experiment: 'overhead', execution: 'e-1', digest: 'd', design },
  startedAt: '2026-11-25T10:00:00.000Z',
  ended: { at: '2026-11-25T10:00:40.000Z', how: 'complete' },
})

/** The records of all blocks as such a server would leave them, without a trace of noise but the drift between blocks. */
export function simulated(design: OverheadDesign, costs: Costs): RunRecord[] {
  let trial = 0
  return Array.from({ length: design.blocks }, (_, block) =>
    design.cells.flatMap((cell) =>
      Array.from({ length: cell.repeat }, (_, repeat) => {
        const drift = costs.drift * block
        const record =
          cell.handoff === 'none'
            ? alone(cell, costs, drift)
            : pair(cell, costs, drift, (repeat + 0.2 + 0.3 * (block % 3)) / 3)
        const experiment = { name: 'overhead', execution: 'e-1', arm: cell.id, block, session: `block-${block}`, trial }
        return { ...record, runId: `run-${trial++}`, experiment }
      }),
    ),
  ).flat()
}

const isHttp = ({ transport }: CellPlan) => transport !== 'in-process'

const requestMs = (cell: CellPlan, costs: Costs, drift: number): number =>
  costs.firstToken +
  drift +
  (isHttp(cell) ? costs.transport + costs.preparation : 0) +
  (cell.connection === 'fresh' ? costs.connection : 0) +
  (cell.prefix === 'unique' ? costs.prefill : 0) +
  (cell.load === 'cold' ? costs.load : 0)

function alone(cell: CellPlan, costs: Costs, drift: number): RunRecord {
  const firstTokenMs = requestMs(cell, costs, drift)
  const tokens = cell.answer === 'whole' ? TOKENS : 4
  const doneMs = firstTokenMs + (cell.answer === 'whole' ? costs.firstStage - costs.firstToken : 2)
  const call = callOf('first', 0, firstTokenMs, doneMs, tokens)
  return recordOf([
    { ...call, ...(isHttp(cell) && { server: { totalMs: doneMs - costs.transport, loadMs: costs.preparation } }) },
  ])
}

function pair(cell: CellPlan, costs: Costs, drift: number, share: number): RunRecord {
  const first = costs.firstStage + drift + (isHttp(cell) ? costs.transport + costs.preparation : 0)
  const at = cell.interrupt === 'at 100 ms' ? 100 : cell.interrupt === 'uniform' ? first * share : first / 2
  const rest = first - at
  const waits: Record<string, number> = {
    drain: rest,
    'abort and wait': costs.abortLag,
    'abort and fire': costs.abortLag,
    'fire without abort': cell.slots > 1 ? 0 : rest,
  }
  const wait = waits[cell.handoff] ?? 0
  const second = requestMs({ ...cell, connection: 'none' }, costs, drift)
  const name = cell.handoff === 'drain' ? 'drain' : cell.handoff === 'abort and wait' ? 'settle' : 'server-queue'
  const interrupt: InterruptRecord = {
    ...{ at, from: 'first', fromCall: 'first.1.1', to: 'second', toCall: 'second.1.1', trigger: 'signal' },
    ...{ response: 'drain', decision: 'drain', reason: 'r', carry: 'none', superseded: false },
    toFirstTokenMs: wait + second,
    phases: [
      ...(wait > 0 ? [{ name, ms: wait, source: 'observed' } as const] : []),
      { name: 'unattributed', ms: second, source: 'observed' },
    ],
  }
  const reachedMs = at + wait + second
  return recordOf(
    [callOf('first', 0, second, at + wait, TOKENS), callOf('second', at + wait, reachedMs, reachedMs + 2, 4)],
    [interrupt],
  )
}

function callOf(id: string, startMs: number, firstTokenMs: number, doneMs: number, generated: number): CallRecord {
  return {
    ...{ id, callId: `${id}.1.1`, attempt: 1, model: 'model', settlement: 'completed', finishReason: 'length' },
    text: 'said',
    tokens: { prompt: 81, generated, delivered: 0, wasted: 0 },
    ...{ startMs, firstTokenMs, lastTokenMs: doneMs, settledMs: doneMs, slotMs: doneMs - startMs, wastedSlotMs: 0 },
    marks: [
      { name: 'call-start', ms: startMs },
      { name: 'slot-acquired', ms: startMs },
      { name: 'first-token', ms: firstTokenMs },
      { name: 'done', ms: doneMs },
    ],
  }
}

function recordOf(stages: CallRecord[], interrupts: InterruptRecord[] = []): RunRecord {
  return {
    ...{ schema: 'caesura.record/1', runId: '', pipeline: 'p', traceId: '0af7651916cd43dd8448eb211c80319c' },
    ...{ outcome: 'completed', startedAt: '2026-11-25T10:00:00.000Z', durationMs: stages.at(-1)!.settledMs },
    ...{ stages, interrupts, cost: { generatedTokens: 1, wastedTokens: 0, slotMs: 1, wastedSlotMs: 0 } },
  }
}

/** The same runs on a machine that is so busy that all that follows an interrupt or a request takes `factor()` times as long. */
export const busy = (records: readonly RunRecord[], factor: () => number): RunRecord[] =>
  records.map((record) => {
    const by = factor()
    const longer = <T extends { readonly ms: number }>(each: T): T => ({ ...each, ms: each.ms * by })
    return {
      ...record,
      stages: record.stages.map((call) => ({ ...call, marks: call.marks.map(longer) })),
      interrupts: record.interrupts.map((each) => ({
        ...each,
        toFirstTokenMs: each.toFirstTokenMs! * by,
        phases: each.phases.map(longer),
      })),
    }
  })

/** The same run, broken off before any token. */
export function lost(record: RunRecord): RunRecord {
  const error = { code: 'CAESURA_E_CONNECTION', message: 'gone' }
  const stages = record.stages.slice(0, 1).map(({ firstTokenMs: _, lastTokenMs: __, server: ___, ...call }) => ({
    ...call,
    ...{ settlement: 'failed' as const, error, marks: call.marks.slice(0, 1) },
  }))
  const interrupts = record.interrupts.map(({ toFirstTokenMs: _, ...interrupt }) => ({ ...interrupt, phases: [] }))
  return { ...record, outcome: 'failed', error, stages, interrupts }
}
