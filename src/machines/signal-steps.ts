import { msToNs, type Nanoseconds, nsToMs } from '../core/clock.ts'
import { present } from '../core/present.ts'
import { wellFormed } from '../core/well-formed.ts'
import { answerOf, interrupt, openInterrupt, tellDecision } from './interrupt-steps.ts'
import type { Entry, PendingSignal, RunDraft } from './run-draft.ts'
import { refusalOf } from './signal-filter.ts'

/** The id of the actor that ends the debounce. */
const DEBOUNCE = 'debounce'

/**
 * A signal from outside, or one that was planned. It interrupts, now or after its debounce, unless a filter refuses it. Its input is
 * made well-formed Unicode here, whoever sent it.
 */
export function takeSignal(draft: RunDraft, { input, ...sent }: Omit<PendingSignal, 'at'>): void {
  const signal = { ...sent, ...(input !== undefined && { input: wellFormed(input) }) }
  const { current, handling, end, pending } = draft.context
  if (current === null || end !== null) {
    answerOf(draft, signal.ticket)?.({ accepted: false, code: 'CAESURA_E_RUN_ENDED', reason: 'the run has ended' })
    return
  }
  const from = handling?.from ?? current
  const { trigger } = draft.stage(from.stage).policy
  const now = draft.environment.journal.now()
  const refusal = refusalOf(trigger, signal.input, handling === null ? sinceLastMs(draft, now) : undefined)
  if (refusal !== undefined) suppress(draft, from, { ...signal, at: now }, refusal)
  else {
    // Signals that follow each other within the debounce are one gesture; the newest counts, whatever stage it finds.
    const since = pending === null ? signal.since : (pending.since ?? pending.at)
    if (pending !== null) {
      const within = trigger.debounce === undefined ? 'its debounce' : `the debounce of ${trigger.debounce} ms`
      suppress(draft, from, pending, `a newer signal came within ${within}`)
      draft.stop(DEBOUNCE)
    }
    if (trigger.debounce === undefined) {
      draft.update({ pending: null })
      interrupt(draft, 'signal', { ...signal, ...(since !== undefined && { since }) })
      return
    }
    draft.update({ pending: { ...signal, at: now, ...(since !== undefined && { since }) } })
    draft.effects.push({ do: 'wake', actor: DEBOUNCE, at: now + msToNs(trigger.debounce) })
  }
}

/** The debounce of the pending signal is over: it interrupts whatever runs now. */
export function endDebounce(draft: RunDraft): void {
  const { pending } = draft.context
  draft.stop(DEBOUNCE)
  draft.update({ pending: null })
  if (pending !== null) interrupt(draft, 'signal', { ...pending, since: pending.since ?? pending.at })
}

function sinceLastMs({ environment: { journal } }: RunDraft, now: Nanoseconds): number | undefined {
  const last = journal.interrupts.findLast(({ trigger, suppressed }) => trigger === 'signal' && !suppressed)
  return last && nsToMs(now - last.at)
}

/** Records a signal that does not interrupt, with the reason. */
function suppress(draft: RunDraft, from: Entry, { input, at, ticket, own }: PendingSignal, reason: string): void {
  const entry = openInterrupt(draft, from, { trigger: 'signal', at, ...present({ input, own }) })
  entry.suppressed = true
  tellDecision(draft, entry, 'suppressed', reason)
  answerOf(draft, ticket)?.({ accepted: false, reason })
}
