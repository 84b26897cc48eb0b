import type { Catalogue } from '../core/catalogue.ts'
import type { Figures } from '../core/figures.ts'
import type { Fleet, FleetAddress } from '../core/fleet.ts'
import type { Log } from '../core/log.ts'
import type { Node, RunStore, Telemetry } from '../core/ports.ts'
import { recordKeeper } from '../lab/design/live-design.ts'
import type { FleetWorker } from '../workers/fleet-worker.ts'
import type { PipelineWorker } from '../workers/pipeline-worker.ts'
import type { Retention } from '../workers/run-session.ts'
import type { StageWorkerSettings } from '../workers/stage-worker.ts'
import { catalogue, withoutText } from './compose.ts'
import { joinProgramTraces } from './tracing.ts'
import { version } from './version.ts'

export type { FleetAddress, FleetWorker, PipelineWorker, Retention }

// BullMQ and ioredis take a third of a second to load: only who has to do with a fleet pays for it.

/** The fleet behind a Redis. Throws `CAESURA_E_REDIS`. */
export const connectFleet = async (address: FleetAddress): Promise<Fleet> =>
  (await import('../workers/fleet-client.ts')).FleetClient.open(address)

export interface HostingSettings {
  readonly redis: FleetAddress
  /** Runs at once; 500 by default. */
  readonly runs?: number
  readonly retention?: Partial<Retention>
  /** Whether Redis keeps the texts of ended runs in their records; true by default. Their events have them as long as they are kept. */
  readonly keepText?: boolean
  /** The policies that the pipelines of its runs may name; those that ship by default. */
  readonly catalogue?: Catalogue
  /** Where the records of the runs that end here go beside Redis, without texts; nowhere by default. Not closed with the worker. */
  readonly store?: RunStore
  /** Spans and figures of the runs that end here. Closed with the worker. */
  readonly telemetry?: Telemetry
  /** What of the worker is counted; nothing by default. */
  readonly figures?: Figures
  /** By which records and spans name this process; `caesura-pipelines` by default. */
  readonly service?: string
  /** Hears what an operator should know; silent by default. */
  readonly log?: Log
}

/** Hosts runs in this process. Throws `CAESURA_E_REDIS`. */
export async function hostRuns({ store, keepText = true, ...settings }: HostingSettings): Promise<PipelineWorker> {
  const { startPipelineWorker } = await import('../workers/pipeline-worker.ts')
  const write = store && recordKeeper(store, { isShared: true })
  joinProgramTraces()
  return startPipelineWorker({
    catalogue,
    ...settings,
    ...(!keepText && { asKept: withoutText }),
    ...(write !== undefined && { keep: (record, pipeline) => write(withoutText(record), pipeline) }),
  })
}

/** Serves a node's slots to the fleet from this process. Throws `CAESURA_E_REDIS`, `CAESURA_E_NODE_TAKEN`. */
export const serveNode = async (
  node: Node,
  settings: Omit<StageWorkerSettings, 'node' | 'version'>,
): Promise<FleetWorker> => {
  joinProgramTraces()
  return (await import('../workers/stage-worker.ts')).startStageWorker({ ...settings, node, version })
}
