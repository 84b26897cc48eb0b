import { type SpanContext, TraceFlags } from '@opentelemetry/api'
import { TraceState } from '@opentelemetry/core'
import type { RunRecord } from '../core/record.ts'
import { spanIdOf } from '../core/trace.ts'
import type { Resources } from './resources.ts'
import { Timeline } from './span.ts'

/** What the spans of one record share. */
export interface TraceOfRun {
  readonly record: RunRecord
  readonly timeline: Timeline
  readonly resources: Resources
  /** The longest string of an attribute, UTF-16 units. */
  readonly longest: number
  readonly captureContent: boolean
  /** The context of a part of the run (`run`, `call draft.1`). */
  context(part: string): SpanContext
  readonly root: SpanContext
}

export interface SpanSettings {
  readonly resources: Resources
  readonly longest: number
  readonly captureContent: boolean
}

export function traceOf(record: RunRecord, settings: SpanSettings): TraceOfRun {
  const state = record.traceState === undefined ? undefined : new TraceState(record.traceState)
  const contextOf = (spanId: string): SpanContext => ({
    traceId: record.traceId,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
    ...(state !== undefined && { traceState: state }),
  })
  const context = (part: string) => contextOf(spanIdOf(record.runId, part))
  return {
    ...settings,
    record,
    timeline: new Timeline(record.startedUnixMs ?? Date.parse(record.startedAt)),
    context,
    root: context('run'),
  }
}
