import { msToNs } from '../../core/clock.ts'
import { ENDLESS_TOKENS, repeatAborts, type Victim, watchAbort } from './abort.ts'
import { idleMs, type LongPrompt, type Step } from './findings.ts'
import { patience, wedged } from './patience.ts'
import { longPrompt, talkPrompt } from './prompts.ts'
import { medianOf, ttftOf } from './samples.ts'

/** Tokens of an answer after which it is aborted. */
const TOKENS_BEFORE_ABORT = 3

/** How often the long prompt is read again after the aborts. */
const AGAIN = 2

/** From 0 to 1, spread evenly however many there are: moments inside a batch or a token. */
const moment = (at: number): number => (at * 0.618_034) % 1

/** Abort → free slot while the prompt is read, and whether the server stops reading. `reserveMs` is left for later steps. */
export async function measurePrefillAbort(step: Step, reserveMs: number): Promise<void> {
  const { findings } = step
  const { long } = findings
  if (long === undefined) return
  if (long.prefillMs < 5) {
    findings.notes.push('Abort in prefill: not measured; the longest prompt is read too fast to be caught.')
    return
  }
  const baselines: number[] = findings.slots?.count === 1 ? [...findings.firstToken] : []
  await repeatAborts(
    step,
    () => reserveMs,
    'Abort in prefill',
    async (at) => {
      const seen = await watchAbort(step, prefillVictim(step, long, shareAt(at)), baselines)
      if (seen === undefined) return false
      findings.lags.prefill.push(seen.lagMs)
      // Where it came in truth: a timer may be late.
      const restMs = Math.max(0, idleMs(findings) + long.prefillMs - seen.afterMs)
      findings.prefillAborts.push({ restMs, lagMs: seen.lagMs })
      return true
    },
  )
  await measureDrift(step, long, reserveMs)
}

/** Whether the prompt still takes as long as before the aborts: what was left at an abort is known no better than that. */
async function measureDrift({ line, findings }: Step, long: LongPrompt, reserveMs: number): Promise<void> {
  for (let again = 0; again < AGAIN; again++) {
    if (line.leftMs < reserveMs + 2 * long.ttftMs) return
    const ttft = ttftOf(await line.ask(longPrompt(long.sentences)))
    if (ttft === undefined) return
    const spreadMs = Math.max(findings.long?.spreadMs ?? 0, Math.abs(ttft - long.ttftMs))
    findings.long = { ...long, spreadMs }
  }
}

/** Where in its prefill a call is aborted: from 0.1 to 0.8 of it, early and late ones in turn. */
const spread = (at: number): number => 0.1 + 0.7 * moment(at)
/** The fifth is close behind the first: two in the same batch, however small that is. */
const shareAt = (at: number): number => (at % 5 === 4 ? spread(at - 4) + 0.03 : spread(at))

const prefillVictim = ({ line, findings }: Step, long: LongPrompt, share: number): Victim => ({
  prompt: longPrompt(long.sentences),
  restMs: long.prefillMs * (1 - share),
  async ready(flight) {
    await line.until(flight.startedAt + msToNs(idleMs(findings) + share * long.prefillMs), flight)
    return !flight.isOver && flight.firstAt === undefined
  },
})

/** Abort → free slot while tokens come. */
export async function measureDecodeAbort(step: Step): Promise<void> {
  const { line, findings } = step
  const intervalMs = medianOf(findings.tokenInterval) ?? 0
  const baselines: number[] = findings.slots?.count === 1 ? [...findings.firstToken] : []
  await repeatAborts(
    step,
    () => 0,
    'Abort in decode',
    async (at) => {
      const restMs = ENDLESS_TOKENS * intervalMs
      const victim: Victim = {
        prompt: talkPrompt(ENDLESS_TOKENS, at),
        restMs,
        async ready(flight) {
          const bound = patience(idleMs(findings) + restMs)
          if (!(await line.begins(flight, bound))) throw wedged(bound)
          if (flight.firstAt === undefined) return false
          await line.until(flight.firstAt + msToNs((TOKENS_BEFORE_ABORT + moment(at)) * intervalMs), flight)
          return !flight.isOver
        },
      }
      const seen = await watchAbort(step, victim, baselines)
      if (seen === undefined) return false
      findings.lags.decode.push(seen.lagMs)
      return true
    },
  )
}
