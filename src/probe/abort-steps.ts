import { msToNs } from '../core/clock.ts'
import { ENDLESS_TOKENS, repeatAborts, type Victim, watchAbort } from './abort.ts'
import { idleMs, type LongPrompt, type Step } from './findings.ts'
import { patience, wedged } from './patience.ts'
import { type PrefillSample, prefillStops, SAMPLES_OF_AT_ONCE } from './prefill-stops.ts'
import { longPrompt, talkPrompt } from './prompts.ts'
import { medianOf } from './samples.ts'
import { TWO_BATCHES_TOKENS } from './speed.ts'

/** Tokens of an answer after which it is aborted. */
const TOKENS_BEFORE_ABORT = 3

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
  const samples: PrefillSample[] = []
  await repeatAborts(
    step,
    () => reserveMs,
    'Abort in prefill',
    async (at) => {
      const share = 0.12 + 0.3 * moment(at)
      const seen = await watchAbort(step, prefillVictim(step, long, share), baselines)
      if (seen === undefined) return false
      findings.lags.prefill.push(seen.lagMs)
      samples.push({ share, lagMs: seen.lagMs })
      const stops = prefillStops(samples, findings)
      if (stops === undefined) delete findings.prefillStops
      else findings.prefillStops = stops
      return true
    },
  )
  if (samples.length > 0 && findings.prefillStops === undefined) findings.notes.push(untold(long, samples.length))
}

const untold = ({ tokens = 0 }: LongPrompt, samples: number): string =>
  `Whether a prefill can be stopped was not told: ${
    tokens >= TWO_BATCHES_TOKENS
      ? samples < SAMPLES_OF_AT_ONCE
        ? 'too few aborts were seen.'
        : 'the slot was free before the call that looked for it got there.'
      : `the prompt${tokens === 0 ? '' : ` of ${tokens} tokens`} may be a single batch, which no server stops. A longer one needs a larger --budget or context window.`
  }`

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
