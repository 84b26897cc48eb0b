import { SCHEMA_URL, SCOPE, TELEMETRY_VERSION } from '../semconv.ts'

/** By which all metrics are named as ours. */
export const scope = { name: SCOPE, version: TELEMETRY_VERSION, schemaUrl: SCHEMA_URL }
