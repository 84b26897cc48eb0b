import type { Nanoseconds } from '../core/clock.ts'
import { summarize } from '../core/errors.ts'
import { wellFormed } from '../core/well-formed.ts'
import type { DeadlineEvent } from './deadline.ts'
import type { InterruptOrders } from './interrupt.ts'
import { interrupt, takeOrders } from './interrupt-steps.ts'
import type { PendingSignal, RunDraft } from './run-draft.ts'
import { endDebounce, takeSignal } from './signal-steps.ts'
import type { StageNews } from './stage.ts'
import { enter, noteAttempt, noteSettled } from './stage-steps.ts'
import { beginTurns, settleTurns } from './turn-steps.ts'

export type RunEvent =
  | { readonly type: 'start' }
  /** `since`: when it was sent, where that was before it came. */
  | ({ readonly type: 'signal'; readonly since?: Nanoseconds } & Pick<PendingSignal, 'input' | 'ticket' | 'own'>)
  | { readonly type: 'cancel'; readonly reason: string }
  | DeadlineEvent
  | StageNews
  | InterruptOrders

/**
 * One step of a run: takes an event, changes the draft, writes the journal. Knows nothing of XState. Whatever throws in here
 * ends the run as failed with every call settled, for XState would stop the machine and leave its children (xstate#5153).
 */
export function takeTurn(draft: RunDraft, event: RunEvent): void {
  try {
    dispatch(draft, event)
  } catch (error) {
    draft.end({ outcome: 'failed', error: summarize(error) })
  }
}

function dispatch(draft: RunDraft, event: RunEvent): void {
  const { current, handling } = draft.context
  switch (event.type) {
    case 'start':
      beginTurns(draft)
      enter(draft, draft.environment.pipeline.stages[0]!)
      break
    case 'signal':
      takeSignal(draft, event)
      break
    case 'cancel':
      draft.end({ outcome: 'cancelled', cancelReason: wellFormed(event.reason) })
      break
    case 'deadline':
      endDebounce(draft)
      break
    case 'stage.signal':
      takeSignal(draft, event)
      break
    case 'stage.trigger':
      // A trigger that fires while its call is being interrupted already adds nothing.
      if (event.entry === current?.entry && handling === null) interrupt(draft, event.trigger)
      break
    case 'stage.attempt':
      noteAttempt(draft, event.entry, event.callId)
      break
    case 'stage.firstToken':
      draft.tellBoundary(event.entry, undefined, { type: 'nextFirstToken' })
      break
    case 'stage.token':
      draft.tellBoundary(event.entry, { type: 'token', text: event.text })
      break
    case 'stage.sentenceEnd':
      draft.tellBoundary(event.entry, { type: 'sentenceEnd' })
      break
    case 'stage.settled':
      noteSettled(draft, event)
      break
    default:
      takeOrders(draft, event)
  }
}

/** Orders every call in flight to stop: the run is over once they have settled. */
export function stopAll(draft: RunDraft): void {
  const { end, live, handling } = draft.context
  const reason = end?.cancelReason ?? 'the run is ending'
  for (const { entry } of live) draft.send(entry, { type: 'cancel', kind: 'abort', reason })
  if (handling !== null) {
    draft.stop(handling.actor)
    settleTurns(draft, handling.to !== null)
  }
  draft.update({ handling: null })
}
