import { createRequire } from 'node:module'
import type * as Api from '@opentelemetry/api'
import type * as Core from '@opentelemetry/core'

/** Under which every copy of OpenTelemetry's API, of version 1, finds what was registered in the process. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

type Part = 'trace' | 'context' | 'metrics' | 'propagation' | 'diag'

const registered = (): Partial<Record<Part, unknown>> | undefined =>
  (globalThis as { [REGISTERED]?: Partial<Record<Part, unknown>> })[REGISTERED]

/** Whether somebody has set OpenTelemetry up in this process, whoever it was. */
export const isSetUp = (): boolean => {
  const parts = registered()
  return [parts?.trace, parts?.context, parts?.metrics, parts?.propagation].some((part) => part !== undefined)
}

/** Whether somebody listens to what OpenTelemetry itself has to say. */
export const hasListener = (): boolean => registered()?.diag !== undefined

const load = createRequire(import.meta.url)
let api: typeof Api | undefined
let core: typeof Core | undefined

/**
 * OpenTelemetry's API where the program has set OpenTelemetry up; undefined where not: then nothing is active, and nothing is loaded for
 * it. At once, because a run is started at once.
 */
export function programApi(): typeof Api | undefined {
  if (registered()?.context === undefined) return undefined
  api ??= load('@opentelemetry/api') as typeof Api
  return api
}

/** What the SDK's packages have in common, such as the W3C's propagators. */
export function sdkCore(): typeof Core {
  core ??= load('@opentelemetry/core') as typeof Core
  return core
}
