import { msToNs, type Nanoseconds, nsToMs } from '../../core/clock.ts'
import { repeat, slotsBeside } from './abort.ts'
import { hiddenBoundMs, idleMs, type Step, tokensFor } from './findings.ts'
import type { Answer, Flight } from './line.ts'
import { patience, wedged } from './patience.ts'
import { shortPrompt, talkPrompt } from './prompts.ts'
import { firstTokenAt, medianOf } from './samples.ts'

/** Tokens that a waiter would generate if the server ran it after it had given up: enough to be seen. */
const WAITER_TOKENS = 64

/**
 * What a call that gave up in the server's queue costs the next one: the time from the end of the call that held the slot to
 * the first token of the next, with and without a waiter between them that was aborted.
 */
export async function measureQueueAbort(step: Step): Promise<void> {
  const { findings } = step
  const { slots } = findings
  if (slots === undefined || slots.bounded) {
    findings.notes.push('Abort in the queue: not seen; the server has more slots than a probe can fill.')
    return
  }
  // The waiter and the next call have to be past their preparation while the slot is still busy.
  const waitMs = 5 + 2 * hiddenBoundMs({ ...findings, witness: 'call' })
  const tokens = tokensFor(4 * waitMs + idleMs(findings), findings, 16, 256)
  const controls: number[] = []
  await repeat(
    step,
    () => 0,
    'Abort in the queue',
    async () => {
      const control = await handover(step, tokens)
      const waited = await handover(step, tokens, waitMs)
      if (control === undefined || waited === undefined) return false
      controls.push(control)
      findings.lags.queue.push(waited - medianOf(controls)!)
      return true
    },
  )
}

/** End of the call that holds the slot → first token of the next, ms. Undefined when it had ended too early. */
async function handover(
  { line, findings, fillers }: Step,
  tokens: number,
  waitMs?: number,
): Promise<number | undefined> {
  const bound = patience(idleMs(findings) + tokens * (medianOf(findings.tokenInterval) ?? 0))
  await fillers.keep(slotsBeside(findings), bound)
  await line.open(3)
  const talk = line.start(talkPrompt(tokens))
  if (!(await line.begins(talk, bound))) throw wedged(bound)
  let waiter: Flight | undefined
  if (waitMs !== undefined) {
    waiter = line.start(talkPrompt(WAITER_TOKENS, 1))
    await line.until(line.clock.now() + msToNs(waitMs), waiter)
    waiter.abort()
  }
  const early = talk.isOver || waiter?.firstAt !== undefined
  const next = line.start(shortPrompt())
  const before = await line.answer(talk)
  if (!(await line.begins(next, bound))) throw wedged(bound)
  const missed = early || fillers.someOver
  if (missed && waiter !== undefined) fillers.abandon(WAITER_TOKENS * (medianOf(findings.tokenInterval) ?? 0))
  const after = await line.answer(next)
  await waiter?.ended
  const freeAt = talkEnd(before)
  const firstAt = firstTokenAt(after)
  return missed || firstAt === undefined || freeAt <= after.startedAt ? undefined : nsToMs(firstAt - freeAt)
}

const talkEnd = ({ lastAt, marks, endedAt }: Answer): Nanoseconds => marks.get('done') ?? lastAt ?? endedAt
