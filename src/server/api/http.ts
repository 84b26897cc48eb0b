import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, HTTPMethods } from 'fastify'
import { CaesuraError } from '../../core/errors.ts'
import { misuse, PROBLEM_TYPE, problemOf, Refusal, refusalOf } from './problem.ts'
import type { Route } from './route.ts'

/** Each route, and 405 for every other method at its path. */
export function addRoutes(app: FastifyInstance, routes: readonly Route[]): void {
  const byPath = Map.groupBy(routes, ({ path }) => path)
  for (const [url, atPath] of byPath) {
    const methods = new Set<HTTPMethods>()
    for (const { method, handle, operationId } of atPath) {
      const hasHead = method === 'GET' && operationId !== 'readEvents'
      app.route({ method, url, exposeHeadRoute: hasHead, handler: handle })
      methods.add(method)
      if (hasHead) methods.add('HEAD')
    }
    const allow = [...methods].join(', ')
    const others = app.supportedMethods.filter((method) => !methods.has(method as HTTPMethods)) as HTTPMethods[]
    app.route({
      method: others,
      url,
      // Whatever comes with it is not read.
      onRequest: async ({ method }) => {
        throw misuse(405, 'this path does not take this method', { received: method, expected: allow }, { allow })
      },
      handler: () => undefined,
    })
  }
}

/** JSON and nothing else; no body is no fault of its own. */
export function readJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') return done(null, undefined)
    parse(request, body as string, (error, value) => {
      if (error === null) return done(null, value)
      done(misuse(400, 'the body is no JSON, or has a key such as __proto__'))
    })
  })
}

export function sendProblem(error: unknown, reply: FastifyReply): FastifyReply {
  const { status, headers } = refusalOf(error)
  return reply
    .status(status)
    .headers(headers)
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(problemOf(error)))
}

export const tooMany = (seconds: number): Refusal =>
  new Refusal(429, new CaesuraError('CAESURA_E_SERVER_BUSY', 'too many requests', { hint: 'Come back later.' }), {
    'retry-after': String(Math.max(1, seconds)),
  })

/** What never became a request: Node's parser gave up on it. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return
  const [status, sentence] =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? [408, 'the request took too long to arrive']
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? [431, 'the headers are too large']
        : [400, 'this is no HTTP request']
  const problem = problemOf(misuse(status as number, sentence as string))
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${status} ${problem.title}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
  void once(socket, 'finish').then(
    () => socket.destroy(),
    () => undefined,
  )
}

export async function listen(app: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    return await app.listen({ host, port })
  } catch (cause) {
    await app.close()
    const { code = '', message } = cause as NodeJS.ErrnoException
    const inUse = code === 'EADDRINUSE'
    const why = inUse ? 'another program listens there' : message
    throw new CaesuraError('CAESURA_E_LISTEN', `cannot listen on ${host}:${port}: ${why}`, {
      received: `${host}:${port}`,
      ...(inUse && { hint: 'Choose another port, or 0 for a free one.' }),
      cause,
    })
  }
}
