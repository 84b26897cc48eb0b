import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'

/** One request on a raw socket, and what can be done to the one who sent it. */
export interface Exchange {
  readonly socket: Socket
  /** Counts all POSTs of the server from 1. */
  readonly request: number
  /** Counts the POSTs of this connection from 1. */
  readonly onConnection: number
  /** Writes bytes as they are. Resolves when the socket has taken them, or is closed. */
  raw(bytes: string | Uint8Array): Promise<void>
  /** The status line and the headers of an answer in HTTP chunks; 200 and NDJSON by default. */
  head(status?: number, headers?: Readonly<Record<string, string>>): Promise<void>
  /** One HTTP chunk. */
  chunk(bytes: string | Uint8Array): Promise<void>
  /** The last chunk: the answer is whole, as far as HTTP goes. */
  end(): Promise<void>
  /** A whole answer of known length. */
  answer(status: number, headers: Readonly<Record<string, string>>, body: string | Uint8Array): Promise<void>
  /** Closes the connection in order (FIN), the answer whole or not. */
  close(): void
  /** Breaks the connection (RST): what the other side has not read yet is lost. */
  reset(): void
}

/** A server that speaks HTTP by hand, so that it can do what no HTTP server does. */
export interface FaultServer {
  readonly url: string
  readonly port: number
  /** POSTs that came whole. A GET is answered at once and not counted: clients send one to have a spare connection. */
  readonly requests: number
  /** Connections ever made. */
  readonly accepted: number
  /** Resolves when every connection that a POST came on is closed. */
  quiet(): Promise<void>
  /** Bytes that all sockets took for sending: never more than ours read and what the kernel's buffers hold. */
  readonly bytesWritten: number
  close(): Promise<void>
}

export interface FaultServerOptions {
  /** PEM; with it the server speaks TLS. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** A free one by default. */
  readonly port?: number
}

/** Answers each POST by `act`, which may leave the connection in any state. Plain sockets, or TLS. */
export async function startFaultServer(
  act: (exchange: Exchange) => void | Promise<void>,
  { tls, port: wanted = 0 }: FaultServerOptions = {},
): Promise<FaultServer> {
  const sockets = new Set<Socket>()
  const asked = new Set<Socket>()
  let requests = 0
  let accepted = 0
  let written = 0
  const connected = (socket: Socket) => {
    accepted += 1
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      asked.delete(socket)
      written += socket.bytesWritten
    })
    let received = Buffer.alloc(0)
    let onConnection = 0
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes])
      const end = wholeRequest(received)
      if (end === undefined) return
      const method = received.toString('latin1', 0, 4)
      received = received.subarray(end)
      if (method !== 'POST') return void exchangeOn(socket, 0, 0).answer(200, {}, 'here')
      asked.add(socket)
      requests += 1
      onConnection += 1
      void act(exchangeOn(socket, requests, onConnection))
    })
  }
  const server: Server = tls === undefined ? createServer(connected) : createTlsServer(tls, connected)
  // A client that refuses the certificate is no fault of the test.
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(wanted, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    get requests() {
      return requests
    },
    get accepted() {
      return accepted
    },
    async quiet() {
      // Not `once` of node:events: it rejects where the client reset the connection.
      const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve))
      while (asked.size > 0) await Promise.all([...asked].map(closed))
    },
    get bytesWritten() {
      return [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, written)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** Where the first request ends, once it is there whole. */
function wholeRequest(bytes: Buffer): number | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const length = /^content-length: *(\d+)/im.exec(bytes.toString('latin1', 0, headEnd))?.[1] ?? '0'
  const end = headEnd + 4 + Number(length)
  return bytes.length >= end ? end : undefined
}

const headText = (status: number, headers: Readonly<Record<string, string>>) =>
  `HTTP/1.1 ${status} Status\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`

function exchangeOn(socket: Socket, request: number, onConnection: number): Exchange {
  const raw = (bytes: string | Uint8Array) =>
    new Promise<void>((resolve) => {
      if (socket.destroyed || bytes.length === 0) resolve()
      else socket.write(bytes, () => resolve())
    })
  const chunk = (bytes: string | Uint8Array) =>
    raw(
      Buffer.concat([
        Buffer.from(`${Buffer.byteLength(bytes).toString(16)}\r\n`),
        Buffer.from(bytes),
        Buffer.from('\r\n'),
      ]),
    )
  return {
    socket,
    request,
    onConnection,
    raw,
    chunk,
    head: (status = 200, headers = {}) =>
      raw(headText(status, { 'content-type': 'application/x-ndjson', 'transfer-encoding': 'chunked', ...headers })),
    end: () => raw('0\r\n\r\n'),
    answer: (status, headers, body) =>
      raw(
        Buffer.concat([
          Buffer.from(headText(status, { 'content-length': String(Buffer.byteLength(body)), ...headers })),
          Buffer.from(body),
        ]),
      ),
    close: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
  }
}
