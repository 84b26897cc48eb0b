import { connectFleet, type FleetAddress } from '../app/fleet.ts'
import { CaesuraError } from '../core/errors.ts'
import type { SubmitOptions } from '../core/fleet.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { fleetAddress, type RedisFlag, tellOfPassword } from './fleet-address.ts'
import { print, printJson, remark } from './output.ts'
import type { NodeFlags, Settings } from './settings.ts'

/** The flags of `run` that have to do with a fleet, or exclude it. */
export interface FleetRunFlags extends RedisFlag, NodeFlags {
  readonly detach?: boolean
  readonly json?: boolean
  readonly events?: boolean
}

/** The fleet of `--redis`, where that stands. Throws `CAESURA_E_USAGE` for flags that do not go together. */
export function fleetOf(flags: FleetRunFlags, { config }: Settings): FleetAddress | undefined {
  const { redis, detach, events } = flags
  if (redis === undefined && !detach) return undefined
  if (redis === undefined) throw exclusion('--detach is of use with --redis only: a run in this process ends with it')
  const local = (['backend', 'url', 'node'] as const).find((flag) => flags[flag] !== undefined)
  if (local !== undefined) throw exclusion(`--${local} and --redis exclude each other: a fleet has nodes of its own`)
  if (detach && events) throw exclusion('--detach and --events exclude each other: who leaves sees no events')
  tellOfPassword(flags, remark)
  return fleetAddress(flags, config, process.env)
}

const exclusion = (message: string) => new CaesuraError('CAESURA_E_USAGE', message)

/** Leaves the run to the fleet and prints its id. Throws `CAESURA_E_REDIS`. */
export async function submitRun(
  redis: FleetAddress,
  pipeline: Pipeline,
  options: SubmitOptions,
  { json }: FleetRunFlags,
): Promise<void> {
  const fleet = await connectFleet(redis)
  try {
    const { runId, traceId } = await fleet.submit(pipeline, options)
    if (json) printJson({ runId, traceId })
    else print(`${runId}\n`)
  } finally {
    await fleet.close()
  }
}
