import type { DatabaseSync } from 'node:sqlite'
import type { Conductor } from '../../core/conductor.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { ExecutionKey, ExperimentStore } from '../../core/ports.ts'
import { guard, inTransaction } from './sqlite-file.ts'

const TAKE = `
  INSERT OR REPLACE INTO conductors (experiment, execution, owner, host, pid, processes, since_unix_ms, beat_unix_ms)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)
`

/** Who conducts which execution: one row for each that somebody makes trials of. */
export function sqliteConductors(
  file: string,
  database: DatabaseSync,
): Pick<ExperimentStore, 'claim' | 'conductor' | 'beat' | 'release'> {
  return {
    claim(of, conductor, isGone) {
      return guard(file, () => {
        let other: Conductor | undefined
        inTransaction(database, () => {
          const kept = conductorOf(database, of)
          if (kept !== undefined && kept.owner !== conductor.owner && !isGone(kept)) other = kept
          else take(database, of, conductor)
        })
        return other
      })
    },
    conductor: (of) => guard(file, () => conductorOf(database, of)),
    beat: (owner) => guard(file, () => beat(database, owner)),
    release(owner) {
      guard(file, () => database.prepare('DELETE FROM conductors WHERE owner = ?').run(owner))
    },
  }
}

function take(database: DatabaseSync, { experiment, execution }: ExecutionKey, conductor: Conductor): void {
  const { owner, host, pid, processes, sinceUnixMs, beatUnixMs } = conductor
  database.prepare(TAKE).run(experiment, execution, owner, host, pid, processes, sinceUnixMs, beatUnixMs)
}

/** The conductor of an execution, dead or alive. */
export function conductorOf(database: DatabaseSync, { experiment, execution }: ExecutionKey): Conductor | undefined {
  const row = database
    .prepare('SELECT * FROM conductors WHERE experiment = ? AND execution = ?')
    .get(experiment, execution)
  return row === undefined
    ? undefined
    : {
        owner: String(row.owner),
        host: String(row.host),
        pid: Number(row.pid),
        processes: String(row.processes),
        sinceUnixMs: Number(row.since_unix_ms),
        beatUnixMs: Number(row.beat_unix_ms),
      }
}

function beat(database: DatabaseSync, owner: string): boolean {
  const { changes } = database.prepare('UPDATE conductors SET beat_unix_ms = ? WHERE owner = ?').run(Date.now(), owner)
  return Number(changes) > 0
}

/** All of `work`, and only as long as the execution is this conductor's. Throws `CAESURA_E_EXPERIMENT_LOST`. */
export function asConductor(database: DatabaseSync, owner: string, work: () => void): void {
  inTransaction(database, () => {
    if (!beat(database, owner))
      throw new CaesuraError('CAESURA_E_EXPERIMENT_LOST', 'another process has taken this execution over')
    work()
  })
}
