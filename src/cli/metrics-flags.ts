import type { Command } from 'commander'
import { type ObservedProcess, type Observing, observe } from '../observing.ts'
import { remark } from './output.ts'
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

/** Spans and figures of a process as its environment and these flags ask for them. Throws `CAESURA_E_LISTEN`. */
export const observeWith = (
  { metricsPort: port, metricsHost: host }: MetricsFlags,
  which: Omit<ObservedProcess, 'metrics' | 'log'>,
): Promise<Observing | undefined> =>
  observe(process.env, { ...which, log: remark, ...(port !== undefined && { metrics: { host, port } }) })
