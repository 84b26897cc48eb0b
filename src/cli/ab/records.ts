import { existsSync } from 'node:fs'
import type { ExperimentRecords } from '../../app/experimenting.ts'
import { sqliteStore } from '../../app/stores.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { AnalysisPlan } from '../../core/experiment.ts'
import { didYouMean } from '../../core/problems.ts'
import type { Execution } from '../../core/trial.ts'
import { keptDesign } from '../../lab/design/experiment-design.ts'
import { planOfLive } from '../../lab/design/live-design.ts'
import { readSettings } from '../settings.ts'

export interface RecordsFlags {
  readonly config?: string
}

const LIST = '`caesura ab list` shows what is recorded.'

/** An execution of an experiment as the records have it, with its plan. */
export interface Kept {
  readonly execution: Execution
  readonly plan: AnalysisPlan
}

/** Opens the records for reading; nothing is made where there are none. `CAESURA_E_EXPERIMENT_UNKNOWN` then. */
export async function withExperiments<T>(
  flags: RecordsFlags,
  work: (store: ExperimentRecords) => T | Promise<T>,
): Promise<T> {
  const { recordsFile } = await readSettings(flags)
  if (!existsSync(recordsFile))
    throw new CaesuraError('CAESURA_E_EXPERIMENT_UNKNOWN', 'no experiment is recorded yet', {
      file: recordsFile,
      hint: 'Make one with `caesura ab EXPERIMENT`, or name another file with CAESURA_RECORDS.',
    })
  const store = sqliteStore(recordsFile)
  try {
    return await work(store)
  } finally {
    store.close()
  }
}

/** The newest execution of an experiment, or that of the id. Throws `CAESURA_E_EXPERIMENT_UNKNOWN`, `CAESURA_E_RECORDS`. */
export function keptExecution(store: ExperimentRecords, experiment: string, id?: string): Kept {
  const execution = store.readExecution(experiment, id)
  if (execution === undefined) throw unknown(store, experiment, id)
  const plan = planOfLive(execution) ?? keptDesign(execution.design)
  if (plan === undefined)
    throw new CaesuraError('CAESURA_E_RECORDS', 'the design of this execution cannot be read', {
      received: `${experiment} ${execution.execution}`,
      hint: 'It was written by another version, or changed by hand.',
    })
  return { execution, plan }
}

function unknown(store: ExperimentRecords, experiment: string, id: string | undefined): CaesuraError {
  const all = store.experiments()
  const own = all.filter((each) => each.experiment === experiment)
  const executions = own.flatMap(({ execution }) => execution ?? [])
  if (id !== undefined && executions.length > 0)
    return new CaesuraError('CAESURA_E_EXPERIMENT_UNKNOWN', `no execution of ${experiment} has this id`, {
      received: id,
      expected: executions.slice(0, 5).join(', '),
      hint: LIST,
    })
  const hint =
    own.length > 0
      ? 'It runs on live traffic: `caesura ab status` tells of it.'
      : (didYouMean(experiment, [...new Set(all.map((each) => each.experiment))]) ?? LIST)
  return new CaesuraError('CAESURA_E_EXPERIMENT_UNKNOWN', 'no recorded experiment has this name', {
    received: experiment,
    hint,
  })
}
