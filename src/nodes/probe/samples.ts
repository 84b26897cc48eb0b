import { quantile } from 'simple-statistics'
import { type Nanoseconds, nsToMs } from '../../core/clock.ts'
import type { Spread } from '../../core/probe.ts'
import type { Answer } from './line.ts'

/** To the microsecond: what lies below is noise. */
export const rounded = (ms: number): number => Math.round(ms * 1000) / 1000

/** The median; undefined of nothing. */
export const medianOf = (sample: readonly number[]): number | undefined =>
  sample.length === 0 ? undefined : quantile([...sample], 0.5)

/** The largest less the smallest; 0 of nothing. */
export const rangeOf = (sample: readonly number[]): number =>
  sample.length === 0 ? 0 : Math.max(...sample) - Math.min(...sample)

/** The median of the slopes between all pairs of points (Theil and Sen); undefined where none has one. */
export const slopeOf = (points: readonly (readonly [x: number, y: number])[]): number | undefined =>
  medianOf(
    points.flatMap(([x, y], index) =>
      points.slice(index + 1).flatMap(([otherX, otherY]) => (otherX === x ? [] : [(otherY - y) / (otherX - x)])),
    ),
  )

export function spreadOf(sample: readonly number[]): Spread | undefined {
  if (sample.length === 0) return undefined
  const at = (p: number) => rounded(Math.max(0, quantile([...sample], p)))
  return { p50: at(0.5), p95: at(0.95), n: sample.length }
}

/** When the first token was there. A single token may carry no text (a model that thinks first); then it is the end. */
export function firstTokenAt({ end, firstAt, marks, endedAt }: Answer): Nanoseconds | undefined {
  return firstAt ?? (end.end === 'completed' ? (marks.get('done') ?? endedAt) : undefined)
}

/** Sent → first token, ms. */
export function ttftOf(answer: Answer): number | undefined {
  const at = firstTokenAt(answer)
  return at === undefined ? undefined : nsToMs(at - answer.startedAt)
}

/** ms of prefill by the server's own report or marks. */
export function prefillOf({ end, marks }: Answer): number | undefined {
  if (end.server?.prefillNs !== undefined) return nsToMs(end.server.prefillNs)
  const from = marks.get('prefill-start')
  const to = marks.get('prefill-end')
  return from === undefined || to === undefined ? undefined : nsToMs(to - from)
}

/** ms before the server works on the prompt, by its own report or marks. */
export function preparationOf({ end, marks, startedAt }: Answer): number | undefined {
  if (end.server?.loadNs !== undefined) return nsToMs(end.server.loadNs)
  const from = marks.get('prefill-start')
  return from === undefined ? undefined : nsToMs(from - startedAt)
}

/**
 * ms from a token to the next; undefined for fewer than two. `ttftMs`: of a short prompt. Where the tokens came in bursts (a
 * server or a proxy that buffers), what the call took beyond that stands for the time between them.
 */
export function tokenIntervalOf(answer: Answer, ttftMs: number): number | undefined {
  const { end, startedAt, firstAt, lastAt, pieces } = answer
  const tokens = end.generatedTokens ?? pieces
  if (tokens < 2) return undefined
  if (end.server?.decodeNs !== undefined && end.server.decodeNs > 0) return nsToMs(end.server.decodeNs) / (tokens - 1)
  if (firstAt === undefined || lastAt === undefined) return undefined
  const seen = nsToMs(lastAt - firstAt)
  const beyond = nsToMs(lastAt - startedAt) - ttftMs
  const ms = seen < beyond / 2 ? beyond : seen
  return ms > 0 ? ms / (tokens - 1) : undefined
}
