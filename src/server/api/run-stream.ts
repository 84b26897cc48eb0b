import type { FastifyReply, FastifyRequest } from 'fastify'
import { CaesuraError } from '../../core/errors.ts'
import type { RunEvent } from '../../core/event.ts'
import { withoutEventText } from '../../core/event-text.ts'
import { present } from '../../core/present.ts'
import type { RunHost } from '../../core/run-host.ts'
import { type StreamFormat, streamEvents } from './event-stream.ts'
import { misuse } from './problem.ts'
import type { ApiContext } from './settings.ts'

/** Which events of a run, and how they are answered. */
interface Streamed {
  readonly runId: string
  readonly after: number
  readonly status: number
  readonly format: StreamFormat
  readonly isTextHidden: boolean
}

/** Streams the events of a run until its end. Resolves to why the stream ended. */
export async function streamRun(context: ApiContext, reply: FastifyReply, run: Streamed) {
  const { runs, metrics, times } = context
  const { runId, after, status, format } = run
  const { raw } = reply
  const behind = context.streams.behind(reply.request)
  reply.hijack()
  const headers = {
    ...reply.getHeaders(),
    'content-type': format === 'text/event-stream' ? format : `${format}; charset=utf-8`,
    'cache-control': 'no-store',
    connection: 'close',
    // nginx would keep events back.
    'x-accel-buffering': 'no',
  }
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) raw.setHeader(name, value)
  raw.statusCode = status
  raw.flushHeaders()
  metrics.streamOpened(format)
  try {
    return await streamEvents(raw, {
      ...{ format, closing: context.closing, heartbeatMs: times.heartbeatMs, stallMs: times.stallMs },
      events(signal) {
        const events = runs.events(runId, after, signal)
        return run.isTextHidden ? withoutTexts(events) : events
      },
      ...present({ refused: behind }),
      hasMore: (lastSeq) => hasMore(runs, runId, Math.max(after, lastSeq)),
    })
  } finally {
    metrics.streamClosed(format)
  }
}

/** While Redis is away there may be. */
async function hasMore(runs: RunHost, runId: string, lastSeq: number): Promise<boolean> {
  try {
    const run = await runs.look(runId)
    if (run.dead !== undefined) throw new CaesuraError('CAESURA_E_STATE', `the run was put aside: ${run.dead}`)
    return run.status !== 'ended' || run.seq > lastSeq
  } catch (error) {
    if (error instanceof CaesuraError && error.code === 'CAESURA_E_REDIS') return true
    throw error
  }
}

/** The same events, numbers and instants, without what people wrote and models answered. */
async function* withoutTexts(events: AsyncIterable<RunEvent>): AsyncGenerator<RunEvent, void, undefined> {
  for await (const event of events) yield withoutEventText(event)
}

/** Throws a `Refusal` (406). */
export function acceptedOf(request: FastifyRequest, types: readonly string[]): string {
  const type = request.accepts().type([...types])
  if (typeof type === 'string') return type
  throw misuse(406, 'nothing that Accept asks for can be answered', {
    received: String(request.headers.accept),
    expected: types.join(' or '),
  })
}

/** What a browser sends of its own accord; it may be empty. Throws a `Refusal` (400). */
export function lastEventId(header: string | string[] | undefined): number | undefined {
  if (header === undefined || header === '') return undefined
  if (typeof header === 'string' && /^\d{1,15}$/.test(header)) return Number(header)
  throw misuse(400, 'Last-Event-ID is no number of an event', { received: String(header), expected: 'a whole number' })
}
