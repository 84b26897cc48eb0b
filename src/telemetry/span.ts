import {
  type Attributes,
  type HrTime,
  type Link,
  type SpanContext,
  SpanKind,
  type SpanStatus,
  SpanStatusCode,
} from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableSpan, TimedEvent } from '@opentelemetry/sdk-trace'
import { beginningOf } from '../core/well-formed.ts'
import { SCHEMA_URL, SCOPE, TELEMETRY_VERSION } from './semconv.ts'

const NS_PER_S = 1_000_000_000
const NS_PER_MS = 1_000_000
const scope = { name: SCOPE, version: TELEMETRY_VERSION, schemaUrl: SCHEMA_URL }
const unset: SpanStatus = { code: SpanStatusCode.UNSET }
const none: never[] = []

/** Turns the times of one record into instants. Whole nanoseconds throughout: lengths stay what the record says. */
export class Timeline {
  readonly #seconds: number
  readonly #ns: number

  /** `zeroUnixMs`: ms since 1970 of the record's zero, with fractions. */
  constructor(zeroUnixMs: number) {
    this.#seconds = Math.floor(zeroUnixMs / 1000)
    this.#ns = Math.round((zeroUnixMs - this.#seconds * 1000) * NS_PER_MS)
  }

  at(ms: number): HrTime {
    const ns = this.#ns + Math.round(ms * NS_PER_MS)
    const seconds = Math.floor(ns / NS_PER_S)
    return [this.#seconds + seconds, ns - seconds * NS_PER_S]
  }
}

export interface SpanParts {
  readonly name: string
  readonly kind?: SpanKind
  readonly context: SpanContext
  readonly parent?: SpanContext
  readonly start: HrTime
  readonly end: HrTime
  readonly attributes: Attributes
  readonly events?: TimedEvent[]
  readonly links?: Link[]
  /** The code of the fault, with what it says. Only for what failed. */
  readonly error?: { readonly code: string; readonly message: string }
  readonly resource: Resource
}

/** What went wrong, cut to `longest` UTF-16 units. Whatever failed says something. */
export const faultOf = (error: SpanParts['error'], longest: number): NonNullable<SpanParts['error']> => {
  const { code, message } = error ?? { code: 'CAESURA_E_INTERNAL', message: '' }
  return { code, message: beginningOf(message, longest) }
}

/** A span that has ended, made after the fact. */
export function endedSpan(parts: SpanParts): ReadableSpan {
  const { context, parent, start, end, error } = parts
  return {
    name: parts.name,
    kind: parts.kind ?? SpanKind.INTERNAL,
    spanContext: () => context,
    // The interface wants it absent or there; whoever reads it takes undefined as absent, and a spread costs a third of a span.
    parentSpanContext: parent as SpanContext,
    startTime: start,
    endTime: end,
    duration: lengthOf(start, end),
    status: error === undefined ? unset : { code: SpanStatusCode.ERROR, message: error.message },
    attributes: parts.attributes,
    events: parts.events ?? none,
    links: parts.links ?? none,
    ended: true,
    resource: parts.resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
}

function lengthOf([s, ns]: HrTime, [endS, endNs]: HrTime): HrTime {
  return endNs >= ns ? [endS - s, endNs - ns] : [endS - s - 1, endNs - ns + NS_PER_S]
}
