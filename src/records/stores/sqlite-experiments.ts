import type { DatabaseSync } from 'node:sqlite'
import type { ExperimentStore, ExperimentSummary } from '../../core/ports.ts'
import { present } from '../../core/present.ts'
import { type Execution, executionSchema, type Trial, trialSchema } from '../../core/trial.ts'
import { asConductor, conductorOf } from './sqlite-conductors.ts'
import { guard, parseRow } from './sqlite-file.ts'

const TRIALS_IN_ORDER = `
  SELECT trial FROM trials WHERE experiment = ? AND execution = ? ORDER BY session, started_unix_ms, run_id
`
const WRITE_EXECUTION = `
  INSERT INTO executions (experiment, execution, started_at, state) VALUES (?, ?, ?, ?)
  ON CONFLICT (experiment, execution) DO UPDATE SET state = excluded.state
`
const COUNTS = `
  SELECT experiment, execution, count(*) AS trials, min(started_unix_ms) AS started FROM trials GROUP BY experiment, execution
`

/** The part of a records file that experiments need. */
export function sqliteExperiments(
  file: string,
  database: DatabaseSync,
): Pick<ExperimentStore, 'trials' | 'writeExecution' | 'readExecution' | 'experiments'> {
  const readState = (state: unknown) => parseRow<Execution>(file, executionSchema, String(state))
  return {
    *trials({ experiment, execution = '' }) {
      // Each step for itself: what happens between two is not ours.
      const rows = guard(file, () => database.prepare(TRIALS_IN_ORDER).iterate(experiment, execution))
      for (;;) {
        const { done, value } = guard(file, () => rows.next())
        if (done) return
        yield parseRow<Trial>(file, trialSchema, String(value.trial))
      }
    },
    writeExecution(execution, owner) {
      const write = () => {
        database
          .prepare(WRITE_EXECUTION)
          .run(execution.experiment, execution.execution, execution.startedAt, JSON.stringify(execution))
      }
      guard(file, () => (owner === undefined ? write() : asConductor(database, owner, write)))
    },
    readExecution(experiment, execution) {
      return guard(file, () => {
        const found = database
          .prepare(
            `SELECT state FROM executions WHERE experiment = ? AND (? IS NULL OR execution = ?)
             ORDER BY started_at DESC, sequence DESC LIMIT 1`,
          )
          .get(experiment, execution ?? null, execution ?? null)
        return found === undefined ? undefined : readState(found.state)
      })
    },
    experiments() {
      return guard(file, () => {
        const key = (experiment: unknown, execution: unknown) => JSON.stringify([experiment, execution])
        const counts = new Map(
          database
            .prepare(COUNTS)
            .all()
            .map((row) => [key(row.experiment, row.execution), row]),
        )
        const executions = database
          // What is kept of an experiment on live traffic is no execution of it.
          .prepare("SELECT state FROM executions WHERE execution <> ''")
          .all()
          .map(({ state }): ExperimentSummary => {
            const { experiment, execution, startedAt, ended } = readState(state)
            const trials = Number(counts.get(key(experiment, execution))?.trials ?? 0)
            const conductor = conductorOf(database, { experiment, execution })
            return {
              ...{ experiment, execution, startedAt, trials },
              ...present({ ended, conductor }),
            }
          })
        const live = [...counts.values()]
          .filter(({ execution }) => execution === '')
          .map(
            (row): ExperimentSummary => ({
              experiment: String(row.experiment),
              startedAt: new Date(Number(row.started)).toISOString(),
              trials: Number(row.trials),
            }),
          )
        return [...executions, ...live].sort((a, b) => b.startedAt.localeCompare(a.startedAt))
      })
    },
  }
}
