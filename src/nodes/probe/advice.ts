import { hiddenLagMs, type ProbeResult } from '../../core/probe.ts'

type Figures = Omit<ProbeResult, 'advice'>

/** A lag that people notice, ms. */
const NOTICED_MS = 50
/** A prefill that is worth a policy of its own, ms. */
const LONG_PREFILL_MS = 250

/** A time in a sentence: `0.4 ms`, `24 ms`, `1.2 s`. */
const time = (ms: number): string =>
  ms >= 1_000 ? `${(ms / 1_000).toFixed(1)} s` : ms >= 10 ? `${Math.round(ms)} ms` : `${Number(ms.toFixed(1))} ms`

/** What the figures mean for the choice of a policy, a sentence each; nothing about what was not measured. */
export function adviceOf(figures: Figures, configuredSlots: number): string[] {
  return [
    wedge(figures),
    decode(figures),
    prefill(figures),
    queue(figures),
    load(figures),
    slots(figures, configuredSlots),
    preparation(figures),
    prefix(figures),
  ].flatMap((sentence) => sentence ?? [])
}

function wedge({ error, wedges }: Figures): string | undefined {
  const mended = wedges === undefined ? '' : ` (seen ${wedges}×; unloading the model ended it)`
  return wedges !== undefined || error?.code === 'CAESURA_E_SERVER_WEDGED'
    ? `An abort can wedge this server${mended}: bound each call with timeout: { firstToken: … }, or prefer drain.`
    : undefined
}

const costs = (ms: number): string => (ms < 0.05 ? 'nothing that can be seen' : time(ms))

/** What was seen is cheap, but only a call that has to be prepared itself saw it. */
const unseen = (figures: Figures): string =>
  `Up to ${time(hiddenLagMs(figures))} more are hidden behind ${figures.warmPreparationMs === undefined ? 'what' : 'the preparation that'} that call needs before its slot, so what an abort costs a call that waits in the server already is not known.`

function decode(figures: Figures): string | undefined {
  const { slotFreeAfterAbortMs, tokensPerSecond } = figures
  const lag = slotFreeAfterAbortMs.decode
  if (lag === undefined) return undefined
  const interval = tokensPerSecond.decode === undefined ? 0 : 1_000 / tokensPerSecond.decode
  const noticed = Math.max(NOTICED_MS, 3 * interval)
  if (lag.p50 + hiddenLagMs(figures) <= noticed)
    return `An abort while tokens come costs the next call ${costs(lag.p50)}: abort is cheap in decode.`
  if (lag.p50 <= noticed)
    return `An abort while tokens come costs a call that is sent in that moment ${costs(lag.p50)}. ${unseen(figures)}`
  return `An abort while tokens come costs the next call ${time(lag.p50)}: prefer drain for short rests, or a second node (placement: other).`
}

function prefill(figures: Figures): string | undefined {
  const { slotFreeAfterAbortMs, prefillStops, longPrompt, tokensPerSecond } = figures
  const lag = slotFreeAfterAbortMs.prefill
  if (lag === undefined) return undefined
  const of = longPrompt?.tokens === undefined ? 'of the long prompt' : `of ${longPrompt.tokens} tokens`
  const rate = tokensPerSecond.prefill
  const from = rate === undefined ? 'long prompts' : `prompts above ${tens((rate * LONG_PREFILL_MS) / 1_000)} tokens`
  if (lag.p50 + hiddenLagMs(figures) <= NOTICED_MS)
    return `An abort in a prefill ${of} costs the next call ${costs(lag.p50)}: abort is cheap there too.`
  if (prefillStops === 'never')
    return `A prefill ${of} cannot be stopped: an abort costs the next call ${time(lag.p50)}. Prefer drain, or a second node (placement: other), for ${from}.`
  if (lag.p50 <= NOTICED_MS)
    return `An abort in a prefill ${of} costs a call that is sent in that moment ${costs(lag.p50)}. ${unseen(figures)}`
  const seen = `An abort in a prefill ${of} costs the next call ${time(lag.p50)}`
  if (prefillStops === 'between-batches')
    return `${seen}, until the batch in hand is read: a smaller batch on the server makes it sooner.`
  return prefillStops === 'at-once'
    ? `${seen}, as in decode, wherever in the prompt it comes: the prefill itself is stopped at once.`
    : `${seen}. What it waits for was not told.`
}

/** Whole tens: more would look exact. */
const tens = (count: number): number => Math.max(10, Math.round(count / 10) * 10)

function queue({ slotFreeAfterAbortMs: { queue: lag } }: Figures): string | undefined {
  if (lag === undefined) return undefined
  return lag.p50 <= NOTICED_MS
    ? 'A call that gives up in the queue of the server costs the next one nothing.'
    : `A call that gives up in the queue of the server still costs the next one ${time(lag.p50)}: keep the queue on our side, with slots as the server has them.`
}

function load({ slotFreeAfterAbortMs: { load: lag }, abortedLoad, coldFirstTokenMs }: Figures): string | undefined {
  if (lag === undefined || abortedLoad === undefined || coldFirstTokenMs === undefined) return undefined
  if (abortedLoad === 'kept')
    return 'A load goes on when its call is aborted: the next call finds it done, or nearly so.'
  const more = lag.p50 < 1 ? '' : `, and ${time(lag.p50)} more`
  return `An abort while the model loads throws the load away: the next call pays all of it again (${time(coldFirstTokenMs.p50)} to its first token${more}). Load it ahead (warm: load).`
}

function slots({ slots: seen, moreSlots }: Figures, configured: number): string | undefined {
  if (seen === undefined) return undefined
  if (configured > seen && !moreSlots)
    return `The node is configured with ${configured} slots, but ${seen} ${seen === 1 ? 'call makes' : 'calls make'} progress at once: set slots: ${seen}.`
  if (seen === 1) return 'One call at a time: overlap and race gain nothing here without a second node.'
  const more = configured < seen ? ` The node is configured with ${configured}: set slots: ${seen} to use them.` : ''
  return `${moreSlots ? 'At least ' : ''}${seen} calls at once: overlap and race can start the next stage while the old call winds up.${more}`
}

function preparation({ warmPreparationMs: ms, firstTokenMs, slots: seen }: Figures): string | undefined {
  if (ms === undefined || firstTokenMs === undefined || ms < 20 || ms < firstTokenMs.p50 / 5) return undefined
  // With one slot the next call is not sent before the old one is over.
  const hides = seen !== undefined && seen > 1 ? '; overlap hides it behind the old call' : ''
  return `Each call to the loaded model costs ${time(ms)} before its slot, whatever the policy${hides}.`
}

function prefix({ prefixReuse }: Figures): string | undefined {
  if (prefixReuse === undefined) return undefined
  return prefixReuse
    ? 'A prompt that begins like the one before is not read again: keep common parts first, and placement: same.'
    : 'A prompt is read from its start each time: placement: same gains nothing.'
}
