import type { Signal, SignalAnswer } from '../../core/engine.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { RunEvent } from '../../core/event.ts'
import { type Figures, noFigures, type Readings } from '../../core/figures.ts'
import type { Fleet, FleetLoad, RunFilter, SubmitOptions, TurnOptions } from '../../core/fleet.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import { present } from '../../core/present.ts'
import type { HostedTurn, RunHost } from '../../core/run-host.ts'
import type { Acknowledgement } from '../../core/speaking.ts'
import { within } from '../../core/within.ts'
import { ReachableFleet } from './reachable-fleet.ts'

/** Runs that the workers of a fleet host. What it is asked while Redis is away fails with `CAESURA_E_REDIS` within a second. */
export class FleetHost implements RunHost {
  readonly #fleet: ReachableFleet
  readonly #fingerprintOf: (runId: string) => Promise<string | undefined>
  #figures: Figures = noFigures

  /** `fingerprintOf`: of a run, from where the fleet keeps it. */
  constructor(fleet: Fleet, fingerprintOf: (runId: string) => Promise<string | undefined>) {
    this.#fleet = new ReachableFleet(fleet, (ms) => this.#figures.time('caesura.redis.round_trip', ms))
    this.#fingerprintOf = fingerprintOf
  }

  submit(pipeline: Pipeline, options: SubmitOptions) {
    return this.#fleet.ask((fleet) => fleet.submit(pipeline, options))
  }

  async say(pipeline: Pipeline, turn: TurnOptions, limitMs: number): Promise<HostedTurn> {
    const taken = await this.#fleet.ask((fleet) => fleet.say(pipeline, turn))
    if (taken.became !== 'signal') return taken
    const { answer: asked, ...rest } = taken
    let answer: SignalAnswer | undefined
    await within(
      limitMs,
      asked.then((decided) => {
        answer = decided
      }),
    )
    return { ...rest, ...present({ answer }) }
  }

  session(id: string) {
    return this.#fleet.ask((fleet) => fleet.session(id))
  }

  deleteSession(id: string, tenant?: string) {
    return this.#fleet.ask((fleet) => fleet.deleteSession(id, tenant))
  }

  fingerprintOf(runId: string) {
    return this.#fleet.ask(() => this.#fingerprintOf(runId))
  }

  read(runId: string) {
    return this.#fleet.ask((fleet) => fleet.read(runId))
  }

  look(runId: string) {
    return this.#fleet.ask((fleet) => fleet.look(runId))
  }

  list(filter?: RunFilter) {
    return this.#fleet.ask((fleet) => fleet.list(filter))
  }

  /** Waits while Redis is away, and goes on when it is back. */
  events(runId: string, seq?: number, signal?: AbortSignal): AsyncGenerator<RunEvent, void, undefined> {
    return this.#fleet.fleet.events(runId, seq, signal)
  }

  async interrupt(runId: string, signal: Signal, limitMs: number): Promise<SignalAnswer | undefined> {
    return (await this.#fleet.askFor(limitMs, (fleet) => fleet.interrupt(runId, signal)))?.value
  }

  heard(runId: string, acknowledgement: Acknowledgement) {
    return this.#fleet.ask((fleet) => fleet.heard(runId, acknowledgement))
  }

  cancel(runId: string, reason?: string) {
    return this.#fleet.ask((fleet) => fleet.cancel(runId, reason))
  }

  async leave(runId: string, reason: string): Promise<void> {
    await this.#fleet.fleet.cancel(runId, reason).catch(() => false)
  }

  dead() {
    return this.#fleet.ask((fleet) => fleet.dead())
  }

  deadRun(runId: string) {
    return this.#fleet.ask((fleet) => fleet.deadRun(runId))
  }

  retryDead(runId: string) {
    return this.#fleet.ask((fleet) => fleet.retryDead(runId))
  }

  dropDead(runId: string) {
    return this.#fleet.ask((fleet) => fleet.dropDead(runId))
  }

  nodes() {
    return this.#fleet.ask((fleet) => fleet.nodes())
  }

  ready(limitMs: number): Promise<void> {
    return this.#fleet.ping(limitMs)
  }

  watch(figures: Figures): () => void {
    this.#figures = figures
    const end = figures.watch(async () => readingsOf(await this.#load()))
    return () => {
      this.#figures = noFigures
      end()
    }
  }

  /** Undefined while Redis is away. */
  async #load(): Promise<FleetLoad | undefined> {
    try {
      return await this.#fleet.ask((fleet) => fleet.load())
    } catch (error) {
      if (error instanceof CaesuraError && error.code === 'CAESURA_E_REDIS') return undefined
      throw error
    }
  }
}

/** While Redis is away nothing is known of the fleet, and nothing is said of it. */
function readingsOf(load: FleetLoad | undefined): Readings {
  if (load === undefined) return { 'caesura.redis.up': 0 }
  const { nodes, queues, liveRuns, pipelineWorkers } = load
  const ofNodes = (read: (node: (typeof nodes)[number]) => number) =>
    nodes.map((node) => ({ value: read(node), labels: { node: node.name, pool: node.pool } }))
  return {
    'caesura.redis.up': 1,
    'caesura.node.slots': ofNodes(({ slots }) => slots),
    'caesura.node.busy': ofNodes(({ busy }) => busy),
    'caesura.node.up': ofNodes(({ state }) => (state === 'up' ? 1 : 0)),
    'caesura.queue.waiting': queues.map(({ queue, waiting }) => ({ value: waiting, labels: { queue } })),
    'caesura.workers.up': [
      { value: pipelineWorkers, labels: { kind: 'pipelines' } },
      { value: nodes.filter(({ state }) => state === 'up').length, labels: { kind: 'stages' } },
    ],
    'caesura.runs.live': liveRuns,
  }
}
