import type { DatabaseSync } from 'node:sqlite'
import type { SessionStore } from '../../core/session.ts'
import { type Turn, turnSchema } from '../../core/turn.ts'
import { defaultSessionLimits, type SessionLimits } from './memory-sessions.ts'
import { guard, inTransaction, parseRow } from './sqlite-file.ts'

const WRITE = `
  INSERT INTO turns (session, run_id, number, turn) VALUES (?, ?, ?, ?)
  ON CONFLICT (session, run_id, number) DO UPDATE SET turn = excluded.turn
`
const TOUCH = `
  INSERT INTO sessions (session, tenant, written_unix_ms) VALUES (?, ?, ?)
  ON CONFLICT (session) DO UPDATE SET written_unix_ms = excluded.written_unix_ms
`

/** Sessions in the records file. What is deleted is overwritten in the file. */
export function sqliteSessions(
  file: string,
  database: DatabaseSync,
  { keepMs }: Pick<SessionLimits, 'keepMs'> = defaultSessionLimits,
): SessionStore {
  const tenantOf = (id: string): string | undefined => {
    const row = database
      .prepare('SELECT tenant FROM sessions WHERE session = ? AND written_unix_ms > ?')
      .get(id, Date.now() - keepMs)
    return row && String(row.tenant)
  }
  const hasRun = (id: string, runId: string): boolean =>
    database.prepare('SELECT 1 FROM turns WHERE session = ? AND run_id = ? LIMIT 1').get(id, runId) !== undefined
  const forget = (id: string): boolean => {
    database.prepare('DELETE FROM turns WHERE session = ?').run(id)
    return Number(database.prepare('DELETE FROM sessions WHERE session = ?').run(id).changes) > 0
  }
  /** Nobody sees what has expired, so a few at a time will do. */
  const forgetExpired = (now: number) => {
    const rows = database.prepare('SELECT session FROM sessions WHERE written_unix_ms <= ? LIMIT 10').all(now - keepMs)
    for (const { session } of rows) forget(String(session))
  }
  return {
    tenant: (id) => guard(file, () => tenantOf(id)),
    read(id) {
      return guard(file, () => {
        const tenant = tenantOf(id)
        if (tenant === undefined) return undefined
        const rows = database.prepare('SELECT turn FROM turns WHERE session = ? ORDER BY sequence').all(id)
        const turns = rows.map(({ turn }) => parseRow<Turn>(file, turnSchema, String(turn)))
        return { tenant, turns }
      })
    },
    write({ id, tenant }, turn) {
      return guard(file, () => {
        let isWritten = false
        inTransaction(database, () => {
          const now = Date.now()
          forgetExpired(now)
          const known = tenantOf(id)
          // Of one that has expired nothing is left.
          if (known === undefined) forget(id)
          const isFirst = turn.number === 1 && turn.end === undefined
          if ((known !== undefined && known !== tenant) || (!isFirst && !hasRun(id, turn.runId))) return
          database.prepare(TOUCH).run(id, tenant, now)
          database.prepare(WRITE).run(id, turn.runId, turn.number, JSON.stringify(turn))
          isWritten = true
        })
        return isWritten
      })
    },
    delete(id) {
      return guard(file, () => {
        let isDeleted = false
        database.exec('PRAGMA secure_delete = ON')
        inTransaction(database, () => {
          isDeleted = forget(id)
        })
        // Else what was deleted would stand in the log beside the file for a while.
        if (isDeleted) database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
        return isDeleted
      })
    },
  }
}
