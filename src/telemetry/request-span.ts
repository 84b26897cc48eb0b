import { SpanKind, TraceFlags } from '@opentelemetry/api'
import { systemClock } from '../core/clock.ts'
import type { IncomingRequest, RequestTrace, Telemetry } from '../core/ports.ts'
import type { TraceContext } from '../core/trace.ts'
import { activeTrace } from './propagation.ts'
import type { Resources } from './resources.ts'
import { attribute as key } from './semconv.ts'
import { endedSpan, Timeline } from './span.ts'
import type { SpanSender } from './span-sender.ts'
import { traceContextOf } from './trace-context.ts'

/** The trace that a request is part of: where the program's instrumentation has a span of it, below that; else that of its caller. */
export const traceOfRequest = ({ headers }: IncomingRequest): TraceContext | undefined =>
  activeTrace() ?? traceContextOf(headers)

/** A request to this process: a SERVER span below the caller's, above what is done for it. */
export function openRequest(
  request: IncomingRequest,
  parts: {
    readonly telemetry: Pick<Telemetry, 'begin'>
    readonly sender: SpanSender
    readonly resources: Resources
    /** 16 hex digits, another one each time. */
    readonly newSpanId: () => string
  },
): RequestTrace {
  const { telemetry, sender, resources } = parts
  const { method, route } = request
  const startMs = systemClock.wall()
  const asked = traceOfRequest(request)
  if (asked === undefined && request.joinsOnly) return { end: () => undefined }
  const trace = telemetry.begin(asked)
  if (!trace.sampled) return { trace, end: () => undefined }
  const context = { traceId: trace.traceId, spanId: parts.newSpanId(), traceFlags: TraceFlags.SAMPLED }
  return {
    trace: { ...trace, parentSpanId: context.spanId },
    end({ status, marks = [] }) {
      const endMs = systemClock.wall()
      const make = () => [
        endedSpan({
          name: `${method} ${route}`,
          kind: SpanKind.SERVER,
          context,
          ...(asked?.parentSpanId !== undefined && {
            parent: {
              traceId: asked.traceId,
              spanId: asked.parentSpanId,
              traceFlags: TraceFlags.SAMPLED,
              isRemote: true,
            },
          }),
          start: new Timeline(startMs).at(0),
          end: new Timeline(endMs).at(0),
          events: marks.map(({ name, unixMs }) => ({ name, time: new Timeline(unixMs).at(0) })),
          attributes: { [key.httpMethod]: method, [key.httpRoute]: route, [key.httpStatus]: status },
          resource: resources.own,
        }),
      ]
      sender.offer({ count: 1, make })
    },
  }
}
