import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { startOllamaLike } from '../../servers/ollama-like.ts'
import { backendFor, call, cleanups, code, lastLine, line, ndjson, serve, serveRaw } from './ollama-call.ts'

/** Writes, and waits for 20 ms. */
const write = async (response: ServerResponse, text: string) => {
  response.write(text)
  await sleep(20)
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

  it('of a server that goes silent in its answer: the deadline closes the connection, what came is kept', async () => {
    const { server } = await serveRaw((response) => void ndjson(response).write(line('a') + line('b').slice(0, 20)))
    const told = await call(backendFor(server.url, { idleDeadlineMs: 50 }))
    expect(told).toMatchObject({ end: { end: 'failed', retryable: true }, pieces: ['a'] })
    expect(code(told)).toBe('CAESURA_E_TIMEOUT_STALL')
    expect(told.names.at(-1)).toBe('closed')
    await server.until(({ requests }) => requests[0]?.abandonedAt !== undefined)
  })

  it('is not an answer slower than the deadline of silence whose bytes keep coming, however few', async () => {
    const { server } = await serveRaw(async (response) => {
      ndjson(response).write(line('a'))
      for (const byte of `${line('b')}${lastLine}`.slice(0, 20)) await write(response, byte)
      response.end(`${line('b')}${lastLine}`.slice(20))
    })
    const told = await call(backendFor(server.url, { idleDeadlineMs: 250, loadDeadlineMs: 100 }))
    expect(told).toMatchObject({ end: { end: 'completed' }, pieces: ['a', 'b'] })
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
    ['a line that says nothing of an answer', `${line('a')}{"status":"success"}\n`, 'CAESURA_E_PROTOCOL', ['a']],
    ['a message that is none', `${line('a')}{"message":"b","done":false}\n`, 'CAESURA_E_PROTOCOL', ['a']],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x0a]), 'CAESURA_E_PROTOCOL', []],
    ['an error line', `${line('a')}{"error":"unexpected EOF"}\n`, 'CAESURA_E_MODEL_ERROR', ['a']],
    [
      'an error beside text',
      `${line('a')}${line('b', { error: { code: 502, message: 'oh' } })}${lastLine}`,
      'CAESURA_E_MODEL_ERROR',
      ['a', 'b'],
    ],
    [
      'an error in the last line',
      `${line('a')}${line('', { done: true, error: 'oh' })}`,
      'CAESURA_E_MODEL_ERROR',
      ['a'],
    ],
    ['an error without words', '{"error":""}\n', 'CAESURA_E_MODEL_ERROR', []],
    ['an error that says it is busy', '{"error":{"message":"wait","status":503}}\n', 'CAESURA_E_SERVER_BUSY', []],
    ['a model that was only loaded', line('', { done: true, done_reason: 'load' }), 'CAESURA_E_MODEL_ERROR', []],
    [
      'the end by an error',
      `${line('a')}${line('', { done: true, done_reason: 'error' })}`,
      'CAESURA_E_MODEL_ERROR',
      ['a'],
    ],
    ['an event stream that breaks off', `data: ${line('a')}\n\ndata: {"mess`, 'CAESURA_E_STREAM_CUT', ['a']],
    ['an event stream that breaks off in a field', `data: ${line('a')}\n\nda`, 'CAESURA_E_STREAM_CUT', ['a']],
    ['an end without the last line', line('a') + line('b'), 'CAESURA_E_STREAM_CUT', ['a', 'b']],
    ['an end in the middle of a line', line('a') + line('b').slice(0, 20), 'CAESURA_E_STREAM_CUT', ['a']],
    ['no line at all', '', 'CAESURA_E_STREAM_CUT', []],
  ] as const)('of %s', async (_name, body, expected, pieces) => {
    const { backend } = await serveRaw((response) => void ndjson(response).end(body))
    const told = await call(backend)
    expect(code(told)).toBe(expected)
    expect(told.pieces).toEqual(pieces)
    expect(told.end.retryable ?? false).toBe(/_(STREAM_CUT|MODEL_ERROR|SERVER_BUSY)$/.test(expected))
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
    [401, '{"error":"unauthorized"}', 'CAESURA_E_AUTH', false],
    [404, '404 page not found', 'CAESURA_E_PROTOCOL', false],
    [405, '405 method not allowed', 'CAESURA_E_PROTOCOL', false],
    [429, '{"error":"slow down"}', 'CAESURA_E_SERVER_BUSY', true],
    [500, '{"error":"llama runner process has terminated with exit code -1"}', 'CAESURA_E_SERVER', true],
    [502, '<html>Bad Gateway</html>', 'CAESURA_E_SERVER', true],
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
