import type { ExperimentRecords } from '../../app/experimenting.ts'
import type { AnalysisPlan } from '../../core/experiment.ts'
import type { Trial } from '../../core/trial.ts'
import { analyseTable } from '../../lab/analyse.ts'
import type { Analysis } from '../../lab/analysis.ts'
import { curvesOfTable } from '../../lab/draw-curves.ts'
import { tableOf } from '../../lab/trial-table.ts'
import { printJson, printLines, remark } from '../output.ts'
import { screenOn } from '../screen.ts'
import { writeWhole } from '../write-file.ts'
import type { Kept } from './records.ts'
import { analysisLines } from './report.ts'

export interface ReportFlags {
  readonly json?: boolean
  readonly report?: string
}

/** More than a page holds is of no use to it. */
const MOST_CHARACTERS = 4_000_000

/** What is told of. */
export interface Shown {
  readonly plan: AnalysisPlan
  /** Of which execution the trials are; absent for live traffic. */
  readonly execution: string | undefined
  /** From the first one on, at each call. */
  trials(): Iterable<Trial>
  /** What prints the trials. */
  readonly command: string
}

/** An execution as the records have it. */
export function shownOf({ execution, plan }: Kept, store: ExperimentRecords): Shown {
  // Live traffic has no executions.
  const id = execution.execution === '' ? undefined : execution.execution
  return {
    plan,
    execution: id,
    trials: () => store.trials(execution),
    command: `caesura ab data ${JSON.stringify(plan.experiment)}${id === undefined ? '' : ` --execution ${id}`}`,
  }
}

/** Tells what the trials of an execution show. The same trials give the same bytes. */
export async function show(
  { plan, execution: id, trials, command }: Shown,
  { json = false, report }: ReportFlags,
): Promise<Analysis> {
  const table = tableOf(plan, trials())
  const analysis = analyseTable(plan, table, id === undefined ? {} : { execution: id })
  if (report !== undefined) {
    // Charts take as long to load as a model: only who wants a page pays for them.
    const { abPage } = await import('../../lab/report/ab-page.ts')
    const curves = curvesOfTable(plan, table)
    const data = dataFor(trials())
    await writeWhole(report, abPage({ analysis, curves, plan, data, command }))
  }
  if (json) printJson(analysis)
  else printLines(analysisLines(analysis, screenOn(process.stdout)))
  if (report !== undefined) remark(`wrote ${report}`)
  return analysis
}

function dataFor(trials: Iterable<Trial>): string[] {
  const data: string[] = []
  let characters = 0
  for (const trial of trials) {
    const text = JSON.stringify(trial)
    data.push(text)
    characters += text.length
    if (characters > MOST_CHARACTERS) break
  }
  return data
}
