import { catalogue, withoutText } from './compose.ts'
import type { Figures } from './core/figures.ts'
import type { Fleet, FleetAddress } from './core/fleet.ts'
import { recordKeeper } from './core/live-design.ts'
import type { Log } from './core/log.ts'
import type { Node, RunStore, Telemetry } from './core/ports.ts'
import { version } from './version.ts'
import { FleetClient } from './workers/fleet-client.ts'
import { type FleetWorker, type PipelineWorker, startPipelineWorker } from './workers/pipeline-worker.ts'
import type { Retention } from './workers/run-session.ts'
import { type StageWorkerSettings, startStageWorker } from './workers/stage-worker.ts'

export type { FleetAddress, FleetWorker, PipelineWorker, Retention }

/** The fleet behind a Redis. Throws `CAESURA_E_REDIS`. */
export const connectFleet = (address: FleetAddress): Promise<Fleet> => FleetClient.open(address)

export interface HostingSettings {
  readonly redis: FleetAddress
  /** Runs at once; 500 by default. */
  readonly runs?: number
  readonly retention?: Partial<Retention>
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
export function hostRuns({ store, ...settings }: HostingSettings): Promise<PipelineWorker> {
  const write = store && recordKeeper(store, { isShared: true })
  return startPipelineWorker({
    ...settings,
    catalogue,
    ...(write !== undefined && { keep: (record, pipeline) => write(withoutText(record), pipeline) }),
  })
}

/** Serves a node's slots to the fleet from this process. Throws `CAESURA_E_REDIS`, `CAESURA_E_NODE_TAKEN`. */
export const serveNode = (node: Node, settings: Omit<StageWorkerSettings, 'node' | 'version'>): Promise<FleetWorker> =>
  startStageWorker({ ...settings, node, version })
