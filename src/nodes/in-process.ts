import { generateOn } from '../core/backend-call.ts'
import type { CallEnd, CallObserver, CallRequest, NodeWish } from '../core/call.ts'
import { CaesuraError, CallCancelled, summarize } from '../core/errors.ts'
import type { EngineUsage } from '../core/hosting.ts'
import { candidatesFor, nobodyTakes } from '../core/placement.ts'
import type { Executor, Node } from '../core/ports.ts'
import { within } from '../core/within.ts'
import { ModelLists } from './model-lists.ts'

interface Waiter {
  readonly request: CallRequest
  readonly start: (node: NodeState) => void
}

interface NodeState {
  readonly node: Node
  free: number
  readonly name: string
  /** The models that it takes calls for, as far as they are known. */
  readonly models: readonly string[] | undefined
  readonly isAsked: boolean
  /** Prompts that are read ahead on it, each with what ends it. */
  readonly prefills: Set<AbortController>
}

/** The executor of one process. */
export interface InProcessExecutor extends Executor {
  usage(): EngineUsage
  /**
   * Ends every call that its backend has not ended, as failed, and names the backend: `CAESURA_E_BACKEND`. For calls that were told to
   * stop `ms` ago. Returns the faults, one a node.
   */
  abandon(ms: number): CaesuraError[]
  /** Closes each node's backend, and waits `ms` for it at most. Returns what was thrown, and who was not done by then. */
  closeWithin(ms: number): Promise<unknown[]>
}

const stuck = ({ name, backend }: Node, what: string, ms: number): CaesuraError =>
  new CaesuraError('CAESURA_E_BACKEND', `the backend ${backend.kind} of the node ${name} ${what}, within ${ms} ms`, {
    received: name,
    expected: 'a backend that ends when its signal is aborted',
  })

const tellingOf = (observer: CallObserver): CallObserver => ({
  mark: (mark, at) => observer.mark(mark, at),
  token: (text, at) => observer.token(text, at),
  thinking: (text, at) => observer.thinking(text, at),
  toolCall: (call, at) => observer.toolCall?.(call, at),
  late: (ns) => observer.late?.(ns),
})

/**
 * Runs calls on nodes of this process. A node works on as many calls at once as it has slots; the others wait in the order in
 * which they came, each for the first free node that may take it (its model, its placement). A call whose model was removed from a node goes
 * to another that has it. A cancelled waiter is never sent. Close it only when no call is left.
 */
export function inProcessExecutor(nodes: readonly Node[]): InProcessExecutor {
  const lists = new ModelLists(nodes)
  const states = nodes.map(
    (node): NodeState => ({
      node,
      name: node.name,
      get models() {
        return lists.of(node)
      },
      isAsked: node.models === undefined,
      free: node.slots,
      prefills: new Set(),
    }),
  )
  // A Set keeps the order of arrival and forgets a cancelled waiter in constant time.
  const waiting = new Set<Waiter>()
  const closing = new AbortController()
  /** The calls that a backend makes, each with what ends it here. */
  const inHand = new Map<(end: CallEnd) => void, Node>()

  /** As its backend ends it, or `abandon`. */
  const made = (node: Node, call: Promise<CallEnd>): Promise<CallEnd> =>
    new Promise((resolve) => {
      inHand.set(resolve, node)
      void call.then((end) => {
        inHand.delete(resolve)
        resolve(end)
      })
    })

  const candidates = (wish: NodeWish): NodeState[] => candidatesFor(states, wish)

  const stopPrefills = ({ prefills }: NodeState, reason: CallCancelled) => {
    for (const controller of prefills) controller.abort(reason)
  }

  const release = (state: NodeState) => {
    state.free += 1
    for (const waiter of waiting) {
      if (!candidates(waiter.request).includes(state)) continue
      waiting.delete(waiter)
      waiter.start(state)
      return
    }
  }

  function acquire(request: CallRequest, signal: AbortSignal): NodeState | Promise<NodeState | undefined> {
    const able = candidates(request).filter(({ free }) => free > 0)
    const free = able.find(({ node }) => node.name === request.warmNode) ?? able[0]
    if (free !== undefined) {
      free.free -= 1
      return free
    }
    return new Promise((resolve) => {
      const giveUp = () => {
        waiting.delete(waiter)
        resolve(undefined)
      }
      const waiter: Waiter = {
        request,
        start: (state) => {
          state.free -= 1
          signal.removeEventListener('abort', giveUp)
          resolve(state)
        },
      }
      waiting.add(waiter)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  /** A node that could take such a call now, over and above what is read ahead there; else why there is none. */
  function idleFor(wish: NodeWish): NodeState | string {
    const able = candidates(wish)
    if (able.length === 0) return `no node takes calls for ${wish.model}`
    return able.find(({ free, prefills }) => free > prefills.size) ?? 'no free slot'
  }

  return {
    usage: () => ({
      nodes: states.map(({ node, free }) => ({ node, busy: node.slots - free })),
      waiting: waiting.size,
    }),
    async execute(request, { clock, signal, observer }): Promise<CallEnd> {
      if (signal.aborted) return { end: 'cancelled' }
      const listed = lists.ready()
      if (listed !== undefined) {
        await Promise.race([listed, aborted(signal)])
        if (signal.aborted) return { end: 'cancelled' }
      }
      const able = candidates(request)
      if (able.length === 0) return nobody(request, nodes)
      const slots = able.reduce((sum, { node }) => sum + node.slots, 0)
      const free = able.reduce((sum, state) => sum + state.free, 0)
      observer.load?.({ busySlots: slots - free, slots, waiting: waiting.size })
      const place = acquire(request, signal)
      // Without a wait the call is sent in this very turn of the event loop.
      const state = place instanceof Promise ? await place : place
      if (state === undefined) return { end: 'cancelled' }
      const { name, backend } = state.node
      stopPrefills(state, new CallCancelled('a call is sent to the node'))
      try {
        observer.mark('slot-acquired')
        observer.placed({
          name,
          backend: backend.kind,
          ...(backend.address !== undefined && { address: backend.address }),
        })
        const end = await made(state.node, generateOn(backend, request, { clock, signal, ...tellingOf(observer) }))
        if (end.error?.code !== 'CAESURA_E_NO_MODEL' || signal.aborted) return end
        // It was removed since the server listed it: another node may have it.
        await lists.without(request.model, state.node)
        return candidates(request).some((other) => other !== state) ? { ...end, elsewhere: true } : end
      } finally {
        observer.mark('slot-released')
        release(state)
      }
    },
    async load(wish) {
      const idle = idleFor(wish)
      if (typeof idle === 'string') return { outcome: 'skipped', reason: idle }
      const { name, backend } = idle.node
      if (backend.load === undefined)
        return { outcome: 'skipped', reason: `a ${backend.kind} node loads nothing ahead` }
      try {
        await backend.load(wish.model, closing.signal)
        return { outcome: 'loaded', node: name }
      } catch (error) {
        return { outcome: 'failed', node: name, reason: summarize(error).message }
      }
    },
    async prefill(wish, request, signal) {
      if (signal.aborted) return { outcome: 'skipped', reason: 'given up before it began' }
      const idle = idleFor(wish)
      if (typeof idle === 'string') return { outcome: 'skipped', reason: idle }
      const { name, backend } = idle.node
      if (backend.prefill === undefined)
        return { outcome: 'skipped', reason: `a ${backend.kind} node reads no prompt ahead` }
      const controller = new AbortController()
      const end = () => controller.abort(signal.reason)
      signal.addEventListener('abort', end, { once: true })
      idle.prefills.add(controller)
      try {
        await backend.prefill(request, controller.signal)
        return { outcome: 'prefilled', node: name }
      } catch (error) {
        // What was read by then may still be of use to the call.
        return controller.signal.aborted
          ? { outcome: 'skipped', node: name, reason: 'given up for a call' }
          : { outcome: 'failed', node: name, reason: summarize(error).message }
      } finally {
        idle.prefills.delete(controller)
        signal.removeEventListener('abort', end)
      }
    },
    async close() {
      const [fault] = await this.closeWithin(Number.POSITIVE_INFINITY)
      if (fault !== undefined) throw fault
    },
    abandon(ms) {
      const faults = new Map<Node, CaesuraError>()
      for (const [end, node] of inHand) {
        const error = faults.get(node) ?? stuck(node, 'has not ended a call that was told to stop', ms)
        faults.set(node, error)
        inHand.delete(end)
        end({ end: 'failed', retryable: false, error: summarize(error) })
      }
      return [...faults.values()]
    },
    async closeWithin(ms) {
      const reason = new CallCancelled('the engine is closing')
      closing.abort(reason)
      for (const state of states) stopPrefills(state, reason)
      const closed = nodes.map(async (node) => {
        const isClosed = await within(
          ms,
          // Whatever it is: it may throw at once, or return nothing.
          Promise.resolve().then(() => node.backend.close()),
        )
        if (!isClosed) throw stuck(node, 'has not closed', ms)
      })
      const ends = await Promise.allSettled(closed)
      return ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []))
    },
  }
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

const nobody = (request: CallRequest, nodes: readonly Node[]): CallEnd => {
  const message = nobodyTakes(
    request,
    nodes.map(({ name }) => name),
  )
  return { end: 'failed', retryable: false, error: { code: 'CAESURA_E_NO_MODEL', message } }
}
