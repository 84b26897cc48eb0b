import type { ServerResponse } from 'node:http'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { CaesuraError, summarize } from '../../core/errors.ts'
import { type Figures, noFigures } from '../../core/figures.ts'
import { type Log, silentLog } from '../../core/log.ts'
import type { Backend, IncomingRequest, ModelInfo, RequestTrace } from '../../core/ports.ts'
import { answerCall } from './answer-call.ts'
import type { Route } from './answer-lines.ts'
import { sendJson } from './answer-stream.ts'
import { CallSlots } from './call-slots.ts'
import { isName, loadedOf, showOf, tagged, tagsOf } from './descriptions.ts'
import { modelNotFound, Refusal, refusalOf } from './refusal.ts'
import { type AnswerRequest, readChat, readGenerate, readShow } from './requests.ts'
import { ServedModel } from './served-model.ts'

export interface ModelServerSettings {
  /** Makes a backend that has the model; called again after the model was unloaded. */
  readonly backend: () => Backend
  /** The names of the model, at least one, without a tag or with one. The first is the one that backends are given. */
  readonly names: readonly [string, ...string[]]
  /** What the listings say of it. */
  readonly info: ModelInfo
  /** When the model's file was changed, ms since 1970; now by default. */
  readonly modifiedAt?: number
  /** What it can do, in Ollama's words, beside `completion`; nothing by default. */
  readonly capabilities?: readonly string[]
  /** Calls at once; 1 by default. */
  readonly slots?: number
  /** Calls that wait for a slot at most; one more is answered 503. 512 by default, as `OLLAMA_MAX_QUEUE`. */
  readonly queue?: number
  /** 127.0.0.1 by default. */
  readonly host?: string
  /** 0 for a free one. */
  readonly port: number
  /** What is counted; nothing by default. */
  readonly figures?: Figures
  /** Makes spans of the calls of clients that trace; none by default. */
  openRequest?(request: IncomingRequest): RequestTrace
  /** Hears of requests and of faults; silent by default. */
  readonly log?: Log
}

export interface ModelServer {
  readonly url: string
  /** Stops listening, cancels every call, and closes the backend. */
  close(): Promise<void>
}

/** The version of Ollama whose answers these are like. */
export const SERVED_VERSION = '0.32.15-caesura'

/** Pictures of 20 MB as base64, and a prompt. */
const BODY_BYTES = 32 * 1024 * 1024
/** A request that takes longer to arrive is cut off, ms. */
const ARRIVAL_MS = 60_000
const DEFAULT_QUEUE = 512

/**
 * A backend behind Ollama's HTTP interface. The model is loaded before it listens. Throws what `Backend.load` does, and
 * `CAESURA_E_LISTEN`.
 */
export async function startModelServer(settings: ModelServerSettings): Promise<ModelServer> {
  const { names, info, slots = 1, queue = DEFAULT_QUEUE, host = '127.0.0.1', port } = settings
  const { figures = noFigures, log = silentLog } = settings
  const closing = new AbortController()
  const model = new ServedModel(names[0], settings.backend)
  const callSlots = new CallSlots(slots, queue)
  const serving = { model, slots: callSlots, signal: closing.signal, figures, log }
  const { modifiedAt = Date.now(), capabilities = [] } = settings
  const description = { names: names.map(tagged), info, modifiedAt, capabilities }
  const running = new Set<Promise<void>>()

  const check = (name: string): void => {
    if (name !== '' && !isName(name)) throw new Refusal(400, 'invalid model name')
    if (!description.names.includes(tagged(name))) throw modelNotFound(name)
  }
  /** Fastify has no part in an answer that may be a stream. */
  const answer = async (
    route: Route,
    read: (body: unknown) => AnswerRequest,
    asked: FastifyRequest,
    raw: ServerResponse,
  ) => {
    const { headers } = asked
    // A client that does not trace is not made a trace of.
    const opened = settings.openRequest?.({ method: 'POST', route: `/api/${route}`, headers, joinsOnly: true })
    const marks: { name: string; unixMs: number }[] = []
    raw.once('close', () => opened?.end({ status: raw.statusCode, marks }))
    try {
      const request = read(asked.body)
      // It would be kept until the answer has ended.
      asked.body = undefined
      check(request.model)
      await answerCall(route, request, raw, serving, (name, unixMs) => marks.push({ name, unixMs }))
    } catch (error) {
      if (!(error instanceof Refusal)) log.error(`/api/${route} has failed`, { route, error: error as Error })
      // What went wrong in the middle of an answer can only be shown by its end.
      if (raw.headersSent) return void raw.destroy()
      const { status, message } = error instanceof Refusal ? error : refusalOf(summarize(error))
      sendJson(raw, status, { error: message })
    }
  }

  const app = Fastify({ bodyLimit: BODY_BYTES, requestTimeout: ARRIVAL_MS, forceCloseConnections: true })
  speakLikeOllama(app)
  app.addHook('onRequest', async ({ method, routeOptions }, { raw }) => {
    if (!log.has('debug')) return
    const began = performance.now()
    raw.once('close', () => {
      const [route, status, ms] = [routeOptions.url ?? '(none)', raw.statusCode, performance.now() - began]
      const sentence = `${method} ${route}: ${raw.writableFinished ? status : 'cut off'} in ${ms.toFixed(1)} ms`
      log.debug(sentence, { method, route, status, duration_ms: Math.round(ms * 10) / 10 })
    })
  })
  app.get('/', (_request, reply) => reply.type('text/plain; charset=utf-8').send('Ollama is running'))
  app.get('/api/version', () => ({ version: SERVED_VERSION }))
  app.get('/api/tags', () => tagsOf(description))
  app.get('/api/ps', () => loadedOf(description, model.isLoaded))
  app.post('/api/show', ({ body }) => {
    check(readShow(body))
    return showOf(description)
  })
  for (const [route, read] of [['chat', readChat] as const, ['generate', readGenerate] as const])
    app.post(`/api/${route}`, (asked, reply) => {
      reply.hijack()
      const call = answer(route, read, asked, reply.raw)
      running.add(call)
      return call.finally(() => running.delete(call))
    })

  try {
    await model.acquire(closing.signal)
    model.release()
    const url = await listen(app, host, port)
    for (const end of ['completed', 'cancelled', 'failed']) figures.count('caesura.model_server.calls', { end }, 0)
    figures.watch(() => ({
      'caesura.model_server.slots': callSlots.size,
      'caesura.model_server.busy': callSlots.busy,
      'caesura.model_server.waiting': callSlots.waiting,
    }))
    return {
      url,
      async close() {
        closing.abort()
        await app.close()
        await Promise.allSettled(running)
        await model.close()
      },
    }
  } catch (error) {
    await app.close()
    await model.close()
    throw error
  }
}

/** Whatever a body's type is said to be, it is JSON; and what is wrong is said in Ollama's shapes. */
function speakLikeOllama(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error instanceof Refusal ? error.status : (error.statusCode ?? 500)
    return reply.status(status).send({ error: error.message })
  })
  app.setNotFoundHandler(({ url }, reply) => {
    const path = url.replace(/\?.*$/, '')
    const allowed = ['GET', 'POST'].filter((method) => app.hasRoute({ method, url: path }))
    reply.type('text/plain')
    if (allowed.length === 0) return reply.status(404).send('404 page not found')
    return reply.status(405).header('allow', allowed.join(', ')).send('405 method not allowed')
  })
}

async function listen(app: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    return await app.listen({ host, port })
  } catch (cause) {
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
