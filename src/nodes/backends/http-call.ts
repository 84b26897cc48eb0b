import type { CallEnd, GenerateContext } from '../../core/call.ts'
import { msToNs } from '../../core/clock.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { Connections } from './http-connections.ts'
import { failed } from './http-errors.ts'
import { Exchange } from './http-marks.ts'
import type { HttpCall } from './http-send.ts'
import { loopWatch } from './loop-watch.ts'

export const LOAD_DEADLINE_MS = 300_000
export const IDLE_DEADLINE_MS = 300_000
/** How long an answer may take to end after its last line, ms. Then its connection is given up. */
const REST_MS = 250
/** How long a cancelled call waits to see its connection closed, ms. It takes well under one. */
const CLOSE_DEADLINE_MS = 1_000
/**
 * A signal of the call's own that follows the one it was given: a request leaves its listener on it until garbage collection,
 * and a run's signal sees many calls.
 */
export function follow(
  signal: AbortSignal,
  agent: Connections,
): {
  controller: AbortController
  signal: AbortSignal
  dispose: () => void
} {
  const controller = new AbortController()
  const abortNow = () => controller.abort(signal.reason)
  // Marks are told from inside undici, which fails when it is aborted there. A call that takes this one's place is sent first.
  const abort = () => queueMicrotask(() => (agent.isSending ? setImmediate(abortNow) : abortNow()))
  if (signal.aborted) controller.abort(signal.reason)
  else signal.addEventListener('abort', abort, { once: true })
  return { controller, signal: controller.signal, dispose: () => signal.removeEventListener('abort', abort) }
}

/** `heartbeats`: lines that came and said nothing. */
export function loadTimeout(address: string, loadDeadlineMs: number, heartbeats = 0): CaesuraError {
  const came =
    heartbeats === 0
      ? 'nothing'
      : `${heartbeats} heartbeat${heartbeats === 1 ? '' : 's'} (comments or empty lines) and no answer`
  const message = `${address} sent ${came} within ${loadDeadlineMs} ms (loading the model?)`
  return new CaesuraError('CAESURA_E_TIMEOUT_LOAD', message)
}

const silent = (address: string, idleDeadlineMs: number): CaesuraError =>
  new CaesuraError('CAESURA_E_TIMEOUT_STALL', `${address} went silent in its answer for ${idleDeadlineMs} ms`)

/** What the life of one call needs to know of its backend. */
export interface CallLife {
  readonly agent: Connections
  readonly address: string
  readonly loadDeadlineMs: number
  readonly idleDeadlineMs: number
  /** Called after the connection of an unfinished call was closed, before the call settles. Never rejects. */
  left?(): Promise<void>
}

/**
 * The life of one call on the wire, as `Backend.generate` promises it. `answer` reads the answer to its last line, throws what
 * goes wrong, and says when the first line came (`begun`) and when one came that says nothing (`heartbeat`): the server lives, and
 * whether it will answer is not known, so the deadline of the first line stays, and names them.
 */
export async function callOverHttp(
  context: GenerateContext,
  { agent, address, loadDeadlineMs, idleDeadlineMs, left }: CallLife,
  answer: (
    wire: Pick<HttpCall, 'signal' | 'openExchange'> & { begun: () => void; heartbeat: () => void },
  ) => Promise<CallEnd>,
): Promise<CallEnd> {
  if (context.signal.aborted) return { end: 'cancelled' }
  const { controller, signal, dispose } = follow(context.signal, agent)
  const { clock } = context
  let exchange: Exchange | undefined
  let isBegun = false
  let heartbeats = 0
  let stopWaiting = clock.schedule(clock.now() + msToNs(loadDeadlineMs), () =>
    controller.abort(loadTimeout(address, loadDeadlineMs, heartbeats)),
  )
  /** One timer for all of the answer: when it fires, it looks when the last byte came. */
  const awaitSilence = () => {
    const due = (exchange?.lastByteAt ?? clock.now()) + msToNs(idleDeadlineMs)
    if (due <= clock.now()) controller.abort(silent(address, idleDeadlineMs))
    else stopWaiting = clock.schedule(due, awaitSilence)
  }
  const begun = () => {
    if (isBegun) return
    isBegun = true
    stopWaiting()
    awaitSilence()
  }
  const heartbeat = () => {
    heartbeats += 1
  }
  const openExchange = () => (exchange = new Exchange(clock, (name, at) => context.mark(name, at)))
  /** Ends what is left of the call on the wire. */
  const leave = async () => {
    const unfinished = exchange?.unfinished ?? false
    controller.abort()
    exchange?.flush()
    if (exchange?.socket !== undefined && (await exchange.released(CLOSE_DEADLINE_MS))) context.mark('closed')
    if (unfinished) await left?.()
  }
  /** The end of the answer follows its last line at once. */
  const readRest = async () => {
    if (exchange !== undefined && !(await exchange.released(REST_MS))) controller.abort()
  }
  const withdrawSpare = agent.planSpare()
  const unwatch = loopWatch.watch()
  try {
    const end = await answer({ signal, openExchange, begun, heartbeat })
    if (agent.hasSpare) void readRest()
    else {
      // undici gives the connection to another call one turn of the event loop later: a stage that follows at once would open
      // a new one, which costs more than the wait.
      await readRest()
      await new Promise(setImmediate)
    }
    return end
  } catch (error) {
    const end = context.signal.aborted ? ({ end: 'cancelled' } as const) : failed(error)
    await leave()
    return end
  } finally {
    unwatch()
    if (exchange !== undefined && exchange.lateNs > 0) context.late?.(exchange.lateNs)
    withdrawSpare()
    stopWaiting()
    dispose()
  }
}
