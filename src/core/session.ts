import { CaesuraError } from './errors.ts'
import { correctedTurn, type Turn } from './turn.ts'

/** The longest id of a session, UTF-16 units. */
export const LONGEST_SESSION = 200

/** Throws `CAESURA_E_USAGE` for what can be no id of a session. */
export function checkSession(session: unknown): asserts session is string {
  if (typeof session === 'string' && session.trim() !== '' && session.length <= LONGEST_SESSION) return
  throw new CaesuraError('CAESURA_E_USAGE', 'the session cannot be used', {
    received: typeof session === 'string' ? session.slice(0, LONGEST_SESSION) : typeof session,
    expected: `a text of 1 to ${LONGEST_SESSION} characters`,
  })
}

/** A session, as its store has it. */
export interface KeptSession {
  /** Whom it counts for; '' for nobody. Nobody else sees it. */
  readonly tenant: string
  /** Oldest first. */
  readonly turns: readonly Turn[]
}

/** Which session, and whom it counts for. */
export interface SessionName {
  readonly id: string
  readonly tenant: string
}

/**
 * Keeps the turns of sessions in one process, or in a file that several share. A store has one conformance suite, `test/conformance/session-store.ts`. What
 * it throws is `CAESURA_E_RECORDS`.
 */
export interface SessionStore {
  /** Whom a session counts for; undefined where there is none of this id, or it has expired. */
  tenant(id: string): string | undefined
  /** Undefined as `tenant` is. */
  read(id: string): KeptSession | undefined
  /**
   * Adds a turn, or takes the place of the one with its run and number; its place among the others stays. The first turn of all makes the
   * session. False, and nothing is written, where it counts for another tenant, and for a turn that is not the first of its run where none of that run is kept:
   * then the session was deleted meanwhile.
   */
  write(session: SessionName, turn: Turn): boolean
  /** False where there was none. */
  delete(id: string): boolean
}

/** The conversation that a run is a part of, as its machines see it. */
export interface RunConversation {
  /** The turns before the run's own, oldest first. */
  readonly before: readonly Turn[]
  /** The run's turns as they are now. What was kept of them before is replaced. */
  keep(turns: readonly Turn[]): void
  /** Whether no turn of another run came after the run's own: what was heard of it may still be told. Absent where that is not known. */
  isNewest?(): boolean
  /** Visits have seen these inputs of the session, by the ids of the runs that they would have become. */
  seen(own: readonly string[]): void
}

/** The error for a session that there is not, or that counts for another tenant: nobody learns which. */
export const unknownSession = (session: string): CaesuraError =>
  new CaesuraError('CAESURA_E_SESSION_UNKNOWN', 'there is no session of this id', { received: session })

/** The error for an input that came while a run of the session was live, where the pipeline or its caller says `busy: reject`. */
export const busySession = (session: string): CaesuraError =>
  new CaesuraError('CAESURA_E_SESSION_BUSY', 'a run of this session is live, and inputs are refused meanwhile', {
    received: session,
    hint: 'Say it again when that run has ended, or write `busy: queue` or `busy: interrupt`.',
  })

/** Corrects the last turn of a session in a store, as `correctedTurn`. False where nothing was to be corrected. Throws `CAESURA_E_RECORDS`. */
export function correctTurn(
  store: SessionStore,
  id: string,
  heard: { readonly runId: string; readonly text: string },
): boolean {
  const kept = store.read(id)
  const turn = kept && correctedTurn(kept.turns, heard.runId, heard.text)
  return turn !== undefined && store.write({ id, tenant: kept!.tenant }, turn)
}
