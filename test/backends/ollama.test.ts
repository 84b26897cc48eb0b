import { createServer as createHttpServer, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { ollamaBackend } from '../../src/backends/ollama.ts'
import type { CallEnd, CallRequest } from '../../src/core/call.ts'
import { systemClock } from '../../src/core/clock.ts'
import { CaesuraError, CallCancelled } from '../../src/core/errors.ts'
import type { Mark, MarkName } from '../../src/core/ledger.ts'
import type { Backend } from '../../src/core/ports.ts'
import { type AnswerScript, type OllamaLike, type OllamaLikeOptions, startOllamaLike } from '../servers/ollama-like.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function serve(options: OllamaLikeOptions = {}): Promise<{ server: OllamaLike; backend: Backend }> {
  const server = await startOllamaLike(options)
  cleanups.push(() => server.close())
  return { server, backend: backendFor(server.url) }
}

function backendFor(url: string, settings: { loadDeadlineMs?: number } = {}): Backend {
  const backend = ollamaBackend({ url, ...settings })
  cleanups.push(() => backend.close())
  return backend
}

/** A server that answers each chat with `respond`. */
const serveRaw = (respond: NonNullable<AnswerScript['respond']>) => serve({ script: { respond } })

interface Told {
  readonly end: CallEnd
  readonly text: string
  readonly pieces: readonly string[]
  readonly marks: readonly Mark[]
  readonly names: readonly MarkName[]
}

async function call(
  backend: Backend,
  request: Partial<CallRequest> = {},
  watch: { signal?: AbortSignal; mark?: (name: MarkName) => void; token?: (count: number) => void } = {},
): Promise<Told> {
  const pieces: string[] = []
  const marks: Mark[] = []
  const end = await backend.generate(
    {
      callId: 'c',
      runId: 'r',
      stage: 's',
      attempt: 1,
      model: 'demo',
      messages: [{ role: 'user', content: 'hello there' }],
      options: {},
      placement: 'any',
      ...request,
    },
    {
      clock: systemClock,
      signal: watch.signal ?? new AbortController().signal,
      mark(name, at = systemClock.now()) {
        marks.push({ name, at })
        watch.mark?.(name)
      },
      token(text) {
        pieces.push(text)
        watch.token?.(pieces.length)
      },
    },
  )
  return { end, pieces, text: pieces.join(''), marks, names: marks.map(({ name }) => name) }
}

const line = (content: string, rest: object = {}) =>
  `${JSON.stringify({ model: 'demo', message: { role: 'assistant', content }, done: false, ...rest })}\n`
const lastLine = line('', { done: true, done_reason: 'stop', total_duration: 5, eval_count: 2 })
const ndjson = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'application/x-ndjson' })
const code = ({ end }: Told) => end.error?.code

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
          messages: [
            { role: 'system', content: 'Be short.' },
            { role: 'user', content: 'Hi' },
          ],
          options: { num_predict: 3, temperature: 0, seed: 4, top_k: 5, top_p: 0.5, stop: ['x'], num_ctx: 512 },
        },
      },
      {
        path: '/api/chat',
        body: { model: 'demo', stream: true, messages: [{ role: 'user', content: 'hello there' }], options: {} },
      },
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

describe('an aborted call', () => {
  it('sends nothing when the signal was aborted before', async () => {
    const { server, backend } = await serve()
    expect(await call(backend, {}, { signal: AbortSignal.abort(new CallCancelled()) })).toEqual({
      end: { end: 'cancelled' },
      text: '',
      pieces: [],
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

describe('a fault', () => {
  it('of a port where nothing listens', async () => {
    const { server, backend } = await serve()
    await server.close()
    expect(await call(backend)).toMatchObject({
      end: { end: 'failed', retryable: true, error: { code: 'CAESURA_E_REFUSED' } },
    })
  })

  it('of a name that does not exist', async () => {
    const told = await call(backendFor('http://caesura.invalid:1'))
    expect(told.end).toMatchObject({ end: 'failed', retryable: true, error: { code: 'CAESURA_E_CONNECTION' } })
  })

  it('of a server without TLS under https', async () => {
    const { server } = await serve()
    const told = await call(backendFor(`https://127.0.0.1:${server.port}`))
    expect(told.end).toMatchObject({ end: 'failed', retryable: true, error: { code: 'CAESURA_E_CONNECTION' } })
  })

  it('of a model that is not there names the command that gets it', async () => {
    const { backend } = await serve({ models: ['demo'] })
    const told = await call(backend, { model: 'gemma3:1b' })
    expect(code(told)).toBe('CAESURA_E_NO_MODEL')
    expect(told.end.error?.message).toContain('ollama pull gemma3:1b')
    expect(told.end.retryable).toBeUndefined()
  })

  it('of a load that never ends: the deadline closes the connection', async () => {
    const { server } = await serve({ script: { respond: () => {} } })
    const told = await call(backendFor(server.url, { loadDeadlineMs: 50 }))
    expect(code(told)).toBe('CAESURA_E_TIMEOUT_LOAD')
    expect(told.names.at(-1)).toBe('closed')
    await server.until(({ requests }) => requests[0]?.abandonedAt !== undefined)
  })

  it('is not a slow answer after its first line', async () => {
    const { server } = await serve({ script: { intervalMs: 40, tokens: ['a', 'b', 'c', 'd'] } })
    expect((await call(backendFor(server.url, { loadDeadlineMs: 100 }))).end.end).toBe('completed')
  })

  it('of a line without an end: cut off at a mebibyte', async () => {
    const { server, backend } = await serveRaw((response) => {
      ndjson(response)
      const flood = () => {
        while (!response.closed && response.write('x'.repeat(65_536)));
      }
      response.on('drain', flood)
      flood()
    })
    expect(code(await call(backend))).toBe('CAESURA_E_LINE_TOO_LONG')
    await server.until(({ requests }) => requests[0]?.abandonedAt !== undefined)
  })

  it.each([
    ['broken JSON', `${line('a')}{"message":{"content":\n${lastLine}`, 'CAESURA_E_PROTOCOL', ['a']],
    ['HTML', '<html><body>It works!</body></html>', 'CAESURA_E_PROTOCOL', []],
    ['a line that is no object', `${line('a')}[1]\n${lastLine}`, 'CAESURA_E_PROTOCOL', ['a']],
    ['text that is no string', line('a').replace('"a"', '7'), 'CAESURA_E_PROTOCOL', []],
    ['a negative count', line('', { done: true, eval_count: -1 }), 'CAESURA_E_PROTOCOL', []],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x0a]), 'CAESURA_E_PROTOCOL', []],
    ['an error line', `${line('a')}{"error":"unexpected EOF"}\n`, 'CAESURA_E_MODEL_ERROR', ['a']],
    ['an end without the last line', line('a') + line('b'), 'CAESURA_E_STREAM_CUT', ['a', 'b']],
    ['an end in the middle of a line', line('a') + line('b').slice(0, 20), 'CAESURA_E_STREAM_CUT', ['a']],
    ['no line at all', '', 'CAESURA_E_STREAM_CUT', []],
  ] as const)('of %s', async (_name, body, expected, pieces) => {
    const { backend } = await serveRaw((response) => void ndjson(response).end(body))
    const told = await call(backend)
    expect(code(told)).toBe(expected)
    expect(told.pieces).toEqual(pieces)
    expect(told.end.retryable).toBeUndefined()
  })

  it('of a connection that breaks in the stream', async () => {
    const { backend } = await serveRaw((response) => {
      ndjson(response).write(line('a'), () => setTimeout(() => response.socket?.resetAndDestroy(), 10))
    })
    expect(await call(backend)).toMatchObject({ end: { error: { code: 'CAESURA_E_STREAM_CUT' } }, pieces: ['a'] })
  })

  it.each([
    [302, '', 'CAESURA_E_PROTOCOL', false],
    [400, '{"error":"invalid model name"}', 'CAESURA_E_REQUEST', false],
    [400, '{"error":"the input length exceeds the context length"}', 'CAESURA_E_CONTEXT_FULL', false],
    [401, '{"error":"unauthorized"}', 'CAESURA_E_REQUEST', false],
    [404, '404 page not found', 'CAESURA_E_PROTOCOL', false],
    [405, '405 method not allowed', 'CAESURA_E_PROTOCOL', false],
    [429, '{"error":"slow down"}', 'CAESURA_E_SERVER_BUSY', true],
    [500, '{"error":"llama runner process has terminated with exit code -1"}', 'CAESURA_E_SERVER', false],
    [502, '<html>Bad Gateway</html>', 'CAESURA_E_SERVER', false],
    [503, '{"error":"server busy"}', 'CAESURA_E_SERVER_BUSY', true],
  ] as const)('of an answer with status %i and %j', async (status, body, expected, again) => {
    const elsewhere = await startOllamaLike()
    cleanups.push(() => elsewhere.close())
    const { backend } = await serveRaw((response) => {
      response.writeHead(status, status === 302 ? { location: `${elsewhere.url}/api/chat` } : {}).end(body)
    })
    const { end, names } = await call(backend)
    expect(end.error?.code).toBe(expected)
    expect(end.retryable ?? false).toBe(again)
    expect(names).toContain('headers')
    expect(elsewhere.requests).toEqual([])
  })

  it('prints nothing', async () => {
    const { backend } = await serveRaw((response) => void response.writeHead(500).end('plain'))
    const written: unknown[] = []
    const { log, warn, error } = console
    console.log = console.warn = console.error = (...args) => void written.push(args)
    try {
      await call(backend)
    } finally {
      Object.assign(console, { log, warn, error })
    }
    expect(written).toEqual([])
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

  it('is not left waiting by a load that never ends', async () => {
    const { server } = await serve({ script: { respond: () => {} } })
    const backend = backendFor(server.url, { loadDeadlineMs: 50 })
    await expect(backend.load?.('demo', signal)).rejects.toMatchObject({ code: 'CAESURA_E_TIMEOUT_LOAD' })
  })
})
