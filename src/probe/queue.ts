import { msToNs, type Nanoseconds, nsToMs } from '../core/clock.ts'
import { patience, repeat, wedged } from './abort.ts'
import { hiddenMs, idleMs, type Step, tokensFor } from './findings.ts'
import type { Answer, Flight, Line } from './line.ts'
import { shortPrompt, talkPrompt } from './prompts.ts'
import { firstTokenAt, medianOf } from './samples.ts'

/** Tokens that a waiter would generate if the server ran it after it had given up: enough to be seen. */
const WAITER_TOKENS = 64

/**
 * What a call that gave up in the server's queue costs the next one: the time from the end of the call that held the slot to
 * the first token of the next, with and without a waiter between them that was aborted.
 */
export async function measureQueueAbort(step: Step): Promise<void> {
  const { line, findings } = step
  const { slots } = findings
  if (slots === undefined || slots.bounded) {
    findings.notes.push('Abort in the queue: not seen; the server has more slots than a probe can fill.')
    return
  }
  // The waiter and the next call have to be past their preparation while the slot is still busy.
  const waitMs = 5 + 2 * hiddenMs(findings)
  const tokens = tokensFor(4 * waitMs + idleMs(findings), findings, 16, 256)
  const controls: number[] = []
  await repeat(step, 0, 'Abort in the queue', async () => {
    const control = await handover(line, { busy: slots.count, tokens })
    const waited = await handover(line, { busy: slots.count, tokens, waitMs })
    if (control === undefined || waited === undefined) return false
    controls.push(control)
    findings.lags.queue.push(waited - medianOf(controls)!)
    return true
  })
}

/** End of the first of the busy calls → first token of the next, ms. Undefined when they had ended too early. */
async function handover(
  line: Line,
  { busy, tokens, waitMs }: { busy: number; tokens: number; waitMs?: number },
): Promise<number | undefined> {
  await line.open(busy + 2)
  const talks = Array.from({ length: busy }, (_, which) => line.start(talkPrompt(tokens, which)))
  const bound = patience(1_000)
  for (const talk of talks) if (!(await line.begins(talk, 10 * bound))) throw wedged(10 * bound)
  const over = () => talks.some((talk) => talk.isOver)
  let waiter: Flight | undefined
  if (waitMs !== undefined) {
    waiter = line.start(talkPrompt(WAITER_TOKENS, busy))
    await line.until(line.clock.now() + msToNs(waitMs), waiter)
    waiter.abort()
    if (waiter.firstAt !== undefined) await line.clear([waiter])
  }
  const early = over() || waiter?.firstAt !== undefined
  const next = line.start(shortPrompt())
  const answers = await Promise.all(talks.map((talk) => line.answer(talk)))
  if (!(await line.begins(next, bound))) throw wedged(bound)
  const after = await line.answer(next)
  await waiter?.ended
  const freeAt = Math.min(...answers.map(talkEnd))
  const firstAt = firstTokenAt(after)
  return early || firstAt === undefined || freeAt <= after.startedAt ? undefined : nsToMs(firstAt - freeAt)
}

const talkEnd = ({ lastAt, marks, endedAt }: Answer): Nanoseconds => marks.get('done') ?? lastAt ?? endedAt
