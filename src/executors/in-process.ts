import type { CallEnd, CallRequest } from '../core/call.ts'
import { CallCancelled, summarize } from '../core/errors.ts'
import type { Executor, Node } from '../core/ports.ts'

interface Waiter {
  readonly request: CallRequest
  readonly start: (node: NodeState) => void
}

interface NodeState {
  readonly node: Node
  free: number
}

/**
 * Runs calls on nodes of this process. A node works on as many calls at once as it has slots; the others wait in the order in
 * which they came, each for the first free node that may take it (its model, its placement). A cancelled waiter is never sent.
 * Close it only when no call is left.
 */
export function inProcessExecutor(nodes: readonly Node[]): Executor {
  const states = nodes.map((node): NodeState => ({ node, free: node.slots }))
  // A Set keeps the order of arrival and forgets a cancelled waiter in constant time.
  const waiting = new Set<Waiter>()
  const loads = new AbortController()

  const mayTake = ({ node }: NodeState, { model, placement, previousNode }: CallRequest): boolean => {
    if (node.models !== undefined && !node.models.includes(model)) return false
    if (previousNode === undefined || placement === 'any') return true
    return placement === 'same' ? node.name === previousNode : node.name !== previousNode
  }

  const release = (state: NodeState) => {
    state.free += 1
    for (const waiter of waiting) {
      if (!mayTake(state, waiter.request)) continue
      waiting.delete(waiter)
      waiter.start(state)
      return
    }
  }

  function acquire(request: CallRequest, signal: AbortSignal): NodeState | Promise<NodeState | undefined> {
    const able = states.filter((state) => mayTake(state, request))
    const free = able.find((state) => state.free > 0)
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

  return {
    async execute(request, { clock, signal, observer }): Promise<CallEnd> {
      if (signal.aborted) return { end: 'cancelled' }
      if (!states.some((state) => mayTake(state, request))) return nobody(request, nodes)
      const place = acquire(request, signal)
      // Without a wait the call is sent in this very turn of the event loop.
      const state = place instanceof Promise ? await place : place
      if (state === undefined) return { end: 'cancelled' }
      const { name, backend } = state.node
      try {
        observer.mark('slot-acquired')
        observer.placed({
          name,
          backend: backend.kind,
          ...(backend.address !== undefined && { address: backend.address }),
        })
        return await backend.generate(request, {
          clock,
          signal,
          mark: (mark, at) => observer.mark(mark, at),
          token: (text) => observer.token(text),
        })
      } finally {
        observer.mark('slot-released')
        release(state)
      }
    },
    async load(model) {
      const idle = states.find(({ node, free }) => free > 0 && (node.models?.includes(model) ?? true))
      if (idle === undefined) return { outcome: 'skipped', reason: 'no free slot' }
      const { backend } = idle.node
      if (backend.load === undefined)
        return { outcome: 'skipped', reason: `a ${backend.kind} node loads nothing ahead` }
      try {
        await backend.load(model, loads.signal)
        return { outcome: 'loaded' }
      } catch (error) {
        return { outcome: 'failed', reason: summarize(error).message }
      }
    },
    async close() {
      loads.abort(new CallCancelled('the engine is closing'))
      await Promise.all(nodes.map((node) => node.backend.close()))
    },
  }
}

function nobody({ model, placement, previousNode }: CallRequest, nodes: readonly Node[]): CallEnd {
  const names = nodes.map((node) => node.name).join(', ')
  const wish =
    placement === 'any' || previousNode === undefined ? '' : ` with placement ${placement} (before: ${previousNode})`
  return {
    end: 'failed',
    retryable: false,
    error: {
      code: 'CAESURA_E_NO_MODEL',
      message: `no node takes calls for the model ${model}${wish}; nodes: ${names}`,
    },
  }
}
