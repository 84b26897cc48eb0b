import type { PhaseName } from '../../src/core/record.ts'
import type { Observed } from './observe.ts'
import type { Scenario } from './scenario.ts'

export const heads = ['server', 'scenario', 'true, ms', 'said, ms', 'also said'] as const

/** Shorter lengths are left out, ms. */
const LEAST_MS = 5
/** What lies before the request is sent is no part of the scenario. */
const wire: ReadonlySet<PhaseName> = new Set([
  ...(['send', 'server-queue', 'load', 'prefill', 'first-token'] as const),
  ...(['transport', 'thinking', 'unattributed'] as const),
])

export const nameOf = ({ wire: server, name }: Pick<Scenario, 'wire' | 'name'>): string => `| ${server} | ${name} |`

/** One row: what was true and what was said, in whole ms. */
export function cells(scenario: Scenario, { truth, phases, call }: Observed): string[] {
  const isShort = (ms: number) => ms < LEAST_MS
  const true_ = Object.entries(truth).filter(([, ms]) => !isShort(ms))
  const said = phases.filter(({ name, ms }) => wire.has(name) && !isShort(ms))
  const also = [
    ...(call.arrival === undefined ? [] : [`arrival ${call.arrival}`]),
    ...(call.server?.unused === undefined ? [] : ['report not used']),
    ...(scenario.busyMs === undefined || call.lateLoopMs === undefined
      ? []
      : [`read up to ${Math.round(call.lateLoopMs)} ms late`]),
  ]
  return [
    scenario.wire,
    scenario.name,
    true_.map(([name, ms]) => `${name} ${Math.round(ms)}`).join(', '),
    said
      .map(({ name, ms, candidates }) =>
        candidates === undefined ? `${name} ${Math.round(ms)}` : `${name} ${Math.round(ms)} (${candidates.join(', ')})`,
      )
      .join(', '),
    also.join(', '),
  ]
}

const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`

export const tableOf = (rows: readonly (readonly string[])[]): string =>
  [line(heads), '|---|---|---|---|---|', ...rows.map(line)].join('\n')
