import { msToNs } from '../../core/clock.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { ProbeResult } from '../../core/probe.ts'
import { repeat } from './abort.ts'
import { hiddenMs, idleMs, type Step } from './findings.ts'
import { patience, wedged } from './patience.ts'
import { shortPrompt } from './prompts.ts'
import { medianOf, ttftOf } from './samples.ts'

/** A shorter load is over too soon to be aborted in, and to tell what that costs from noise, ms. */
const SHORTEST_LOAD_MS = 100
/** How fast a model file is taken to be read at least, where no load of it was seen. */
const BYTES_A_MS = 500_000
/** Loads in one repetition: undisturbed, aborted, and the one after that. */
const LOADS = 3
/** The next call saves all of what had been loaded where the load goes on, and nothing where it is thrown away; but for noise. */
const KEPT = 0.7
const LOST = 0.3

/** Where in a load it is aborted: from 0.25 to 0.65 of it, spread evenly. */
const shareAt = (at: number): number => 0.25 + 0.4 * ((at * 0.618_034) % 1)

/**
 * What an abort while the model loads costs the next call: its time to first token, less that of a call that loads the model
 * undisturbed. Unloads the model twice in each repetition, and leaves it loaded.
 */
export async function measureLoadAbort(step: Step): Promise<void> {
  const { line, findings, residence } = step
  if (!residence.canUnload) {
    findings.notes.push('Abort in load: not measured; this backend cannot unload a model.')
    return
  }
  const bytes = (await residence.bytes()) ?? 0
  const loadMs = Math.max(findings.firstCallMs ?? 0, bytes / BYTES_A_MS)
  if (line.leftMs < LOADS * loadMs) {
    findings.notes.push('Abort in load: not measured; the rest of the budget may be too short to load the model again.')
    return
  }
  try {
    await residence.unload()
  } catch (error) {
    if (!(error instanceof CaesuraError)) throw error
    findings.notes.push(`Abort in load: not measured; the model could not be unloaded: ${error.message}`)
    return
  }
  const saved: number[] = []
  // Room for one more load: a repetition that the budget cuts off would leave the model unloaded.
  const reserveMs = () => Math.max(0, ...findings.coldFirstToken)
  await repeat(step, reserveMs, 'Abort in load', async (at) => {
    if (at > 0) await residence.unload()
    const cold = ttftOf(await line.ask(shortPrompt()))
    residence.loaded()
    if (cold === undefined) return false
    if (cold - idleMs(findings) < SHORTEST_LOAD_MS) {
      // One that was slower before was slowed down by something else.
      findings.coldFirstToken.length = 0
      findings.lags.load.length = 0
      delete findings.abortedLoad
      findings.notes.push('Abort in load: not measured; the model is loaded too fast to be caught.')
      return 'stop'
    }
    findings.coldFirstToken.push(cold)
    const coldMs = medianOf(findings.coldFirstToken) ?? cold
    const doneMs = shareAt(at) * (coldMs - idleMs(findings))
    const ttft = await afterAbort(step, hiddenMs(findings) + doneMs, coldMs)
    if (ttft === undefined) return false
    findings.lags.load.push(ttft - coldMs)
    saved.push((coldMs - ttft) / doneMs)
    const fate = fateOf(saved)
    if (fate === undefined) delete findings.abortedLoad
    else findings.abortedLoad = fate
    return true
  })
}

/** `saved`: of what had been loaded by an abort, the share that the next call need not load again. Undefined where they do not tell. */
function fateOf(saved: readonly number[]): ProbeResult['abortedLoad'] {
  const share = medianOf(saved)
  if (share === undefined || saved.length < 2) return undefined
  return share >= KEPT ? 'kept' : share <= LOST ? 'lost' : undefined
}

/** Unloads the model, aborts a call that loads it after `waitMs`, and gives the time to first token of the next one, ms. */
async function afterAbort({ line, residence }: Step, waitMs: number, coldMs: number): Promise<number | undefined> {
  await residence.unload()
  await line.open(2)
  const flight = line.start(shortPrompt())
  try {
    await line.until(flight.startedAt + msToNs(waitMs), flight)
    const missed = flight.isOver || flight.firstAt !== undefined
    flight.abort()
    const after = line.start(shortPrompt())
    const bound = patience(2 * coldMs)
    if (!(await line.begins(after, bound))) throw wedged(bound)
    const ttft = ttftOf(await line.answer(after))
    residence.loaded()
    return missed ? undefined : ttft
  } finally {
    await line.clear([flight])
  }
}
