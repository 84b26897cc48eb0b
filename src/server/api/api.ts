import acceptsPlugin from '@fastify/accepts'
import rateLimitPlugin from '@fastify/rate-limit'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { CaesuraError } from '../../core/errors.ts'
import { silentLog } from '../../core/log.ts'
import { type Caller, callers, isLoopback, refuseBeyond, refusePages, refuseTwoTokens, unauthorized } from './access.ts'
import { StreamConnections } from './connections.ts'
import { allowPages } from './cors.ts'
import { deadRoutes } from './dead-routes.ts'
import { streamFormats } from './event-stream.ts'
import { fleetRoutes } from './fleet-routes.ts'
import { addRoutes, answerBrokenRequest, listen, readJson, sendProblem, tooMany } from './http.ts'
import { apiMetrics } from './metrics.ts'
import { openApi } from './openapi.ts'
import { misuse, refusalOf } from './problem.ts'
import { needOf, type Route } from './route.ts'
import { runRoutes } from './run-routes.ts'
import { sessionRoutes } from './session-routes.ts'
import { type ApiContext, type ApiSettings, defaultTimes } from './settings.ts'
import { startRoute } from './start-route.ts'

export interface Api {
  readonly url: string
  /** Stops listening, ends streams so that their clients read on elsewhere, and waits a while for what is being answered. */
  close(): Promise<void>
}

const BODY_BYTES = 1024 * 1024
const RATE = 100
/** How long answers under way may take when the server stops, ms. */
const CLOSING_MS = 6000
/** So that an id that is too long is told from an unknown path. Node takes no longer request. */
const LONGEST_PARAMETER = 16_384

/** Serves the runs of a host over HTTP. Throws `CAESURA_E_LISTEN`, and `CAESURA_E_USAGE` for a host that needs tokens. */
export async function startApi(settings: ApiSettings): Promise<Api> {
  const { host = '127.0.0.1', port, tokens = [], rate = RATE, cors = [], log = silentLog } = settings
  if (tokens.length === 0 && !isLoopback(host)) {
    throw new CaesuraError('CAESURA_E_USAGE', 'on another address than loopback the API needs a token', {
      received: host,
      expected: '--tokens FILE, or 127.0.0.1',
      hint: 'Make a token: openssl rand -hex 32',
    })
  }
  const times = { ...defaultTimes, ...settings.times }
  const closing = new AbortController()
  const { runs } = settings
  const metrics = apiMetrics(settings.figures, runs)
  const tell = callers(tokens)
  const known = new WeakMap<FastifyRequest, Caller>()
  const callerOf = (request: FastifyRequest): Caller => {
    const caller = known.get(request) ?? tell(request.headers, request.ip)
    known.set(request, caller)
    return caller
  }
  const streams = new StreamConnections()
  const context: ApiContext = { settings, runs, metrics, times, closing: closing.signal, callerOf, streams }

  const app = Fastify({
    bodyLimit: settings.bodyBytes ?? BODY_BYTES,
    requestTimeout: times.arrivalMs,
    // What says nothing for so long is gone; a stream has its heartbeats.
    connectionTimeout: times.heartbeatMs + times.stallMs + times.arrivalMs,
    http: { headersTimeout: times.arrivalMs, connectionsCheckingInterval: Math.ceil(times.arrivalMs / 10) },
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: LONGEST_PARAMETER },
    exposeHeadRoutes: false,
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, _request, reply) => sendProblem(error, reply),
  })
  const routes: Route[] = [
    startRoute(context),
    ...runRoutes(context),
    ...sessionRoutes(context),
    ...deadRoutes(context),
    ...fleetRoutes(context, () => document),
  ]
  const document = openApi(routes, { version: settings.version, hasTokens: tokens.length > 0 })

  // Before there is a route: one that a plugin adds would answer in its own way.
  app.setErrorHandler((error, { method, routeOptions }, reply) => {
    const { status } = refusalOf(error)
    // That Redis is away, or that too many runs wait, is told once or counted, and not by each request that finds it so.
    if (status >= 500 && !(error instanceof CaesuraError && status === 503 && error.code !== 'CAESURA_E_RECORDS')) {
      const route = routeOptions.url ?? '(none)'
      log.error(`${method} ${route}: ${status}`, { method, route, status, error: error as Error })
    }
    return sendProblem(error, reply)
  })
  app.setNotFoundHandler(({ url }, reply) =>
    sendProblem(misuse(404, 'there is nothing at this path', { received: url.slice(0, 200) }), reply),
  )

  await app.register(acceptsPlugin)
  if (cors.length > 0) await allowPages(app, cors)
  await app.register(rateLimitPlugin, { global: false })
  readJson(app)
  const limited = app.createRateLimit({ max: rate, timeWindow: 1000, keyGenerator: (request) => callerOf(request).id })

  const needs = new Map(routes.map((route) => [`${route.method} ${route.path}`, needOf(route)]))

  app.addHook('onRequest', async (request, reply) => {
    measure(request, reply)
    streams.enter(request, reply)
    refuseTwoTokens(request.raw)
    const path = request.routeOptions.url ?? ''
    if (path === '/healthz' || path === '/readyz') return
    if (tokens.length === 0) refusePages(request.headers, cors)
    if (rate > 0) {
      const found = await limited(request)
      if (!found.isAllowed && found.isExceeded) throw tooMany(found.ttlInSeconds)
    }
    const route = `${request.method === 'HEAD' ? 'GET' : request.method} ${path}`
    const need = needs.get(route)
    if (need === undefined && needs.has(route)) return
    const caller = callerOf(request)
    if (!caller.isAllowed) throw unauthorized()
    if (need !== undefined) refuseBeyond(caller, need)
  })
  addRoutes(app, routes)

  function measure(request: FastifyRequest, { raw }: FastifyReply): void {
    const began = performance.now()
    raw.once('close', () => {
      const { method, routeOptions } = request
      const isStream = streamFormats.some((type) => String(raw.getHeader('content-type')).startsWith(type))
      const answer = { route: routeOptions.url ?? '(none)', method, status: raw.statusCode }
      const ms = performance.now() - began
      metrics.answered({ ...answer, ...(!isStream && { ms }) })
      if (!log.has('debug')) return
      // The route and not the path: that may hold what people wrote, as the reason of a cancel.
      const sentence = `${method} ${answer.route}: ${answer.status} in ${ms.toFixed(1)} ms`
      log.debug(sentence, { ...answer, duration_ms: Math.round(ms * 10) / 10, ...(isStream && { stream: true }) })
    })
  }

  const url = await listen(app, host, port)
  return {
    url,
    async close() {
      closing.abort()
      const closed = app.close()
      const late = setTimeout(() => app.server.closeAllConnections(), CLOSING_MS)
      await closed
      clearTimeout(late)
      metrics.close()
    },
  }
}
