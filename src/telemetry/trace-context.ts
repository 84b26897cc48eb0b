import { parseTraceParent, TraceState } from '@opentelemetry/core'
import type { TraceContext } from '../core/trace.ts'
import { otherPropagators, traceIn } from './propagation.ts'

/** The longest `baggage` that is passed on, bytes (W3C Baggage: a platform must take 8,192). */
const LONGEST_BAGGAGE = 8192
const SAMPLED = 1

/** Headers as Node has them, or variables of the environment. */
export type Carrier = Readonly<Record<string, string | readonly string[] | undefined>>

/** The trace that a caller is part of, by the headers that this process's propagators read: the W3C's, unless `OTEL_PROPAGATORS` names others. */
export function traceContextOf(headers: Carrier): TraceContext | undefined {
  const api = otherPropagators()
  return api === undefined ? w3cContextOf(headers) : traceIn(api, api.propagation.extract(api.ROOT_CONTEXT, headers))
}

/**
 * By the W3C's headers. Undefined where there is none or `traceparent` is malformed: then `tracestate` counts for nothing either (Trace
 * Context, 3.2 and 3.3).
 */
function w3cContextOf(headers: Carrier): TraceContext | undefined {
  // Several of them are as none.
  const { traceparent } = headers
  const parent = typeof traceparent === 'string' ? parseTraceParent(traceparent.trim()) : null
  if (parent === null) return undefined
  const state = stateOf(headers.tracestate)
  const baggage = [headers.baggage ?? ''].flat().join(',')
  return {
    traceId: parent.traceId,
    parentSpanId: parent.spanId,
    sampled: (parent.traceFlags & SAMPLED) === SAMPLED,
    ...(state !== '' && { state }),
    ...(baggage !== '' && Buffer.byteLength(baggage) <= LONGEST_BAGGAGE && isPrintable(baggage) && { baggage }),
  }
}

/** The same of a command's environment: `TRACEPARENT`, `TRACESTATE`, `BAGGAGE`, as OpenTelemetry has it for command lines. */
export const traceContextOfEnvironment = (environment: Carrier): TraceContext | undefined =>
  w3cContextOf({
    traceparent: environment.TRACEPARENT,
    tracestate: environment.TRACESTATE,
    baggage: environment.BAGGAGE,
  })

/** What of a `tracestate` holds: it is parsed and written anew, so that nothing malformed is passed on. */
const stateOf = (header: string | readonly string[] | undefined): string =>
  header === undefined ? '' : new TraceState([header].flat().join(',')).serialize()

/** A header that goes out must be one. */
const isPrintable = (text: string): boolean => /^[\x20-\x7e]*$/.test(text)
