import type { Clock } from '../core/clock.ts'
import type { Engine } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Node, RunStore } from '../core/ports.ts'
import type { Making } from '../lab/make-trials.ts'
import type { CellPlan, OverheadDesign, Transport } from '../lab/overhead/design.ts'
import { createEngine } from './compose.ts'
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

export interface Site {
  readonly transport: Transport
  readonly nodes: SiteNodes
  /** What the model is called there. */
  readonly model: string
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

interface On {
  readonly model: string
  readonly clock: Clock
  readonly store?: RunStore
}

/** An engine that keeps its text and leaves the store open when it is closed. */
export const engineOn = (nodes: readonly Node[], { model, clock, store }: On): Engine =>
  createEngine({
    ...{ nodes, clock, models: { measured: model }, keepText: true },
    ...(store !== undefined && { store: { ...store, close: () => {} } }),
  })

interface Preparing {
  readonly design: Pick<OverheadDesign, 'cells' | 'system' | 'prompt'>
  /** How long a call may take, ms. */
  readonly limitMs: number
  readonly store: RunStore
  readonly clock: Clock
}

/**
 * Brings a site into the state in which a trial of a cell begins: idle, the shared prompt known or the model unloaded, the connection
 * as the cell wants it.
 */
export function readyOn(sites: readonly Site[], { design, limitMs, store, clock }: Preparing): Making['ready'] {
  const cells = new Map(design.cells.map((cell) => [cell.id, cell]))
  const standing = new Map<string, Engine>()
  const messages = [
    { role: 'system' as const, content: design.system },
    { role: 'user' as const, content: design.prompt },
  ]
  /** A call of its own that waits for its turn: whatever the last trial left behind has ended then, and the prompt is known. */
  async function prime({ backend }: Node, model: string, signal: AbortSignal): Promise<void> {
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
  return async (arm, signal) => {
    const cell = cells.get(arm)
    const site = sites.find(({ transport }) => transport === cell?.transport)
    if (cell === undefined || site === undefined) throw new CaesuraError('CAESURA_E_INTERNAL', `no site for ${arm}`)
    const { nodes, model } = site
    const on = nodesOf(cell, nodes)
    for (const node of on) {
      await prime(node, model, signal)
      if (cell.load === 'cold') await node.backend.unload?.(model, signal)
    }
    if (nodes.fresh === undefined || cell.connection === 'reused') {
      const name = on.map((node) => node.name).join(' ')
      const engine = standing.get(name) ?? engineOn(on, { model, store, clock })
      standing.set(name, engine)
      return { engine }
    }
    const node = nodes.fresh()
    if (cell.connection === 'prewarmed') await node.backend.server(signal)
    const engine = engineOn([node], { model, store, clock })
    return { engine, leave: () => engine.close() }
  }
}

function nodesOf({ slots, handoff }: CellPlan, { one, two }: SiteNodes): Node[] {
  if (two === undefined) return [one]
  if (handoff === 'abort and fire, second node') return [one, two]
  return [slots > 1 ? two : one]
}
