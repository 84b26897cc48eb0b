import type { CallEnd } from '../core/call.ts'
import type { FleetNode } from '../core/fleet.ts'
import type { Log } from '../core/log.ts'
import { NodeHealth } from './node-health.ts'

/** What decides on a node's state beside its faults and its last calls. */
export interface NodeStateParts {
  readonly node: string
  readonly log: Log
  /** Names the calls that are stuck; '' where there is none. */
  stuck(): string
  /** Hears each time that it was decided whether the node takes calls. */
  decided(isUp: boolean): void
}

/** Whether a node takes calls, and why not: its worker, its name, its server and its last calls each have a say. */
export class NodeState {
  readonly #parts: NodeStateParts
  /** Why the node takes no calls, by who says so; the first counts. */
  readonly #faults = { stopping: '', name: '', server: '' }
  readonly #health = new NodeHealth()
  #state: FleetNode['state'] = 'up'
  #reason = ''
  #isStuck = false

  constructor(parts: NodeStateParts) {
    this.#parts = parts
  }

  get isUp(): boolean {
    return this.#state === 'up'
  }

  get state(): FleetNode['state'] {
    return this.#state
  }

  /** Why it takes no calls, or which of them are stuck; '' where neither is so. */
  get reason(): string {
    return this.#reason
  }

  get hasServerFault(): boolean {
    return this.#faults.server !== ''
  }

  /** Why the node should take no calls, as one of the three sees it; '' where that one has no objection. Counts from the next `review` on. */
  blame(who: 'stopping' | 'name' | 'server', why: string): void {
    this.#faults[who] = why
  }

  /** A call begins. */
  callBegins(): void {
    this.#health.noteStart(performance.now())
    this.review()
  }

  callEnded(end: CallEnd): void {
    this.#health.noteEnd(end, performance.now())
    this.review()
  }

  /** Decides anew. */
  review(): void {
    const { node, log, stuck, decided } = this.#parts
    const open = this.#health.state(performance.now()) === 'open' ? this.#health.reason : ''
    const { stopping, name, server } = this.#faults
    const why = stopping || name || server || open
    const next = stopping !== '' ? 'stopping' : why !== '' ? 'down' : 'up'
    if (next !== this.#state || why !== (this.isUp ? '' : this.#reason))
      log[next === 'down' ? 'warn' : 'info'](`node ${node}: ${next}${why === '' ? '' : `: ${why}`}`, {
        state: next,
        ...(why !== '' && { reason: why }),
      })
    this.#state = next
    const calls = stuck()
    if (calls !== '' && !this.#isStuck) log.warn(`node ${node}: ${calls}`)
    this.#isStuck = calls !== ''
    this.#reason = why !== '' ? why : calls
    decided(this.isUp)
  }
}
