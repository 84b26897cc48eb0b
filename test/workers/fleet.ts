import { type Script, scriptedBackend } from '../../src/backends/scripted.ts'
import { catalogue } from '../../src/compose.ts'
import type { CallRequest } from '../../src/core/call.ts'
import { type LogLine, logTo } from '../../src/core/log.ts'
import type { Backend, Telemetry } from '../../src/core/ports.ts'
import { FleetClient } from '../../src/workers/fleet-client.ts'
import type { FleetWorker } from '../../src/workers/fleet-worker.ts'
import { startPipelineWorker } from '../../src/workers/pipeline-worker.ts'
import type { Retention } from '../../src/workers/run-session.ts'
import { type StageWorkerSettings, startStageWorker } from '../../src/workers/stage-worker.ts'

export interface TestNode {
  readonly name: string
  readonly slots?: number
  readonly pool?: string
  readonly backend?: Backend
  readonly script?: Script
  readonly settings?: Partial<Omit<StageWorkerSettings, 'redis' | 'node'>>
}

/** Workers of a fleet in this process, over a real Redis, and what their models were asked. */
export class TestFleet {
  readonly redis: { readonly url: string }
  readonly asked: CallRequest[] = []
  readonly logged: string[] = []
  /** Of them what an operator is warned of. */
  readonly warned: string[] = []
  readonly lines: LogLine[] = []
  readonly #log = logTo((line) => {
    this.lines.push(line)
    this.logged.push(line.sentence)
    if (line.level === 'warn' || line.level === 'error') this.warned.push(line.sentence)
  })
  readonly #open = new Set<{ close(): Promise<void> }>()

  constructor(url: string) {
    this.redis = { url }
  }

  async node({ name, slots = 1, pool = 'default', backend, script, settings }: TestNode): Promise<FleetWorker> {
    const model = backend ?? scriptedBackend(script ?? { tokens: ['a ', 'b'], firstTokenMs: 5, tokenMs: 5 })
    const generate: Backend['generate'] = (request, context) => {
      this.asked.push(request)
      return model.generate(request, context)
    }
    const worker = await startStageWorker({
      redis: this.redis,
      node: { name, slots, pool, backend: { ...model, generate } },
      version: 'test',
      log: this.#log,
      ...settings,
    })
    return this.#keep(worker)
  }

  async pipelines(
    settings: { runs?: number; retention?: Partial<Retention>; telemetry?: Telemetry } = {},
  ): Promise<FleetWorker> {
    return this.#keep(
      await startPipelineWorker({
        redis: this.redis,
        catalogue,
        log: this.#log,
        ...settings,
      }),
    )
  }

  async client(): Promise<FleetClient> {
    return this.#keep(await FleetClient.open(this.redis))
  }

  #keep<T extends { close(): Promise<void> }>(part: T): T {
    this.#open.add(part)
    const close = part.close.bind(part)
    part.close = async () => {
      if (this.#open.delete(part)) await close()
    }
    return part
  }

  /** The newest first: clients before the workers that they wait for. */
  async close(): Promise<void> {
    for (const part of [...this.#open].reverse()) await part.close()
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until this holds; the test's own limit bounds it. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await pause(5)
}

/** Asks a script that serves many for one thing. */
export async function each(
  client: FleetClient,
  script: 'appendAll' | 'tellAll',
  parameters: readonly (string | number)[],
): Promise<unknown> {
  const [, answer] = await client.redis.call(script, parameters.length, ...parameters)
  return answer
}
