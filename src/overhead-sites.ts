import { createEngine } from './compose.ts'
import type { ChatMessage } from './core/call.ts'
import type { Engine } from './core/engine.ts'
import type { Node, RunStore } from './core/ports.ts'
import type { Site } from './experiments/overhead/conduct.ts'
import type { CellPlan } from './experiments/overhead/design.ts'
import { llamaCpp, ollama } from './nodes.ts'

/** Our side never makes a call wait: what waits, waits for the engine or at the server. */
const CALLS_AT_ONCE = 4

/** The nodes of one transport. */
export interface SiteNodes {
  /** With one slot. */
  readonly one: Node
  /** With two slots; absent where there is no such server. It is the second node as well. */
  readonly two?: Node
  /** Another node on the server of `one`, without a connection yet; absent where there are no connections. */
  fresh?(): Node
}

export interface SitePlan {
  readonly model: string
  /** That all trials with a shared prefix have. */
  readonly messages: readonly ChatMessage[]
  readonly store?: RunStore
  /** How long a call may take, ms. */
  readonly limitMs: number
}

/** llama.cpp in this process. */
export const inProcessNodes = (file: string): SiteNodes => ({
  one: { ...llamaCpp({ name: 'in-process', model: file }), slots: CALLS_AT_ONCE },
  two: { ...llamaCpp({ name: 'in-process-2', model: file, slots: 2 }), slots: CALLS_AT_ONCE },
})

/** Servers that speak Ollama's interface: at `url`, and at `urlOfTwo` one with two slots. */
export function httpNodes(name: string, url: string, urlOfTwo?: string): SiteNodes {
  const node = (suffix: string, at: string) => ollama({ name: `${name}${suffix}`, url: at, slots: CALLS_AT_ONCE })
  return {
    one: node('', url),
    ...(urlOfTwo !== undefined && { two: node('-2', urlOfTwo) }),
    fresh: () => node('', url),
  }
}

/** An engine that keeps its text and leaves the store open when it is closed. */
export const engineOn = (nodes: readonly Node[], { model, store }: Pick<SitePlan, 'model' | 'store'>): Engine =>
  createEngine({
    nodes,
    models: { measured: model },
    keepText: true,
    ...(store !== undefined && { store: { ...store, close: () => {} } }),
  })

export function siteOn(nodes: SiteNodes, plan: SitePlan): Site {
  const { model, messages, limitMs } = plan
  const engines = new Map<string, Engine>()
  const standing = (name: string, on: readonly Node[]): Engine => {
    const engine = engines.get(name) ?? engineOn(on, plan)
    engines.set(name, engine)
    return engine
  }
  const nodesOf = ({ slots, handoff }: CellPlan): Node[] => {
    const { one, two } = nodes
    if (two === undefined) return [one]
    if (handoff === 'abort and fire, second node') return [one, two]
    return [slots > 1 ? two : one]
  }
  /** A call of its own that waits for its turn: whatever the last trial left behind has ended then, and the prompt is known. */
  async function prime({ backend }: Node, signal: AbortSignal): Promise<void> {
    const limited = () => AbortSignal.any([signal, AbortSignal.timeout(limitMs)])
    const request = { model, messages, isCut: false, options: { temperature: 0 } }
    try {
      await backend.prefill?.(request, limited())
    } catch (error) {
      if (signal.aborted || backend.unload === undefined) throw error
      // An abort can cost Ollama 0.24 its only slot (ollama#17131); a model that is loaded anew has it again.
      await backend.unload(model, limited())
      await backend.prefill?.(request, limited())
    }
  }
  return {
    async ready(cell, signal) {
      const on = nodesOf(cell)
      for (const node of on) {
        await prime(node, signal)
        if (cell.load === 'cold') await node.backend.unload?.(model, signal)
      }
      if (nodes.fresh === undefined || cell.connection === 'reused')
        return { engine: standing(on.map(({ name }) => name).join(' '), on), leave: async () => {} }
      const node = nodes.fresh()
      if (cell.connection === 'prewarmed') await node.backend.server(signal)
      const engine = engineOn([node], plan)
      return { engine, leave: () => engine.close() }
    },
  }
}
