import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CaesuraError } from '../core/errors.ts'
import type { ScrapedFigures } from '../core/figures.ts'

export interface MetricsServer {
  readonly url: string
  close(): Promise<void>
}

/** A request that takes longer to arrive is cut off, ms. */
const ARRIVAL_MS = 5000

/**
 * Serves the figures of a process that has no server of its own: `GET /metrics`, and `GET /healthz`. They name models, nodes and policies,
 * and hold no text of any run. Port 0 takes a free one. Throws `CAESURA_E_LISTEN`.
 */
export async function serveMetrics(settings: {
  readonly host: string
  readonly port: number
  readonly figures: ScrapedFigures
}): Promise<MetricsServer> {
  const { host, port, figures } = settings
  const server = createServer({ requestTimeout: ARRIVAL_MS, headersTimeout: ARRIVAL_MS }, (request, response) => {
    void answer(request, response, figures).catch(() => response.destroy())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(cannotListen(host, port, cause)))
    server.listen(port, host, resolve)
  })
  // What goes wrong later goes wrong with one connection.
  server.on('error', () => undefined)
  // Nobody's work is done here: it must not keep a process that has nothing else to do.
  server.unref()
  const at = host.includes(':') ? `[${host}]` : host
  return {
    url: `http://${at}:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server.close(), 'close')
      server.closeAllConnections()
      await closed
    },
  }
}

async function answer(
  { method, url }: IncomingMessage,
  response: ServerResponse,
  figures: ScrapedFigures,
): Promise<void> {
  const path = url?.replace(/\?.*$/, '')
  const send = (status: number, type: string, body: string) => {
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
    response.end(method === 'HEAD' ? undefined : body)
  }
  if (path !== '/metrics' && path !== '/healthz') return send(404, 'text/plain; charset=utf-8', 'not found\n')
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    return send(405, 'text/plain; charset=utf-8', 'method not allowed\n')
  }
  if (path === '/healthz') return send(200, 'application/json; charset=utf-8', '{"status":"ok"}')
  send(200, figures.contentType, await figures.text())
}

function cannotListen(host: string, port: number, cause: NodeJS.ErrnoException): CaesuraError {
  const inUse = cause.code === 'EADDRINUSE'
  const why = inUse ? 'another program listens there' : cause.message
  return new CaesuraError('CAESURA_E_LISTEN', `figures cannot be served on ${host}:${port}: ${why}`, {
    received: `${host}:${port}`,
    ...(inUse && { hint: 'Choose another --metrics-port, or 0 for a free one.' }),
    cause,
  })
}
