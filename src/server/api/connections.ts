import type { FastifyReply, FastifyRequest } from 'fastify'
import { streamFormats } from './event-stream.ts'
import { misuse, type Refusal } from './problem.ts'

/** Whether its answer may be a stream. */
const asksForStream = ({ method, headers: { accept = '' }, routeOptions }: FastifyRequest): boolean =>
  routeOptions.url === '/v1/runs/:id/events' ||
  (method === 'POST' && streamFormats.some((type) => accept.includes(type)))

const refusal = (): Refusal =>
  misuse(
    400,
    'another request came on the connection of a stream, before the stream had ended',
    { hint: 'A stream needs a connection of its own. Read on after the last event that you saw.' },
    { connection: 'close' },
  )

/**
 * The connections that a stream has for itself. HTTP answers the requests of a connection in their order, so one that is sent behind
 * a stream would wait for the end of a run, and what it asks for would be done meanwhile. It is refused instead, and the stream
 * ends, because nothing can be said on the connection before that.
 */
export class StreamConnections {
  readonly #streams = new WeakMap<object, AbortController>()

  /** A request has come. Throws a `Refusal` (400) behind a stream. */
  enter(request: FastifyRequest, reply: FastifyReply): void {
    const { socket } = request.raw
    const ahead = this.#streams.get(socket)
    if (ahead !== undefined) {
      ahead.abort(refusal())
      throw refusal()
    }
    if (!asksForStream(request)) return
    const stream = new AbortController()
    this.#streams.set(socket, stream)
    reply.raw.once('close', () => {
      if (this.#streams.get(socket) === stream) this.#streams.delete(socket)
    })
  }

  /** Aborted, with a `Refusal`, when another request comes behind this one. */
  behind(request: FastifyRequest): AbortSignal | undefined {
    return this.#streams.get(request.raw.socket)?.signal
  }
}
