import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CaesuraError, CallCancelled } from '../../../src/core/errors.ts'
import { backendFor, call, cleanups, lastLine, line, ndjson, serve, serveRaw } from './ollama-call.ts'

describe('the request', () => {
  it('carries messages and options under the names of Ollama, and leaves out what was not asked for', async () => {
    const { server, backend } = await serve()
    await call(backend, {
      messages: [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: 'Hi' },
      ],
      options: { maxTokens: 3, temperature: 0, seed: 4, topK: 5, topP: 0.5, stop: ['x'], contextTokens: 512 },
    })
    await call(backend)
    expect(server.requests.map(({ path, body }) => ({ path, body }))).toEqual([
      {
        path: '/api/chat',
        body: {
          model: 'demo',
          stream: true,
          truncate: false,
          shift: false,
          messages: [
            { role: 'system', content: 'Be short.' },
            { role: 'user', content: 'Hi' },
          ],
          options: { num_predict: 3, temperature: 0, seed: 4, top_k: 5, top_p: 0.5, stop: ['x'], num_ctx: 512 },
        },
      },
      {
        path: '/api/chat',
        body: {
          model: 'demo',
          stream: true,
          truncate: false,
          shift: false,
          messages: [{ role: 'user', content: 'hello there' }],
          options: {},
        },
      },
    ])
  })

  it('says how hard to think, how long the model stays, and what else the server may be told', async () => {
    const { server, backend } = await serve()
    await call(backend, { think: 'max', keepAliveMs: 90_000, parameters: { min_p: 0.05 }, options: { seed: 1 } })
    await call(backend, { think: false, keepAliveMs: -1 })
    expect(server.requests.map(({ body }) => body)).toMatchObject([
      { think: 'max', keep_alive: 90, options: { seed: 1, min_p: 0.05 } },
      { think: false, keep_alive: -1, options: {} },
    ])
  })
})

describe('a completed call', () => {
  it('reports counts and durations of the last line, and only those that were there', async () => {
    const { server, backend } = await serve()
    server.setScript({
      tokens: ['a', 'b'],
      last: { done: true, done_reason: 'length', total_duration: 9, load_duration: 1, eval_count: 2 },
    })
    expect((await call(backend)).end).toEqual({
      end: 'completed',
      finishReason: 'length',
      generatedTokens: 2,
      server: { totalNs: 9, loadNs: 1 },
    })
    server.setScript({ tokens: ['a'], last: { done: true } })
    expect((await call(backend)).end).toEqual({ end: 'completed' })
  })

  it('marks the connection only in the call that opened it', async () => {
    const { server, backend } = await serve()
    const [first, second] = [await call(backend), await call(backend)]
    expect(first.names).toEqual(['connect-start', 'connected', 'request-sent', 'headers', 'done'])
    expect(second.names).toEqual(['request-sent', 'headers', 'done'])
    expect(server.accepted).toBe(1)
  })

  it('opens as many connections as there are calls at once, each with marks of its own', async () => {
    const { server, backend } = await serve({ script: { firstTokenMs: 30 } })
    const all = await Promise.all(Array.from({ length: 20 }, () => call(backend)))
    expect(server.accepted).toBe(20)
    for (const { names } of all)
      expect(names).toEqual(['connect-start', 'connected', 'request-sent', 'headers', 'done'])
  })

  it('takes no thinking for text', async () => {
    const { backend } = await serve({ script: { thinking: ['Let me', ' see'], tokens: ['Yes', '.'] } })
    expect((await call(backend)).pieces).toEqual(['Yes', '.'])
  })

  it('takes empty lines for no tokens', async () => {
    const { backend } = await serveRaw((response) => {
      ndjson(response).end(`${line('')}\n\n${line('a')}${line('')}${lastLine}`)
    })
    expect(await call(backend)).toMatchObject({ end: { end: 'completed' }, pieces: ['a'] })
  })

  it('needs no line break after the last line, and ignores what follows it', async () => {
    const { server, backend } = await serveRaw((response) => void ndjson(response).end(line('a') + lastLine.trim()))
    expect(await call(backend)).toMatchObject({ end: { end: 'completed' }, pieces: ['a'] })
    server.setScript({ respond: (response) => void ndjson(response).end(`${line('a')}${lastLine}{"garbage`) })
    expect(await call(backend)).toMatchObject({ end: { end: 'completed' }, pieces: ['a'] })
  })

  it('reads the same text however the bytes are cut', async () => {
    const pieces = ['Grüße, ', '日本語', ' 👩‍👩‍👧 ', 'ok "quoted" \\ \n']
    const bytes = Buffer.from(pieces.map((piece) => line(piece)).join('') + lastLine)
    let sizes: number[] = []
    const { backend } = await serveRaw(async (response) => {
      ndjson(response)
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length]!
        response.write(bytes.subarray(at, at + size))
        at += size
        await new Promise(setImmediate)
      }
      response.end()
    })
    const property = fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), async (cut) => {
      sizes = cut
      expect(await call(backend)).toMatchObject({ end: { end: 'completed' }, pieces })
    })
    await fc.assert(property, { numRuns: 25, examples: [[[1]], [[bytes.length]]] })
  })

  it('unpacks gzip', async () => {
    const { backend } = await serveRaw((response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' })
      response.end(gzipSync(line('zipped') + lastLine))
    })
    expect(await call(backend)).toMatchObject({ end: { end: 'completed' }, text: 'zipped' })
  })

  it('stands when the connection breaks, or stays open, after the last line', async () => {
    const { server, backend } = await serveRaw((response) => {
      ndjson(response).write(line('a') + lastLine, () => setImmediate(() => response.socket?.resetAndDestroy()))
    })
    expect((await call(backend)).end.end).toBe('completed')
    server.setScript({ respond: (response) => void ndjson(response).write(line('a') + lastLine) })
    expect((await call(backend)).end.end).toBe('completed')
    await server.until(({ requests }) => requests[1]?.abandonedAt !== undefined)
  })
})

describe('the server', () => {
  const { signal } = new AbortController()

  it('tells its version and its models', async () => {
    const { server, backend } = await serve({ models: ['demo', 'gemma3:1b'], version: '0.24.0' })
    expect(await backend.server(signal)).toEqual({ kind: 'ollama', version: '0.24.0', address: server.url })
    expect(await backend.models(signal)).toEqual([
      { name: 'demo', bytes: 1 },
      { name: 'gemma3:1b', bytes: 1 },
    ])
  })

  it('that is not there: the address that was tried, and the next step', async () => {
    const { server, backend } = await serve()
    await server.close()
    for (const ask of [backend.server(signal), backend.models(signal), backend.load?.('demo', signal)]) {
      const error = await Promise.resolve(ask).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(CaesuraError)
      expect(error).toMatchObject({ code: 'CAESURA_E_NO_SERVER', exitCode: 3 })
      expect(String(error)).toContain(server.url)
      expect(String(error)).toContain('ollama serve')
    }
  })

  it('that is something else, or does not answer in time, is no Ollama', async () => {
    const other = createHttpServer((request, response) => {
      if (request.url !== '/api/tags') response.end('<html>hello</html>')
    })
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => new Promise((resolve) => other.close(resolve)))
    const backend = backendFor(`http://127.0.0.1:${(other.address() as AddressInfo).port}`)
    await expect(backend.server(signal)).rejects.toMatchObject({ code: 'CAESURA_E_NO_SERVER' })
    await expect(backend.models(AbortSignal.timeout(50))).rejects.toMatchObject({ code: 'CAESURA_E_NO_SERVER' })
  })

  it('loads a model, and stops when it is told to', async () => {
    const { server, backend } = await serve({ models: ['demo'] })
    await backend.load?.('demo', signal)
    expect(server.requests[0]).toMatchObject({ path: '/api/chat', body: { model: 'demo', messages: [] } })
    await expect(backend.load?.('other', signal)).rejects.toMatchObject({ code: 'CAESURA_E_NO_MODEL' })
    server.setScript({ respond: () => {} })
    const controller = new AbortController()
    const loading = backend.load?.('demo', controller.signal)
    await server.until(({ requests }) => requests.length === 3)
    controller.abort(new CallCancelled('enough'))
    await expect(loading).rejects.toMatchObject({ name: 'AbortError', message: 'enough' })
    await server.until(({ requests }) => requests[2]?.abandonedAt !== undefined)
  })

  it('reads a prompt ahead by a chat of one token, with the options of the call to come', async () => {
    const last = JSON.stringify({ model: 'demo', message: { role: 'assistant', content: 'x' }, done: true })
    const { server, backend } = await serve({ script: { respond: (response) => void response.end(last) } })
    const messages = [{ role: 'user' as const, content: 'Hi' }]
    const request = { model: 'demo', messages, isCut: true, options: { maxTokens: 64, contextTokens: 512, seed: 1 } }
    await backend.prefill?.(request, signal)
    expect(server.requests.map(({ path, body }) => ({ path, body }))).toEqual([
      {
        path: '/api/chat',
        body: {
          model: 'demo',
          stream: false,
          truncate: false,
          shift: false,
          messages,
          options: { num_predict: 1, num_ctx: 512, seed: 1 },
        },
      },
    ])
    server.setScript({ respond: () => {} })
    const controller = new AbortController()
    const reading = backend.prefill?.(request, controller.signal)
    await server.until(({ requests }) => requests.length === 2)
    controller.abort(new CallCancelled('a call is sent to the node'))
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
    await server.until(({ requests }) => requests[1]?.abandonedAt !== undefined)
  })

  it('is not left waiting by a load that never ends', async () => {
    const { server } = await serve({ script: { respond: () => {} } })
    const backend = backendFor(server.url, { loadDeadlineMs: 50 })
    await expect(backend.load?.('demo', signal)).rejects.toMatchObject({ code: 'CAESURA_E_TIMEOUT_LOAD' })
  })
})
