import type { TraceHeaders } from './trace.ts'

/** Who makes a call: a model server, whose span is the call's own, or the code of a step, which may have spans below it. */
export type CallMaker = 'backend' | 'step'

/** Has a call made as a part of its trace: `make` with the headers that go with it. Returns what `make` returns. */
export type TraceCarrier = <T>(trace: TraceHeaders, maker: CallMaker, make: (headers: TraceHeaders) => T) => T

let carrier: TraceCarrier = (trace, _maker, make) => make(trace)

/** As OpenTelemetry's own API, of one process: whoever composes an engine or a worker says it, and says the same each time. */
export const carryTracesBy = (chosen: TraceCarrier): void => {
  carrier = chosen
}

export const inTrace: TraceCarrier = (trace, maker, make) => carrier(trace, maker, make)
