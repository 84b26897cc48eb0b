import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { CaesuraError } from '../../../src/core/errors.ts'
import type { OpenAiSettings } from '../../../src/nodes/backends/openai.ts'
import { openaiBackend } from '../../../src/nodes/backends/openai.ts'
import { openaiUrl } from '../../../src/nodes/backends/openai-url.ts'
import { chunk, done, event, eventStream, said, usageOf } from '../../servers/openai-like.ts'
import { backendFor, call, code, serve, serveRaw } from './openai-call.ts'

describe('a fault', () => {
  it('of a port where nothing listens', async () => {
    const { server, backend } = await serve()
    await server.close()
    expect((await call(backend)).end).toMatchObject({
      end: 'failed',
      retryable: true,
      error: { code: 'CAESURA_E_REFUSED' },
    })
  })

  it('of a model that is not there', async () => {
    const { backend } = await serve({ models: ['demo'] })
    const told = await call(backend, { model: 'gpt-0' })
    expect(code(told)).toBe('CAESURA_E_NO_MODEL')
    expect(told.end.error?.message).toContain('"gpt-0"')
  })

  it('of a server that never answers: the deadline closes the connection', async () => {
    const { server } = await serveRaw((response) => void eventStream(response).write(': still here\n\n'))
    const told = await call(backendFor(server.url, { loadDeadlineMs: 50 }))
    expect(code(told)).toBe('CAESURA_E_TIMEOUT_LOAD')
    expect(told.names.at(-1)).toBe('closed')
    await server.until(({ requests }) => requests[0]?.abandonedAt !== undefined)
  })

  it('of a server that goes silent in its answer: the deadline closes the connection, what came is kept', async () => {
    const { server } = await serveRaw(
      (response) => void eventStream(response).write(said('a') + said('b').slice(0, 20)),
    )
    const told = await call(backendFor(server.url, { idleDeadlineMs: 50 }))
    expect(told).toMatchObject({ end: { end: 'failed', retryable: true }, pieces: ['a'] })
    expect(code(told)).toBe('CAESURA_E_TIMEOUT_STALL')
    await server.until(({ requests }) => requests[0]?.abandonedAt !== undefined)
  })

  it('is not a slow answer after its first event', async () => {
    const { server } = await serve({ script: { intervalMs: 40, tokens: ['a', 'b', 'c', 'd'] } })
    expect((await call(backendFor(server.url, { loadDeadlineMs: 100 }))).end.end).toBe('completed')
  })

  it.each([
    ['data', 'data: '],
    ['a comment', ': '],
    ['what is no event', 'x'],
  ])('of a line of %s without an end: cut off at a mebibyte', async (_name, begin) => {
    const { server, backend } = await serveRaw((response) => {
      eventStream(response).write(begin)
      const flood = () => {
        while (!response.closed && response.write('x'.repeat(65_536)));
      }
      response.on('drain', flood)
      flood()
    })
    expect(code(await call(backend))).toBe('CAESURA_E_LINE_TOO_LONG')
    await server.until(({ requests }) => requests[0]?.abandonedAt !== undefined)
  })

  it('of an event whose lines have no end', async () => {
    const { backend } = await serveRaw((response) => {
      eventStream(response)
      const flood = () => {
        while (!response.closed && response.write(`data: ${'x'.repeat(1_000)}\n`));
      }
      response.on('drain', flood)
      flood()
    })
    expect(code(await call(backend))).toBe('CAESURA_E_LINE_TOO_LONG')
  })

  it.each([
    ['broken JSON', `${said('a')}data: {"choices":[{\n\n${said('b')}`, 'CAESURA_E_PROTOCOL', ['a']],
    ['HTML', '<html><body>It works!</body></html>', 'CAESURA_E_PROTOCOL', []],
    ['HTML in lines', '<!doctype html>\n<html>\n</html>\n', 'CAESURA_E_PROTOCOL', []],
    [
      'an answer in one piece without a choice',
      '{"object":"chat.completion","choices":[]}',
      'CAESURA_E_MODEL_ERROR',
      [],
    ],
    ['JSON of another kind', '{"answer":"a"}', 'CAESURA_E_PROTOCOL', []],
    ['lines of JSON', `${JSON.stringify(chunk({ content: 'a' }))}\n`, 'CAESURA_E_PROTOCOL', []],
    ['an event that is no object', `${said('a')}data: [1]\n\n`, 'CAESURA_E_PROTOCOL', ['a']],
    ['text that is no string', event(chunk({ content: 7 })), 'CAESURA_E_PROTOCOL', []],
    ['bytes that are no UTF-8', Buffer.from([0x64, 0xff, 0xfe, 0x0a]), 'CAESURA_E_PROTOCOL', []],
    [
      'bytes that are no UTF-8 behind a good event',
      Buffer.concat([Buffer.from(said('a')), Buffer.from([0xff, 0x0a])]),
      'CAESURA_E_PROTOCOL',
      ['a'],
    ],
    [
      'an error event',
      `${said('a')}${event({ error: { message: 'out of memory', code: 500 } })}`,
      'CAESURA_E_MODEL_ERROR',
      ['a'],
    ],
    ['an error event with a text', `${said('a')}${event({ error: 'out of memory' })}`, 'CAESURA_E_MODEL_ERROR', ['a']],
    [
      'an error event of vLLM',
      `${said('a')}${event({ object: 'error', message: 'oh' })}`,
      'CAESURA_E_MODEL_ERROR',
      ['a'],
    ],
    [
      'an error field of older llama.cpp',
      `${said('a')}error: {"message":"oh","code":500}\n\n`,
      'CAESURA_E_MODEL_ERROR',
      ['a'],
    ],
    ['an error in the place of a stream', '{"error":{"message":"oh"}}', 'CAESURA_E_MODEL_ERROR', []],
    ['an end without a finish reason', said('a', 'b'), 'CAESURA_E_STREAM_CUT', ['a', 'b']],
    ['[DONE] without a finish reason', `${said('a', 'b')}${done}`, 'CAESURA_E_STREAM_CUT', ['a', 'b']],
    [
      '[DONE] behind empty finish reasons',
      `${event(chunk({ content: 'a' }, ''))}${event(chunk({}, ' '))}${done}`,
      'CAESURA_E_STREAM_CUT',
      ['a'],
    ],
    ['events without a choice, and nothing else', `${usageOf(1, 0)}${done}`, 'CAESURA_E_MODEL_ERROR', []],
    [
      'an error beside a choice',
      `${said('a')}${event({ ...chunk({ content: 'b' }), error: { code: 502, message: 'oh' } })}${done}`,
      'CAESURA_E_MODEL_ERROR',
      ['a', 'b'],
    ],
    [
      'an error in a choice',
      `${said('a')}${event({ choices: [{ index: 0, delta: {}, error: { message: 'oh' }, finish_reason: 'stop' }] })}${done}`,
      'CAESURA_E_MODEL_ERROR',
      ['a'],
    ],
    ['an error beside no choice', `${event({ choices: [], error: 'oh' })}${done}`, 'CAESURA_E_MODEL_ERROR', []],
    ['the finish reason error', `${said('a')}${event(chunk({}, 'error'))}${done}`, 'CAESURA_E_MODEL_ERROR', ['a']],
    ['the finish reason abort', `${said('a')}${event(chunk({}, 'abort'))}${done}`, 'CAESURA_E_MODEL_ERROR', ['a']],
    ['an event of the name error', `${said('a')}event: error\ndata: it broke\n\n`, 'CAESURA_E_MODEL_ERROR', ['a']],
    [
      'an error that says it is busy',
      event({ error: { message: 'slow down', code: 429 } }),
      'CAESURA_E_SERVER_BUSY',
      [],
    ],
    [
      'an error that says the context is full',
      event({ error: { message: 'request exceeds the available context size', code: 400 } }),
      'CAESURA_E_CONTEXT_FULL',
      [],
    ],
    ['an end in the middle of an event', said('a') + said('b').slice(0, 20), 'CAESURA_E_STREAM_CUT', ['a']],
    ['an end in the middle of the first event', said('a').slice(0, 20), 'CAESURA_E_STREAM_CUT', []],
    ['an end in the middle of a field', 'da', 'CAESURA_E_STREAM_CUT', []],
    ['comments alone', ': ping\n\n', 'CAESURA_E_STREAM_CUT', []],
    ['nothing', '', 'CAESURA_E_STREAM_CUT', []],
  ] as const)('of %s', async (_name, body, expected, pieces) => {
    const { backend } = await serveRaw((response) => void eventStream(response).end(body))
    const told = await call(backend)
    expect(code(told)).toBe(expected)
    expect(told.pieces).toEqual(pieces)
    expect(told.names).not.toContain('done')
    expect(told.end.retryable ?? false).toBe(/_(STREAM_CUT|MODEL_ERROR|SERVER_BUSY)$/.test(expected))
  })

  it('of a connection that breaks in the stream', async () => {
    const { backend } = await serveRaw((response) => {
      eventStream(response).write(said('a'), () => setTimeout(() => response.socket?.resetAndDestroy(), 10))
    })
    expect(await call(backend)).toMatchObject({ end: { error: { code: 'CAESURA_E_STREAM_CUT' } }, pieces: ['a'] })
  })

  const openAi = (message: string, kind: string) => JSON.stringify({ error: { message, code: kind, type: kind } })
  it.each([
    [302, '', 'CAESURA_E_PROTOCOL', false],
    [400, openAi('wrong temperature', 'invalid_request_error'), 'CAESURA_E_REQUEST', false],
    [
      400,
      openAi('request (1113 tokens) exceeds the available context size', 'exceed_context_size_error'),
      'CAESURA_E_CONTEXT_FULL',
      false,
    ],
    [
      400,
      openAi("This model's maximum context length is 4096 tokens", 'context_length_exceeded'),
      'CAESURA_E_CONTEXT_FULL',
      false,
    ],
    [400, openAi("model 'demo' not found", 'invalid_request_error'), 'CAESURA_E_NO_MODEL', false],
    [401, openAi('Invalid API Key', 'authentication_error'), 'CAESURA_E_AUTH', false],
    [403, '{"detail":"Not allowed"}', 'CAESURA_E_AUTH', false],
    [
      404,
      openAi('The model `demo` does not exist or you do not have access to it.', 'model_not_found'),
      'CAESURA_E_NO_MODEL',
      false,
    ],
    [404, '{"object":"error","message":"The model `demo` does not exist.","code":404}', 'CAESURA_E_NO_MODEL', false],
    [404, '{"detail":"Not Found"}', 'CAESURA_E_PROTOCOL', false],
    [404, '404 page not found', 'CAESURA_E_PROTOCOL', false],
    [405, '', 'CAESURA_E_PROTOCOL', false],
    [429, openAi('slow down', 'rate_limit_exceeded'), 'CAESURA_E_SERVER_BUSY', true],
    [500, '{"error":"oh"}', 'CAESURA_E_SERVER', true],
    [502, '<html>Bad Gateway</html>', 'CAESURA_E_SERVER', true],
    [503, openAi('Loading model', 'unavailable_error'), 'CAESURA_E_SERVER_BUSY', true],
  ] as const)('of an answer with status %i and %j', async (status, body, expected, again) => {
    const elsewhere = await serve()
    const { backend } = await serveRaw((response) => {
      response.writeHead(status, status === 302 ? { location: `${elsewhere.server.url}/v1/chat/completions` } : {})
      response.end(body)
    })
    const { end, names } = await call(backend)
    expect(end.error?.code).toBe(expected)
    expect(end.retryable ?? false).toBe(again)
    expect(names).toContain('headers')
    expect(elsewhere.server.requests).toEqual([])
  })

  it('of a busy server tells how long to wait', async () => {
    const { backend } = await serveRaw((response) => void response.writeHead(429, { 'retry-after': '7' }).end('{}'))
    expect((await call(backend)).end).toMatchObject({ retryable: true, retryAfterMs: 7_000 })
  })
})

describe('the server', () => {
  const { signal } = new AbortController()

  it('tells its models', async () => {
    const { server, backend } = await serve({ models: ['demo', 'gpt-0'] })
    expect(await backend.server(signal)).toEqual({ kind: 'openai', address: `${server.url}/v1` })
    expect(await backend.models(signal)).toEqual([{ name: 'demo' }, { name: 'gpt-0' }])
  })

  it('that is not there, is another, or is silent: the address that was tried', async () => {
    const { server, backend } = await serve()
    const other = backendFor(`${server.url}/nowhere`)
    await expect(other.server(signal)).rejects.toMatchObject({ code: 'CAESURA_E_NO_SERVER' })
    await server.close()
    for (const ask of [backend.server(signal), backend.models(signal)]) {
      const error = await ask.catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'CAESURA_E_NO_SERVER', exitCode: 3 })
      expect(String(error)).toContain(`${server.url}/v1`)
    }
  })
})

describe('an API key', () => {
  const apiKey = 'sk-secret-0123456789'
  const keyed = (settings: Partial<OpenAiSettings> = { apiKey }) => serve({ models: ['demo'], apiKey }, settings)

  it('goes with every request', async () => {
    const { server, backend } = await keyed()
    expect((await call(backend)).end.end).toBe('completed')
    await backend.models(new AbortController().signal)
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(Array(2).fill(`Bearer ${apiKey}`))
  })

  it('that is missing or wrong is a fault of its own, which is not tried again', async () => {
    for (const settings of [{}, { apiKey: 'sk-wrong-9876543210' }]) {
      const { end } = await call((await keyed(settings)).backend)
      expect(end).toMatchObject({ end: 'failed', error: { code: 'CAESURA_E_AUTH' } })
      expect(end.retryable).toBeUndefined()
    }
  })

  it('is in nothing that is told, though the server quotes it', async () => {
    const quoting = `key ${apiKey} is over its limit`
    const faults = [
      (response: Parameters<typeof eventStream>[0]) => void response.writeHead(401).end(quoting),
      (response: Parameters<typeof eventStream>[0]) =>
        void response.writeHead(429, { 'retry-after': '1' }).end(quoting),
      (response: Parameters<typeof eventStream>[0]) => void eventStream(response).end(event({ error: quoting })),
      (response: Parameters<typeof eventStream>[0]) => void eventStream(response).end(`data: ${quoting}\n\n`),
      (response: Parameters<typeof eventStream>[0]) => void eventStream(response).end(quoting),
    ]
    for (const respond of faults) {
      const { backend } = await serve({ script: { respond } }, { apiKey })
      const { end } = await call(backend)
      expect(end.end).toBe('failed')
      expect(JSON.stringify(end.error)).toContain('…')
      expect(JSON.stringify(end)).not.toContain(apiKey)
      const { signal } = new AbortController()
      const request = { model: 'demo', messages: [], isCut: false, options: {} }
      const error = await backend.prefill?.(request, signal).catch((reason: unknown) => reason)
      expect(inspect([error, backend], { depth: 10 })).not.toContain(apiKey)
    }
    const { backend } = await serve({ script: { respond: faults[1]! } }, { apiKey })
    expect((await call(backend)).end.retryAfterMs).toBe(1_000)
  })

  it('is not told in part either, where a long answer is cut', async () => {
    for (const filler of [280, 285, 290]) {
      const { backend } = await serve(
        { script: { respond: (response) => void response.writeHead(500).end('x'.repeat(filler) + apiKey.repeat(3)) } },
        { apiKey },
      )
      const { end } = await call(backend)
      expect(end.error?.message).toMatch(/xxx…/)
      expect(end.error?.message).not.toContain('sk-sec')
    }
  })

  it('that no header can carry is refused without being shown', () => {
    const make = () => openaiBackend({ url: 'http://127.0.0.1:1', apiKey: 'sk-secret\nx' })
    expect(make).toThrow(expect.objectContaining({ code: 'CAESURA_E_CONFIG' }))
    expect(make).not.toThrow(/secret/)
  })
})

describe('an address of an API', () => {
  it.each([
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080/v1'],
    ['http://127.0.0.1:8080/', 'http://127.0.0.1:8080/v1'],
    [' https://gpu-1/v1/ ', 'https://gpu-1/v1'],
    ['https://gpu-1/openai/v1?x=1#y', 'https://gpu-1/openai/v1'],
  ])('%j becomes %s', (text, url) => {
    expect(openaiUrl(text)).toBe(url)
    expect(openaiUrl(url)).toBe(url)
  })

  it.each(['', 'gpu-1', 'ftp://gpu-1', 'http://', 'http://me:sk-secret@gpu-1/v1'])('%j is none', (text) => {
    const error = (() => {
      try {
        return openaiUrl(text)
      } catch (reason) {
        return reason
      }
    })()
    expect(error).toBeInstanceOf(CaesuraError)
    expect(error).toMatchObject({ code: 'CAESURA_E_CONFIG' })
    expect(JSON.stringify(error)).not.toContain('secret')
  })
})
