import { msToNs, nsToMs } from '../../core/clock.ts'
import { CaesuraError } from '../../core/errors.ts'
import { type Findings, idleMs, type Step } from './findings.ts'
import type { Flight, Prompt } from './line.ts'
import { isWedge, patience, wedged } from './patience.ts'
import { shortPrompt } from './prompts.ts'
import { medianOf, ttftOf } from './samples.ts'

/** Tokens of an answer that shall not end by itself. */
export const ENDLESS_TOKENS = 512
/** One abort that was watched. */
interface Watched {
  /** Before clipping. */
  readonly lagMs: number
  /** From the start of the call to its abort. */
  readonly afterMs: number
}

/** A call that will be aborted. */
export interface Victim {
  readonly prompt: Prompt
  /** Waits for the moment of the abort. False when the call was no longer, or not yet, where it should be aborted. */
  ready(flight: Flight): Promise<boolean>
  /** What the server would still do if it did not notice the abort, ms. */
  readonly restMs: number
}

/**
 * Aborts one call and sees when its slot is free: by the backend's mark `slot-free` where it sets one, else by a call sent at
 * the abort, whose time to first token is compared with that of a call to the same server just before. All other slots are
 * kept busy. Undefined when the moment was missed. Throws `CAESURA_E_SERVER_WEDGED`.
 */
export async function watchAbort(
  { line, findings, fillers }: Step,
  victim: Victim,
  baselines: number[],
): Promise<Watched | undefined> {
  const expected = idleMs(findings) + victim.restMs
  let flight: Flight | undefined
  let slotSeen = false
  try {
    if (findings.witness !== 'server') {
      await fillers.keep(slotsBeside(findings), expected)
      const baseline = line.start(shortPrompt())
      if (!(await line.begins(baseline, patience(expected)))) throw wedged(patience(expected))
      const ttft = ttftOf(await line.answer(baseline))
      if (ttft !== undefined) baselines.push(ttft)
      await line.open(2)
    }
    flight = line.start(victim.prompt)
    if (!(await victim.ready(flight))) return undefined
    const abortedAt = line.clock.now()
    flight.abort()
    const afterMs = nsToMs(abortedAt - flight.startedAt)
    if (findings.witness === 'server') {
      const lagMs = await seenByServer(line, flight, abortedAt, patience(expected))
      return lagMs === undefined ? undefined : { lagMs, afterMs }
    }

    const after = line.start(shortPrompt())
    if (!(await line.begins(after, patience(expected)))) throw wedged(patience(expected))
    slotSeen = !fillers.someOver
    const ttft = ttftOf(await line.answer(after))
    if (await saysItself(line, flight)) {
      findings.witness = 'server'
      return undefined
    }
    findings.witness = 'call'
    const baseline = medianOf(baselines)
    if (!slotSeen || ttft === undefined || baseline === undefined || !countsSlots(findings)) return undefined
    return { lagMs: ttft - baseline, afterMs }
  } finally {
    if (flight !== undefined) {
      await line.clear([flight])
      if (!slotSeen) fillers.abandon(victim.restMs)
    }
  }
}

/** Those that have to be kept busy. */
export const slotsBeside = (findings: Findings): number => (countsSlots(findings) ? findings.slots.count - 1 : 0)

/** Whether the backend watches the slot. The mark of this abort is of no use: the call after it took the slot. */
async function saysItself(line: Step['line'], flight: Flight): Promise<boolean> {
  const { marks } = await flight.ended
  line.check()
  return marks.has('slot-free')
}

async function seenByServer(line: Step['line'], flight: Flight, abortedAt: number, boundMs: number) {
  await line.until(line.clock.now() + msToNs(boundMs), flight)
  if (!flight.isOver) throw wedged(boundMs)
  const freeAt = (await flight.ended).marks.get('slot-free')
  return freeAt === undefined ? undefined : nsToMs(freeAt - abortedAt)
}

/** Whether it is known how many slots there are, so that all but one can be kept busy. */
function countsSlots(findings: Findings): findings is Findings & { slots: { count: number } } {
  return findings.slots !== undefined && !findings.slots.bounded
}

/** Whether a sample was taken; `stop` where none can be had, which the sample has noted. */
type Sampled = boolean | 'stop'

/**
 * Repeats until there are enough samples, none can be had, or the rest of the budget is needed for what comes after. A server
 * that an abort has wedged is brought back where its backend can unload the model; else throws `CAESURA_E_SERVER_WEDGED`.
 */
export async function repeat(
  step: Step,
  reserveMs: () => number,
  what: string,
  sample: (at: number) => Promise<Sampled>,
): Promise<void> {
  const { line, findings, repetitions, tell } = step
  let taken = 0
  let costMs = 0
  for (let at = 0; taken < repetitions && at < 2 * repetitions; at += 1) {
    if (at > 0 && line.leftMs < costMs + reserveMs()) {
      findings.notes.push(`${what}: ${taken} of ${repetitions} repetitions; the budget had no room for more.`)
      return
    }
    tell(taken, repetitions)
    const before = line.leftMs
    const sampled = await sample(at).catch((error: unknown) => bringBack(step, error))
    if (sampled === 'stop') return
    if (sampled) taken += 1
    costMs = Math.max(costMs, before - line.leftMs)
  }
  if (taken === 0) findings.notes.push(`${what}: not seen; the calls ended too early.`)
}

/** `repeat` for what `watchAbort` sees: it has to know the slots, unless the backend watches them. */
export const repeatAborts: typeof repeat = (step, reserveMs, what, sample) =>
  repeat(step, reserveMs, what, async (at) => {
    const { findings } = step
    if (findings.witness !== 'call' || countsSlots(findings)) return sample(at)
    findings.notes.push(
      `${what}: not seen; the server has more slots than a probe can keep busy, and does not say which are free.`,
    )
    return 'stop'
  })

/** Ends a wedge by unloading the model. Throws any other error, and a wedge that cannot be ended. */
async function bringBack({ findings, fillers, residence }: Step, error: unknown): Promise<false> {
  if (!isWedge(error) || !residence.canUnload) throw error
  await residence.renew().catch((failure: unknown) => {
    throw failure instanceof CaesuraError ? error : failure
  })
  findings.wedges += 1
  fillers.abandon(0)
  return false
}
