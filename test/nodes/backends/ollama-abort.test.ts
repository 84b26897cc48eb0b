import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { CallCancelled } from '../../../src/core/errors.ts'
import type { MarkName } from '../../../src/core/ledger.ts'
import { backendFor, call, cleanups, lastLine, line, serve } from './ollama-call.ts'

describe('an aborted call', () => {
  it('sends nothing when the signal was aborted before', async () => {
    const { server, backend } = await serve()
    expect(await call(backend, {}, { signal: AbortSignal.abort(new CallCancelled()) })).toEqual({
      end: { end: 'cancelled' },
      text: '',
      pieces: [],
      thoughts: [],
      calls: [],
      marks: [],
      names: [],
    })
    expect(server.accepted).toBe(0)
  })

  it('while it connects: the server gets no request', async () => {
    const { server, backend } = await serve()
    const controller = new AbortController()
    const mark = (name: MarkName) => void (name === 'connect-start' && controller.abort(new CallCancelled()))
    const told = await call(backend, {}, { signal: controller.signal, mark })
    expect(told.end).toEqual({ end: 'cancelled' })
    expect(told.names).toEqual(['connect-start'])
    expect((await call(backend)).end.end).toBe('completed')
    expect(server.requests).toHaveLength(1)
  })

  it.each(['connected', 'request-sent', 'headers'] as const)('at %s: its connection is closed', async (moment) => {
    const { server, backend } = await serve({ script: { intervalMs: 20 } })
    const controller = new AbortController()
    const mark = (name: MarkName) => void (name === moment && controller.abort(new CallCancelled()))
    const told = await call(backend, {}, { signal: controller.signal, mark })
    expect(told.end).toEqual({ end: 'cancelled' })
    expect(told.names.at(-1)).toBe('closed')
    expect(told.pieces).toEqual([])
    await server.until(({ connections }) => connections === 0)
  })

  it('before the headers, during a load or prefill: the server sees the connection closed', async () => {
    const { server, backend } = await serve({ script: { firstTokenMs: 60_000 } })
    const controller = new AbortController()
    const promise = call(backend, {}, { signal: controller.signal })
    await server.until(({ requests }) => requests.length === 1)
    controller.abort(new CallCancelled())
    const told = await promise
    expect(told.end).toEqual({ end: 'cancelled' })
    expect(told.names).toEqual(['connect-start', 'connected', 'request-sent', 'closed'])
    await server.until(({ requests }) => requests[0]?.abandonedAt !== undefined)
    expect(server.requests[0]).toMatchObject({ tokensWritten: 0 })
  })

  it('in the stream: no token comes after the abort, and the server stops writing', async () => {
    const { server, backend } = await serve({ script: { intervalMs: 3, tokens: Array(1000).fill('x') } })
    const controller = new AbortController()
    const token = (count: number) => void (count === 5 && controller.abort(new CallCancelled()))
    const told = await call(backend, {}, { signal: controller.signal, token })
    expect(told.end).toEqual({ end: 'cancelled' })
    expect(told.pieces).toHaveLength(5)
    expect(told.names).toEqual(['connect-start', 'connected', 'request-sent', 'headers', 'closed'])
    await server.until(({ requests }) => requests[0]?.abandonedAt !== undefined)
    expect(server.requests[0]!.tokensWritten).toBeLessThan(1000)
  })

  it('on a reused connection keeps the mark of its request', async () => {
    const { server, backend } = await serve()
    await call(backend)
    server.setScript({ firstTokenMs: 60_000 })
    const controller = new AbortController()
    const promise = call(backend, {}, { signal: controller.signal })
    await server.until(({ requests }) => requests.length === 2)
    controller.abort(new CallCancelled())
    expect((await promise).names).toEqual(['request-sent', 'closed'])
    expect(server.accepted).toBe(1)
  })

  it('after its last line is completed', async () => {
    const { backend } = await serve()
    const controller = new AbortController()
    const mark = (name: MarkName) => void (name === 'done' && controller.abort(new CallCancelled()))
    expect((await call(backend, {}, { signal: controller.signal, mark })).end.end).toBe('completed')
  })

  it('leaves the other calls of the backend alone', async () => {
    const { server, backend } = await serve({ script: { firstTokenMs: 20, intervalMs: 1 } })
    const controller = new AbortController()
    const cut = call(backend, {}, { signal: controller.signal })
    const kept = call(backend)
    await server.until(({ requests }) => requests.length === 2)
    controller.abort(new CallCancelled())
    expect((await cut).end.end).toBe('cancelled')
    expect((await kept).end).toMatchObject({ end: 'completed', generatedTokens: 16 })
  })
})

describe('a connection that the server had closed', () => {
  it('is replaced once, without a trace in the marks but those of the new one', async () => {
    const { backend, server } = await staleServer()
    await call(backend)
    const told = await call(backend)
    expect(told.end.end).toBe('completed')
    expect(told.names).toEqual(['connect-start', 'connected', 'request-sent', 'headers', 'done'])
    expect(server.requests).toBe(3)
  })

  it('is replaced no second time: then the fault is told', async () => {
    const { backend, server } = await staleServer({ answers: 1 })
    await call(backend)
    const told = await call(backend)
    expect(told.end).toMatchObject({ end: 'failed', error: { code: 'CAESURA_E_CONNECTION' }, retryable: true })
    expect(server.requests).toBe(3)
  })

  it('that breaks after the first byte of an answer is a fault', async () => {
    const { backend, server } = await staleServer({ partial: 'HTTP/1.1 20' })
    await call(backend)
    expect((await call(backend)).end).toMatchObject({ end: 'failed', error: { code: 'CAESURA_E_CONNECTION' } })
    expect(server.requests).toBe(2)
  })
})

/**
 * A server that answers the first request of a connection and breaks it at the second, as one does that closed it while the
 * request was on its way. After `answers` answers it breaks every connection.
 */
async function staleServer({ answers = Number.POSITIVE_INFINITY, partial = '' } = {}) {
  const seen = { requests: 0 }
  const body = line('a') + lastLine
  const server = createTcpServer((socket: Socket) => {
    let here = 0
    socket.on('error', () => {})
    socket.on('data', () => {
      here += 1
      seen.requests += 1
      if (here === 1 && seen.requests <= answers) {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
      } else if (partial !== '') socket.write(partial, () => setTimeout(() => socket.resetAndDestroy(), 20))
      else socket.resetAndDestroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise((resolve) => server.close(resolve)))
  return { server: seen, backend: backendFor(`127.0.0.1:${(server.address() as AddressInfo).port}`) }
}
