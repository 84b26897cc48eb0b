import type { FleetLimits } from '../core/fleet.ts'
import type { Api } from '../server/api/api.ts'
import { FleetHost } from '../server/hosts/fleet-host.ts'
import { FleetClient } from '../workers/fleet-client.ts'
import { tellOutages } from '../workers/redis.ts'
import { parseJson } from '../workers/wire.ts'
import type { FleetAddress } from './fleet.ts'
import { serveRuns, type ServingSettings as WithoutHost } from './serving.ts'

/** Part of the composition root: the HTTP API and the fleet behind it. */
export type { Api }

export interface ServingSettings extends WithoutHost {
  readonly redis: FleetAddress
  /** What it takes at most. */
  readonly limits?: FleetLimits
}

/** Serves the fleet behind a Redis over HTTP. Throws `CAESURA_E_REDIS`, `CAESURA_E_LISTEN`, `CAESURA_E_USAGE`. */
export async function serveFleet({ redis, limits, ...settings }: ServingSettings): Promise<Api> {
  const fleet = await FleetClient.open(redis, limits)
  const { client, keys } = fleet.redis
  if (settings.log !== undefined) tellOutages(fleet.redis, settings.log)
  const host = new FleetHost(fleet, async (runId) => {
    const spec = await client.hget(keys.run(runId), 'spec')
    return (Object(parseJson(spec)) as { fingerprint?: string }).fingerprint
  })
  try {
    const api = await serveRuns(host, settings)
    return {
      url: api.url,
      async close() {
        await api.close()
        await fleet.close()
      },
    }
  } catch (error) {
    await fleet.close()
    throw error
  }
}
