import { catalogue, withoutText } from './compose.ts'
import type { ScrapedFigures } from './core/figures.ts'
import type { FleetLimits } from './core/fleet.ts'
import { jsonSchemaOf } from './core/json-schemas.ts'
import { definePipelineWith } from './core/pipeline-schema.ts'
import type { PolicyCatalogue } from './core/policy.ts'
import type { FleetAddress } from './fleet.ts'
import { figuresToScrape, joinTraces } from './observing.ts'
import { type Api, startApi } from './server/api/api.ts'
import type { ApiSettings } from './server/api/settings.ts'
import { readTokens } from './server/api/tokens.ts'
import { version } from './version.ts'
import { defaultLimits } from './workers/admission.ts'
import { FleetClient } from './workers/fleet-client.ts'
import { tellOutages } from './workers/redis.ts'
import { parseJson } from './workers/wire.ts'

/** Part of the composition root: the HTTP API and the fleet behind it. */
export { type Api, defaultLimits, readTokens }

export interface ServingSettings
  extends Omit<
    ApiSettings,
    'fleet' | 'figures' | 'fingerprintOf' | 'define' | 'pipelineJsonSchema' | 'version' | 'withoutText'
  > {
  readonly redis: FleetAddress
  /** What it takes at most. */
  readonly limits?: FleetLimits
  /** A token that may only read sees texts; false by default. */
  readonly keepText?: boolean
  /** Lets requests bring a pipeline along; false by default. */
  readonly allowInline?: boolean
  /** The policies that such a pipeline may name; those that ship by default. */
  readonly catalogue?: PolicyCatalogue
  /** Where it counts; by default figures that are only scraped. */
  readonly figures?: ScrapedFigures
}

/** Serves the fleet behind a Redis over HTTP. Throws `CAESURA_E_REDIS`, `CAESURA_E_LISTEN`, `CAESURA_E_USAGE`. */
export async function serveFleet(serving: ServingSettings): Promise<Api> {
  const {
    redis,
    limits,
    keepText = false,
    allowInline = false,
    figures,
    catalogue: policies = catalogue,
    ...settings
  } = serving
  const fleet = await FleetClient.open(redis, limits)
  const { client, keys } = fleet.redis
  if (settings.log !== undefined) tellOutages(fleet.redis, settings.log)
  try {
    const api = await startApi({
      openRequest: await joinTraces(),
      ...settings,
      ...(!keepText && { withoutText }),
      ...(allowInline && {
        define: (value: unknown) => definePipelineWith(policies, value),
        pipelineJsonSchema: inlinePipeline(policies),
      }),
      fleet,
      figures: figures ?? (await figuresToScrape('caesura-serve')),
      version,
      async fingerprintOf(runId) {
        const spec = await client.hget(keys.run(runId), 'spec')
        return (Object(parseJson(spec)) as { fingerprint?: string }).fingerprint
      },
    })
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

function inlinePipeline(policies: PolicyCatalogue) {
  const { $schema: _, ...schema } = jsonSchemaOf('pipeline', policies)
  return schema
}
