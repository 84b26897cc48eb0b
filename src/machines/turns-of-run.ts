import type { ChatMessage } from '../core/call.ts'
import { turnsOf } from '../core/run-turns.ts'
import { historyMessages } from '../core/turn.ts'
import type { RunEnvironment } from './environment.ts'

/** Whether the turns of a run are noted: prompts are shown them, or a session keeps them. */
export const notesTurns = ({ pipeline, conversation }: RunEnvironment): boolean =>
  pipeline.history !== undefined || conversation !== undefined

/** What `input` is in prompts: that of the present turn where there is a history, else the run's own. */
export const inputOf = ({ pipeline, journal, input }: RunEnvironment): string =>
  pipeline.history === undefined ? input : (journal.turns.at(-1)?.input ?? input)

/** What was said before the present turn, in the session's earlier runs and in this one; undefined in a pipeline without a history. */
export function historyOf({ pipeline, journal, conversation }: RunEnvironment): readonly ChatMessage[] | undefined {
  if (pipeline.history === undefined) return undefined
  const own = journal.turns.length > 1 ? turnsOf(journal, pipeline).slice(0, -1) : []
  return historyMessages([...(conversation?.before ?? []), ...own], pipeline.history)
}

/** Has the session keep the run's turns as they are now. */
export function keepTurns({ journal, pipeline, conversation }: RunEnvironment): void {
  conversation?.keep(turnsOf(journal, pipeline))
}
