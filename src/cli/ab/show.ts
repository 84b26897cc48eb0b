import type { ExperimentRecords } from '../../experimenting.ts'
import { analyse } from '../../experiments/analyse.ts'
import type { Analysis } from '../../experiments/analysis.ts'
import { printJson } from '../output.ts'
import type { Kept } from './records.ts'

export interface ReportFlags {
  readonly json?: boolean
  readonly report?: string
}

/** Tells what the records of an execution show. The same records give the same bytes. */
export async function show(
  { execution, plan }: Kept,
  store: ExperimentRecords,
  { json }: ReportFlags,
): Promise<Analysis> {
  const analysis = analyse(plan, store.trials(execution), { execution: execution.execution })
  if (json) printJson(analysis)
  return analysis
}
