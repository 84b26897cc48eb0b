import { present } from '../../core/present.ts'
import type { ProcessRecord, RunRecord } from '../../core/record.ts'

/** How far off the instants of one process may be, ms. */
export interface ClockError {
  /** The stage whose call it made; absent for a process that hosted the run. */
  readonly stage?: string
  readonly process: string
  readonly errorMs: number
}

/** The clock errors that a record of a fleet has; none where all instants come from one process. */
export function clockErrorsOf({ owners = [], stages }: RunRecord): ClockError[] {
  const said = new Set<string>()
  const error = (part: ProcessRecord | undefined, stage?: string): ClockError[] => {
    if (part?.clock === undefined || said.has(part.instance)) return []
    said.add(part.instance)
    return [{ ...present({ stage }), process: part.service, errorMs: part.clock.errorMs }]
  }
  return [...owners.flatMap((owner) => error(owner)), ...stages.flatMap((call) => error(call.process, call.id))]
}
