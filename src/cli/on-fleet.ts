import { connectFleet } from '../app/fleet.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Fleet, FleetRun } from '../core/fleet.ts'
import { fleetAddress, type RedisFlag, tellOfPassword } from './fleet-address.ts'
import { remark } from './output.ts'
import { readSettings } from './settings.ts'

/** The flags that say where the fleet is. */
export interface FleetFlags extends RedisFlag {
  readonly config?: string
}

/** Connects to the fleet, works with it, and leaves. Throws `CAESURA_E_REDIS`. */
export async function onFleet<T>(flags: FleetFlags, work: (fleet: Fleet) => Promise<T>): Promise<T> {
  tellOfPassword(flags, remark)
  const { config } = await readSettings(flags.config === undefined ? {} : { config: flags.config })
  const fleet = await connectFleet(fleetAddress(flags, config, process.env))
  try {
    return await work(fleet)
  } finally {
    await fleet.close()
  }
}

/** How many of the newest runs a beginning of an id is looked up in. */
const LOOKED_AT = 500

/** A run by id, by the beginning of one, or `last`. Throws `CAESURA_E_RUN_UNKNOWN`. */
export async function findRun(fleet: Fleet, run: string): Promise<FleetRun> {
  const known = await fleet.read(run).catch((error: unknown) => {
    if (!(error instanceof CaesuraError) || error.code !== 'CAESURA_E_RUN_UNKNOWN') throw error
  })
  if (known !== undefined) return known
  const { runs } = await fleet.list({ limit: LOOKED_AT })
  const newest = runs.toSorted((a, b) => b.submittedAt - a.submittedAt)[0]
  if (run === 'last' && newest !== undefined) return fleet.read(newest.runId)
  const [found, ...more] = run === '' ? [] : runs.filter(({ runId }) => runId.startsWith(run))
  if (found !== undefined && more.length === 0) return fleet.read(found.runId)
  throw new CaesuraError(
    'CAESURA_E_RUN_UNKNOWN',
    more.length > 0 ? `${more.length + 1} runs of the fleet begin with ${run}` : `the fleet has no run ${run}`,
    { received: run, hint: 'See `caesura runs --redis`.' },
  )
}
