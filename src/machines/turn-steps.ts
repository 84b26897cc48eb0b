import type { TurnEntry } from '../core/turn.ts'
import type { RunDraft } from './run-draft.ts'
import { keepTurns, notesTurns } from './turns-of-run.ts'

/** The run begins, with its first turn. */
export function beginTurns({ environment }: RunDraft): void {
  if (!notesTurns(environment)) return
  const { journal, input } = environment
  journal.turns = [{ input, at: journal.now(), calls: journal.calls.size, isSeen: true }]
  keepTurns(environment)
}

/**
 * A visit is about to see the newest signal's input: a turn begins. Inputs before it that no visit saw come first, each a turn without an answer: those
 * that newer ones superseded, and those of the session that a filter refused or that were taken for false interrupts.
 */
export function openTurns({ environment, context }: RunDraft, interrupt: number): void {
  if (!notesTurns(environment) || context.lastInterrupt?.input === undefined) return
  const { journal } = environment
  const last = journal.turns.at(-1)?.interrupt ?? 0
  const begun = journal.interrupts.flatMap(({ id, at, input, suppressed, own }): TurnEntry[] => {
    const counts = id > last && id <= interrupt && input !== undefined && (!suppressed || own !== undefined)
    return counts ? [{ input, at, interrupt: id, calls: journal.calls.size }] : []
  })
  journal.turns = [...journal.turns, ...begun]
}

/**
 * What becomes of the turns that began with the interrupt that is being handled is certain now. `went`: the run has gone on with them; else it has gone
 * on as if nothing had been, and their inputs were seen by nobody.
 */
export function settleTurns({ environment }: RunDraft, went: boolean): void {
  const { journal, conversation } = environment
  const open = journal.turns.filter(({ isSeen }) => !isSeen)
  if (open.length === 0) return
  if (!went) {
    journal.turns = journal.turns.filter(({ isSeen }) => isSeen)
    return
  }
  journal.turns = journal.turns.map((turn) => ({ ...turn, isSeen: true }))
  const own = open.flatMap(({ interrupt }) => journal.interrupt(interrupt!).own ?? [])
  if (own.length > 0) conversation?.seen(own)
  keepTurns(environment)
}
