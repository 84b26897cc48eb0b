import { hash, randomBytes } from 'node:crypto'

/** The trace that a run belongs to, as the W3C's Trace Context has it. */
export interface TraceContext {
  /** 32 hex digits, not all 0. */
  readonly traceId: string
  /** The span that asked for the run, 16 hex digits; absent: the run is the root of its trace. */
  readonly parentSpanId?: string
  /** Whether its spans are sent; absent where nobody traces: then nothing is said of the trace to model servers either. */
  readonly sampled?: boolean
  /** `tracestate`, as it came. */
  readonly state?: string
  /** `baggage`, as it came: passed on, never looked at. */
  readonly baggage?: string
}

/**
 * The headers that go to a model server with a call. Plain JSON. Between the processes of a fleet they are the W3C's; what a backend gets
 * has the names of the propagators of its process (`OTEL_PROPAGATORS`).
 */
export interface TraceHeaders {
  /** `traceparent`, `tracestate` and `baggage`, where they are the W3C's. */
  readonly [header: string]: string
}

export const newTraceId = (): string => randomBytes(16).toString('hex')

/**
 * The id of a part of a run (`call draft.1`, `interrupt 1`), 16 hex digits. Every process comes to the same one, and a second export
 * of the same record too: SHA-256 of both, the first 8 bytes.
 */
export const spanIdOf = (runId: string, part: string): string => hash('sha256', `${runId} ${part}`).slice(0, 16)

/** The part of a run that a call is. */
export const callPart = (callId: string): string => `call ${callId}`

/** What a model server is told with a call, so that its own spans lie below that of the call; undefined where nobody traces. */
export function headersOf(trace: TraceContext, runId: string, callId: string): TraceHeaders | undefined {
  if (trace.sampled === undefined) return undefined
  // Nobody looks for a span that is not sent: any id says so.
  const spanId = trace.sampled ? spanIdOf(runId, callPart(callId)) : trace.traceId.slice(16)
  return {
    traceparent: `00-${trace.traceId}-${spanId}-${trace.sampled ? '01' : '00'}`,
    ...(trace.state !== undefined && { tracestate: trace.state }),
    ...(trace.baggage !== undefined && { baggage: trace.baggage }),
  }
}
