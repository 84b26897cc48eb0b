import type { Catalogue } from '../core/catalogue.ts'
import type { ScrapedFigures } from '../core/figures.ts'
import type { RunHost } from '../core/run-host.ts'
import { definePipelineWith } from '../pipelines/pipeline-schema.ts'
import { type Api, startApi } from '../server/api/api.ts'
import type { ApiSettings } from '../server/api/settings.ts'
import { readTokens } from '../server/api/tokens.ts'
import { defaultLimits } from '../workers/admission.ts'
import { catalogue as shipped, withoutText } from './compose.ts'
import { jsonSchemaOf } from './json-schemas.ts'
import { figuresToScrape, joinTraces } from './observing.ts'
import { version } from './version.ts'

/** Part of the composition root: the HTTP API, whoever hosts the runs behind it. */
export { type Api, defaultLimits, readTokens }

export interface ServingSettings
  extends Omit<ApiSettings, 'runs' | 'figures' | 'define' | 'pipelineJsonSchema' | 'version' | 'withoutText'> {
  /** A token that may only read sees texts; false by default. */
  readonly keepText?: boolean
  /** Lets requests bring a pipeline along; false by default. */
  readonly allowInline?: boolean
  /** The policies that such a pipeline may name; those that ship by default. */
  readonly catalogue?: Catalogue
  /** Where it counts; by default figures that are only scraped. */
  readonly figures?: ScrapedFigures
}

/** Serves the runs of a host. Throws `CAESURA_E_LISTEN`, `CAESURA_E_USAGE`. */
export async function serveRuns(runs: RunHost, serving: ServingSettings): Promise<Api> {
  const { keepText = false, allowInline = false, figures, catalogue = shipped, ...settings } = serving
  return startApi({
    openRequest: await joinTraces(),
    ...settings,
    ...(!keepText && { withoutText }),
    ...(allowInline && {
      define: (value: unknown) => definePipelineWith(catalogue, value),
      pipelineJsonSchema: inlinePipeline(catalogue),
    }),
    runs,
    figures: figures ?? (await figuresToScrape('caesura-serve')),
    version,
  })
}

function inlinePipeline(catalogue: Catalogue) {
  const { $schema: _, ...schema } = jsonSchemaOf('pipeline', catalogue)
  return schema
}
