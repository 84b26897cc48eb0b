import type { SessionStore } from '../../core/session.ts'
import { PackedTurns } from './packed-turns.ts'

/** What sessions in memory may take. */
export interface SessionLimits {
  /** A session that was not written for so long is forgotten, ms; 7 days by default. */
  readonly keepMs: number
  /** The most sessions; beyond them the one that was not written for the longest is forgotten, unless its last turn goes on. 10,000 by default. */
  readonly most: number
}

export const defaultSessionLimits: SessionLimits = { keepMs: 7 * 24 * 3_600_000, most: 10_000 }

interface InMemory {
  readonly tenant: string
  readonly turns: PackedTurns
  writtenAt: number
}

/** Sessions in the memory of this process. `now`: ms since 1970; the wall clock by default. */
export function memorySessions(limits: Partial<SessionLimits> = {}, now: () => number = Date.now): SessionStore {
  const { keepMs, most } = { ...defaultSessionLimits, ...limits }
  /** The one that was not written for the longest comes first. */
  const sessions = new Map<string, InMemory>()

  function forget(): void {
    const expired = now() - keepMs
    for (const [id, { writtenAt, turns }] of sessions) {
      if (writtenAt > expired && sessions.size <= most) return
      if (writtenAt <= expired || turns.last?.end !== undefined) sessions.delete(id)
    }
  }

  return {
    tenant(id) {
      forget()
      return sessions.get(id)?.tenant
    },
    read(id) {
      forget()
      const session = sessions.get(id)
      return session && { tenant: session.tenant, turns: session.turns.all() }
    },
    write({ id, tenant }, turn) {
      const known = sessions.get(id)
      if (known !== undefined && known.tenant !== tenant) return false
      const isFirst = turn.number === 1 && turn.end === undefined
      if (!isFirst && !known?.turns.has(turn.runId)) return false
      const session = known ?? { tenant, turns: new PackedTurns(), writtenAt: 0 }
      session.turns.write(turn)
      session.writtenAt = now()
      sessions.delete(id)
      sessions.set(id, session)
      forget()
      return true
    },
    delete: (id) => sessions.delete(id),
  }
}
