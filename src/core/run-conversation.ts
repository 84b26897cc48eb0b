import type { RunConversation, SessionName, SessionStore } from './session.ts'
import type { Turn } from './turn.ts'

/** A run's conversation over a store in this process. */
export interface StoredConversation extends RunConversation {
  /** Writes what could not be written before. Throws `CAESURA_E_RECORDS`. */
  flush(): void
}

/**
 * The conversation of a run, kept in a store. A store that fails for a while does not stop the run: what it did not take is written with the next
 * turn, and at the run's end. `seen`: called with the inputs that visits have seen.
 */
export function storedConversation(
  store: SessionStore,
  session: SessionName,
  run: { readonly runId: string; readonly before: readonly Turn[]; seen(own: readonly string[]): void },
): StoredConversation {
  /** What was written of each turn, by its number. */
  const written = new Map<number, string>()
  let latest: readonly Turn[] = []
  let isGone = false

  function write(turn: Turn): void {
    const text = JSON.stringify(turn)
    if (isGone || written.get(turn.number) === text) return
    const { text: _, cut: __, end, ...begun } = turn
    // A run's first turn makes the session where there is none; a later writing of it does not, for then it was deleted meanwhile.
    if (turn.number === 1 && end !== undefined && !written.has(1)) isGone = !store.write(session, begun)
    if (!isGone) isGone = !store.write(session, turn)
    written.set(turn.number, text)
  }
  const flush = () => latest.forEach(write)

  return {
    before: run.before,
    keep(turns) {
      latest = turns
      try {
        flush()
      } catch {
        // It is tried again, and at the end told.
      }
    },
    seen: run.seen,
    isNewest: () => !isGone && store.read(session.id)?.turns.at(-1)?.runId === run.runId,
    flush,
  }
}
