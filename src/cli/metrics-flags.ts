import type { Command } from 'commander'
import { withCapture } from '../app/logs.ts'
import { type ObservedProcess, type Observing, observeCommand } from '../app/observing.ts'
import type { Config } from '../nodes/config-schema.ts'
import { whole } from './script-flags.ts'

export interface MetricsFlags {
  readonly metricsPort?: number
  readonly metricsHost: string
}

const HIGHEST_PORT = 65_535

/** Adds `--metrics-port` and `--metrics-host`. */
export const withMetricsFlags = (command: Command): Command =>
  command
    .option(
      '--metrics-port <n>',
      'serve figures for Prometheus there; 0 takes a free one',
      whole('--metrics-port', 0, HIGHEST_PORT),
    )
    .option('--metrics-host <address>', 'where --metrics-port listens', '127.0.0.1')

/** Spans and figures of a process as its environment, its configuration and these flags ask for them. Throws `CAESURA_E_LISTEN`. */
export const observeWith = (
  { metricsPort: port, metricsHost: host }: MetricsFlags,
  which: Omit<ObservedProcess, 'metrics'>,
  config?: Config,
): Promise<Observing | undefined> =>
  observeCommand(withCapture(process.env, config), { ...which, ...(port !== undefined && { metrics: { host, port } }) })
