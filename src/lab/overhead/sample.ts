import { msToNs } from '../../core/clock.ts'
import type { MarkName } from '../../core/ledger.ts'
import { interruptPhases } from '../../core/phases.ts'
import { present } from '../../core/present.ts'
import type { CallRecord, PhaseName, RunRecord } from '../../core/record.ts'
import { trialOf } from '../../core/trial.ts'
import type { CellPlan } from './design.ts'

/** What one trial says. Times in ms; what was not observed is absent. */
export interface Sample {
  readonly cell: CellPlan
  readonly block: number
  /** Interrupt → first token of the second stage; request → first token where nothing was interrupted. */
  readonly firstTokenMs?: number
  /** Phases of that time. */
  readonly phases: Readonly<Partial<Record<PhaseName, number>>>
  /** When the interrupt came, from the start of the first call; absent where it came too late to interrupt it. */
  readonly sinceCallMs?: number
  /** Of a call that nothing interrupted: request → its last line. */
  readonly callMs?: number
  /** The same less the server's own total. */
  readonly beyondServerMs?: number
  /** What the server reports as its preparation of such a call. */
  readonly serverLoadMs?: number
  readonly generated: number
  readonly promptTokens?: number
  readonly text?: string
  /** There is no first token: the call failed, or the run was stopped. */
  readonly lost: boolean
}

export function sampleOf(record: RunRecord, cell: CellPlan): Sample {
  const { stages, experiment, outcome } = record
  const [first] = stages
  const interrupt = trialOf(record)?.interrupts[0]
  const alone = stages.length === 1 && interrupt === undefined && outcome === 'completed' ? first : undefined
  const request = requestPhases(alone)
  const common = {
    cell,
    block: experiment?.block ?? 0,
    generated: first?.tokens.generated ?? 0,
    ...present({ promptTokens: first?.tokens.prompt, text: first?.text, sinceCallMs: interrupt?.sinceCallMs }),
  }
  const firstTokenMs = interrupt === undefined ? request?.toFirstTokenMs : interrupt.toFirstTokenMs
  if (firstTokenMs === undefined) return { ...common, phases: {}, lost: !tooLate(record) }
  const phases = interrupt?.phases ?? Object.fromEntries((request?.phases ?? []).map(({ name, ms }) => [name, ms]))
  return { ...common, firstTokenMs, phases, ...(alone !== undefined && wholeCall(alone)), lost: false }
}

/** The first stage had ended when the interrupt was due: the trial says nothing, and nothing was lost. */
const tooLate = ({ outcome, interrupts, stages }: RunRecord) =>
  outcome === 'completed' && interrupts.length === 0 && stages.length > 1

const markOf = (call: CallRecord, wanted: MarkName): number | undefined =>
  call.marks.find(({ name }) => name === wanted)?.ms

/** Request → first token, split as an interrupt's time is: as if the interrupt had come with the request. */
function requestPhases(call: CallRecord | undefined) {
  if (call === undefined) return undefined
  const { totalMs, loadMs, prefillMs, decodeMs, unused } = call.server ?? {}
  const at = (ms: number | undefined) => (ms === undefined ? undefined : msToNs(ms))
  const server = { totalNs: at(totalMs), loadNs: at(loadMs), prefillNs: at(prefillMs), decodeNs: at(decodeMs) }
  const known = Object.fromEntries(Object.entries(server).filter(([, ns]) => ns !== undefined))
  return interruptPhases({
    interruptedAt: msToNs(call.startMs),
    call: () => undefined,
    next: (name) => at(markOf(call, name)),
    ...(call.server !== undefined && unused === undefined && { server: known }),
  })
}

function wholeCall(call: CallRecord): Pick<Sample, 'callMs' | 'beyondServerMs' | 'serverLoadMs'> {
  const doneAt = markOf(call, 'done')
  const { totalMs, loadMs } = call.server ?? {}
  const callMs = doneAt === undefined ? undefined : doneAt - call.startMs
  return {
    ...present({ callMs }),
    ...(callMs !== undefined && totalMs !== undefined && { beyondServerMs: callMs - totalMs }),
    ...present({ serverLoadMs: loadMs }),
  }
}
