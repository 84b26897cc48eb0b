import type * as Api from '@opentelemetry/api'
import type { Context, TextMapPropagator } from '@opentelemetry/api'
import type { TraceContext, TraceHeaders } from '../core/trace.ts'
import type { TraceCarrier } from '../core/trace-carrier.ts'
import { programApi, sdkCore } from './program-api.ts'

/** What the W3C's propagators, OpenTelemetry's default, read and write. */
const W3C: readonly string[] = ['traceparent', 'tracestate', 'baggage']

let isSilent = false

/** Says that this process is to pass no trace on and to take none up: `OTEL_PROPAGATORS=none`, of which the API knows nothing. */
export const propagateNothing = (): void => {
  isSilent = true
}

/** OpenTelemetry's API where this process's propagators are others than the W3C's; undefined where nobody has chosen any, too. */
export function otherPropagators(): typeof Api | undefined {
  const api = programApi()
  const fields = api?.propagation.fields() ?? []
  const isW3c = fields.length === W3C.length && W3C.every((field) => fields.includes(field))
  return isW3c || (fields.length === 0 && !isSilent) ? undefined : api
}

/** The trace of a context, as a run takes it up; undefined where it has no span. */
export function traceIn(api: typeof Api, context: Context): TraceContext | undefined {
  const span = api.trace.getSpanContext(context)
  if (span === undefined || !api.isSpanContextValid(span)) return undefined
  const state = span.traceState?.serialize() ?? ''
  const baggage = baggageIn(api, context)
  return {
    traceId: span.traceId,
    parentSpanId: span.spanId,
    sampled: (span.traceFlags & api.TraceFlags.SAMPLED) === api.TraceFlags.SAMPLED,
    ...(state !== '' && { state }),
    ...(baggage !== undefined && { baggage }),
  }
}

function baggageIn(api: typeof Api, context: Context): string | undefined {
  if (api.propagation.getBaggage(context) === undefined) return undefined
  const carrier: { baggage?: string } = {}
  ;new (sdkCore().W3CBaggagePropagator)().inject(context, carrier, api.defaultTextMapSetter)
  return carrier.baggage
}

/** The span that is active where this is called; undefined where there is none, or nobody traces in this program. */
export function activeTrace(): TraceContext | undefined {
  const api = programApi()
  return api && traceIn(api, api.context.active())
}

/**
 * A call's part in what else traces in this program. Its headers are written by the program's propagators. A backend's request is not
 * traced a second time: the call has its span, and instrumentation would send a second `traceparent`. The code of a step has the call's
 * span as the active one, so that what it does lies below that.
 */
export const carried: TraceCarrier = (trace, maker, make) => {
  const api = programApi()
  if (api === undefined) return make(trace)
  const { suppressTracing, unsuppressTracing } = sdkCore()
  const active = api.context.active()
  if (maker === 'step')
    return api.context.with(contextOf(api, trace, unsuppressTracing(active)), make, undefined, trace)
  const headers = otherPropagators() === undefined ? trace : {}
  // Before it is suppressed: propagators say nothing of what is not traced.
  if (headers !== trace) api.propagation.inject(contextOf(api, trace, api.ROOT_CONTEXT), headers)
  return api.context.with(suppressTracing(active), make, undefined, headers)
}

let w3c: TextMapPropagator | undefined

/** Made once: it reads the headers of each call. */
function w3cPropagator(): TextMapPropagator {
  const { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } = sdkCore()
  w3c ??= new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] })
  return w3c
}

function contextOf(api: typeof Api, trace: TraceHeaders, base: Context): Context {
  const context = w3cPropagator().extract(base, trace, api.defaultTextMapGetter)
  const span = api.trace.getSpanContext(context)
  return span === undefined ? context : api.trace.setSpanContext(context, { ...span, isRemote: false })
}
