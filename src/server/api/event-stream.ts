import type { ServerResponse } from 'node:http'
import { CaesuraError } from '../../core/errors.ts'
import type { RunEvent } from '../../core/event.ts'
import { type Problem, problemOf } from './problem.ts'

export type StreamFormat = 'text/event-stream' | 'application/x-ndjson'
export const streamFormats: readonly StreamFormat[] = ['text/event-stream', 'application/x-ndjson']

/** How a format says what a stream says. */
interface Words {
  readonly start: string
  event(event: RunEvent): string
  problem(problem: Problem): string
  /** Nothing has happened for a while. */
  readonly beat: string
  /** The server stops: read on elsewhere, after what was read. */
  readonly stop: string
}

/** Readers of one run are handed the same events: each is written down once. */
function once(write: (event: RunEvent) => string): (event: RunEvent) => string {
  const written = new WeakMap<RunEvent, string>()
  return (event) => {
    const text = written.get(event) ?? write(event)
    written.set(event, text)
    return text
  }
}

const words: Readonly<Record<StreamFormat, Words>> = {
  'text/event-stream': {
    start: 'retry: 1000\n\n',
    event: once((event) => `id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`),
    problem: (problem) => `event: problem\ndata: ${JSON.stringify(problem)}\n\n`,
    beat: ': still here\n\n',
    stop: ': the server stops; read on after the last id\nretry: 1000\n\n',
  },
  'application/x-ndjson': {
    start: '',
    event: once((event) => `${JSON.stringify(event)}\n`),
    problem: (problem) => `${JSON.stringify({ type: 'problem', problem })}\n`,
    beat: '\n',
    stop: '',
  },
}

/** Why a stream ended: the run's end was told, the client left, the server stops, or the client is to read on later. */
export type StreamEnd = 'told' | 'left' | 'stopped' | 'cut'

export interface StreamSettings {
  readonly format: StreamFormat
  /** The events from where the client wants them on; over when the signal is aborted. */
  events(signal: AbortSignal): AsyncIterable<RunEvent>
  /** Asked at each heartbeat, and at an end without `run-end`: whether there is more to come. Throws why there never is. */
  hasMore(lastSeq: number): Promise<boolean>
  /** The server stops. */
  readonly closing: AbortSignal
  /** The connection is wanted for something else: ends the stream with the reason as its problem. */
  readonly refused?: AbortSignal
  /** Between two signs of life, ms. */
  readonly heartbeatMs: number
  /** A client that takes nothing for so long while something waits for it is cut off, ms. */
  readonly stallMs: number
}

/** How long the rest may take to go out to a client that was cut off, ms. */
const LAST_WORDS_MS = 5000

/**
 * Writes a run's events to a response whose head is sent. Never rejects. A client gets events no faster than it takes them; one
 * that falls too far behind, or takes nothing, is told so (`CAESURA_E_READER_SLOW`) and cut off.
 */
export async function streamEvents(raw: ServerResponse, settings: StreamSettings): Promise<StreamEnd> {
  const { format, closing, refused, heartbeatMs, stallMs } = settings
  const say = words[format]
  const over = new AbortController()
  let end: StreamEnd = 'told'
  let last = 0

  function finish(as: StreamEnd, text: string): void {
    if (over.signal.aborted) return
    end = as
    over.abort()
    if (as === 'left') return
    uncork(raw)
    raw.end(text)
    const late = setTimeout(() => raw.destroy(), LAST_WORDS_MS).unref()
    raw.once('close', () => clearTimeout(late))
  }
  const fail = (error: unknown) => finish('cut', say.problem(problemOf(error)))
  const onClose = () => finish('left', '')
  const onClosing = () => finish('stopped', say.stop)
  raw.once('close', onClose)
  closing.addEventListener('abort', onClosing, { once: true })
  if (closing.aborted) onClosing()
  const onRefused = () => fail(refused?.reason)
  refused?.addEventListener('abort', onRefused, { once: true })
  if (refused?.aborted) onRefused()
  const heart = setInterval(() => {
    if (!raw.writableNeedDrain) raw.write(say.beat)
    settings.hasMore(last).then((hasMore) => hasMore || finish('told', ''), fail)
  }, heartbeatMs)

  try {
    if (over.signal.aborted) return end
    raw.write(say.start)
    for await (const event of settings.events(over.signal)) {
      if (over.signal.aborted) break
      last = event.seq
      if (!writeSoon(raw, say.event(event))) await drained(raw, stallMs, over.signal)
      if (event.type === 'run-end') finish('told', '')
    }
    if (!over.signal.aborted) await settings.hasMore(last)
    finish('told', '')
  } catch (error) {
    fail(error)
  } finally {
    clearInterval(heart)
    closing.removeEventListener('abort', onClosing)
    refused?.removeEventListener('abort', onRefused)
    over.abort()
  }
  return end
}

/** What is written in one turn goes out in one piece. False: wait until it has gone out. */
function writeSoon(raw: ServerResponse, text: string): boolean {
  if (raw.writableCorked === 0) {
    raw.cork()
    process.nextTick(uncork, raw)
  }
  return raw.write(text)
}

/** Before the end: Node would write the end before what is corked. */
function uncork(raw: ServerResponse): void {
  if (raw.writableCorked > 0) raw.uncork()
}

/** Throws `CAESURA_E_READER_SLOW`. */
function drained(raw: ServerResponse, stallMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      raw.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(() => {
      const hint = 'Read on after the last event that you saw.'
      reject(new CaesuraError('CAESURA_E_READER_SLOW', `this client took nothing for ${stallMs} ms`, { hint }))
      done()
    }, stallMs)
    raw.once('drain', done)
    signal.addEventListener('abort', done, { once: true })
  })
}
