import { createServer, request as forward, type IncomingHttpHeaders } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'

/** A request that came to a proxy. */
export interface ProxiedRequest {
  readonly method: string
  /** As it stood in the request: an absolute URL, or `host:port` of a `CONNECT`. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
  /** Counts connections from 1. */
  readonly connection: number
}

export interface ForwardProxy {
  readonly url: string
  readonly port: number
  readonly requests: readonly ProxiedRequest[]
  close(): Promise<void>
}

export interface ForwardProxyOptions {
  /** The port of this machine that a host stands for. Unknown hosts are answered with 502. */
  readonly hosts: Readonly<Record<string, number>>
  /** The `Proxy-Authorization` that it wants; other requests are answered with 407. */
  readonly authorization?: string
  /** PEM; with it the proxy itself speaks TLS. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** How long it takes to open a tunnel, ms; 0 by default. */
  readonly tunnelMs?: number
}

/** A forward proxy on a real socket: requests with absolute URLs, and tunnels by `CONNECT`. */
export async function startForwardProxy(options: ForwardProxyOptions): Promise<ForwardProxy> {
  const { hosts, authorization, tls, tunnelMs = 0 } = options
  const requests: ProxiedRequest[] = []
  const connections = new Map<Socket, number>()
  const server = tls === undefined ? createServer() : createTlsServer(tls)
  const isAdmitted = (headers: IncomingHttpHeaders) =>
    authorization === undefined || headers['proxy-authorization'] === authorization
  const sockets = new Set<Socket>()
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    connections.set(socket, connections.size + 1)
    sockets.add(socket.on('error', () => {}))
  })
  const seen = (method: string, target: string, headers: IncomingHttpHeaders, socket: Socket) =>
    requests.push({ method, target, headers, connection: connections.get(socket) ?? 0 })

  server.on('request', (incoming, response) => {
    const { method = '', url = '', headers, socket } = incoming
    seen(method, url, headers, socket)
    if (!isAdmitted(headers)) return response.writeHead(407, { 'proxy-authenticate': 'Basic' }).end('no')
    const target = URL.parse(url)
    const port = target === null ? undefined : hosts[target.host]
    if (target === null || port === undefined) return response.writeHead(502).end('no such host')
    const { 'proxy-authorization': _, ...rest } = headers
    const outgoing = forward({ host: '127.0.0.1', port, method, path: target.pathname, headers: rest, agent: false })
    outgoing.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers)
      answer.pipe(response)
    })
    outgoing.on('error', () => response.destroy())
    response.on('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  })
  server.on('connect', async ({ method = '', url = '', headers }, socket: Socket) => {
    seen(method, url, headers, socket)
    await new Promise((resolve) => setTimeout(resolve, tunnelMs))
    const port = hosts[url]
    if (!isAdmitted(headers))
      return socket.end('HTTP/1.1 407 No\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n')
    if (port === undefined) return socket.end('HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n')
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connected\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    sockets.add(upstream)
    upstream.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.on('close', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
