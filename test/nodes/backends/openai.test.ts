import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CallCancelled } from '../../../src/core/errors.ts'
import { chunk, done, event, eventStream, said, usageOf } from '../../servers/openai-like.ts'
import { backendFor, call, serve, serveRaw } from './openai-call.ts'

const finish = (reason = 'stop') => event(chunk({}, reason))

describe('the request', () => {
  it('carries messages and options under the names of the API, and leaves out what was not asked for', async () => {
    const { server, backend } = await serve()
    await call(backend, {
      messages: [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: 'Hi' },
      ],
      options: { maxTokens: 3, temperature: 0, seed: 4, topK: 5, topP: 0.5, stop: ['x'], contextTokens: 512 },
    })
    await call(backend)
    const shared = { model: 'demo', stream: true, stream_options: { include_usage: true } }
    expect(server.requests.map(({ path, body }) => ({ path, body }))).toEqual([
      {
        path: '/v1/chat/completions',
        body: {
          ...shared,
          messages: [
            { role: 'system', content: 'Be short.' },
            { role: 'user', content: 'Hi' },
          ],
          ...{ max_tokens: 3, temperature: 0, seed: 4, top_k: 5, top_p: 0.5, stop: ['x'] },
        },
      },
      { path: '/v1/chat/completions', body: { ...shared, messages: [{ role: 'user', content: 'hello there' }] } },
    ])
    expect(server.requests[0]!.headers.authorization).toBeUndefined()
  })

  it('says how hard to think in both ways that servers know, and hands parameters on', async () => {
    const { server, backend } = await serve()
    for (const think of [true, false, 'low', 'max'] as const) await call(backend, { think, parameters: { min_p: 0.1 } })
    const asked = server.requests.map(({ body }) => body as Record<string, unknown>)
    expect(asked.map((body) => [body.reasoning_effort, body.chat_template_kwargs, body.min_p])).toEqual([
      ['medium', { enable_thinking: true }, 0.1],
      ['none', { enable_thinking: false }, 0.1],
      ['low', { enable_thinking: true }, 0.1],
      ['high', { enable_thinking: true }, 0.1],
    ])
  })

  it('reads a prompt ahead with the least that a server can be asked for', async () => {
    const { server, backend } = await serve()
    const { signal } = new AbortController()
    const messages = [{ role: 'user' as const, content: 'Once upon' }]
    await backend.prefill?.({ model: 'demo', messages, isCut: true, options: { maxTokens: 99, seed: 1 } }, signal)
    expect(server.requests[0]!.body).toEqual({ model: 'demo', messages, max_tokens: 1, seed: 1 })
  })
})

describe('a completed call', () => {
  it('reports the usage, and no durations where none were told', async () => {
    const { backend } = await serve()
    expect((await call(backend, { options: { maxTokens: 3 } })).end).toEqual({
      end: 'completed',
      finishReason: 'length',
      promptTokens: 2,
      generatedTokens: 3,
    })
  })

  it('takes the timings of a llama.cpp server for its durations', async () => {
    const timings = { cache_n: 5, prompt_n: 32, prompt_ms: 3.781, predicted_n: 2, predicted_ms: 1.5 }
    const { server, backend } = await serve({ script: { tokens: ['a', 'b'], timings } })
    const durations = { prefillNs: 3_781_000, decodeNs: 1_500_000 }
    expect((await call(backend)).end).toMatchObject({ promptTokens: 2, generatedTokens: 2, server: durations })
    const last = { ...chunk({}, 'stop'), timings }
    server.setScript({ respond: (response) => void eventStream(response).end(said('a', 'b') + event(last) + done) })
    const { end } = await call(backend)
    expect(end).toMatchObject({ promptTokens: 37, generatedTokens: 2, server: durations })
  })

  it('does not judge timings of another kind', async () => {
    const { backend } = await serve({ script: { tokens: ['a'], timings: { prompt: 7 } } })
    const { end } = await call(backend)
    expect(end).toEqual({ end: 'completed', finishReason: 'stop', promptTokens: 2, generatedTokens: 1 })
  })

  it('marks the connection only in the call that opened it', async () => {
    const { server, backend } = await serve()
    const [first, second] = [await call(backend), await call(backend)]
    expect(first.names).toEqual(['connect-start', 'connected', 'request-sent', 'headers', 'done'])
    expect(second.names).toEqual(['request-sent', 'headers', 'done'])
    expect(server.accepted).toBe(1)
  })

  it('reads the same text however the bytes are cut', async () => {
    const pieces = ['Grüße, ', '日本語', ' 👩‍👩‍👧 ', 'ok "quoted" \\ \n']
    const bytes = Buffer.from(`: ping\r\n\r\n${said(...pieces)}${finish()}${usageOf(1, 4)}${done}`)
    let sizes: number[] = []
    const { backend } = await serveRaw(async (response) => {
      eventStream(response)
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
      expect(await call(backend)).toMatchObject({ end: { end: 'completed', generatedTokens: 4 }, pieces })
    })
    await fc.assert(property, { numRuns: 15, examples: [[[1]], [[bytes.length]]] })
  })
})

describe('a stream with oddities', () => {
  const role = event(chunk({ role: 'assistant', content: null }))
  it.each([
    [
      'comments and empty lines',
      `: OPENROUTER PROCESSING\n\n:\n\n${said('a')}: ping\n\n${said('b')}${finish()}${done}`,
    ],
    ['line ends of CR and LF', `${role}${said('a', 'b')}${finish()}${done}`.replaceAll('\n', '\r\n')],
    ['line ends of CR', `${role}${said('a', 'b')}${finish()}${done}`.replaceAll('\n', '\r')],
    ['a byte order mark', `\uFEFF${said('a', 'b')}${finish()}${done}`],
    ['event names, ids and retry', `event: message\nid: 7\nretry: 3\n${said('a', 'b')}retry: x\n\n${finish()}${done}`],
    ['no space behind the colon', `${said('a', 'b')}${finish()}${done}`.replaceAll('data: ', 'data:')],
    [
      'an event in several lines of data',
      `${said('a', 'b')}${finish()}${done}`.replaceAll('"index"', '\ndata: "index"'),
    ],
    ['a first chunk with a role alone', `${role}${said('a', 'b')}${finish()}${done}`],
    ['empty pieces', `${said('', 'a', '', 'b', '')}${finish()}${done}`],
    ['the finish reason in the last piece', `${said('a')}${event(chunk({ content: 'b' }, 'stop'))}${done}`],
    ['no [DONE]', `${said('a', 'b')}${finish()}`],
    ['no empty line behind the last event', `${said('a', 'b')}${finish()}`.trimEnd()],
    [
      'no delta in the last chunk',
      `${said('a', 'b')}${event({ choices: [{ index: 0, finish_reason: 'stop' }] })}${done}`,
    ],
    ['usage before the end', `${said('a')}${usageOf(1, 1)}${said('b')}${finish()}${done}`],
    [
      'a choice that was not asked for',
      `${said('a', 'b')}${event({ choices: [{ index: 1, delta: { content: 'z' } }] })}${finish()}${done}`,
    ],
    ['text behind the finish reason', `${said('a', 'b')}${finish()}${said('c')}${done}`],
    ['two finish reasons', `${said('a', 'b')}${finish()}${finish('length')}${done}`],
    ['garbage behind the finish reason', `${said('a', 'b')}${finish()}<html>${done}`],
    ['text behind [DONE]', `${said('a', 'b')}${finish()}${done}${said('c')}`],
    [
      'reasoning, which is no text of the answer',
      `${event(chunk({ reasoning_content: 'Hm.' }))}${event(chunk({ reasoning: 'Hm.' }))}${said('a', 'b')}${finish()}${done}`,
    ],
  ])('of %s', async (_name, body) => {
    const { backend } = await serveRaw((response) => void eventStream(response).end(body))
    const { end, pieces } = await call(backend)
    expect(end).toMatchObject({ end: 'completed' })
    expect(pieces).toEqual(['a', 'b'])
    expect(end.finishReason).toBe('stop')
  })

  it.each([
    ['length', { finishReason: 'length' }],
    ['MAX_TOKENS', { finishReason: 'length' }],
    ['content_filter', { finishReason: 'content-filter' }],
    ['tool_calls', { finishReason: 'tool-calls' }],
    ['function_call', { finishReason: 'tool-calls' }],
    ['eos_token', { finishReason: 'stop' }],
    ['whim', { finishSaid: 'whim' }],
    ['w'.repeat(99), { finishSaid: 'w'.repeat(64) }],
  ])('of the finish reason %s', async (reason, told) => {
    const { backend } = await serveRaw((response) => void eventStream(response).end(said('a') + finish(reason) + done))
    expect((await call(backend)).end).toEqual({ end: 'completed', ...told })
  })

  it('of two calls that fail and end: the connection of the good one is used again', async () => {
    const { server, backend } = await serveRaw(
      (response) => void eventStream(response).end(said('a') + finish() + done),
    )
    await call(backend)
    await call(backend)
    expect(server.accepted).toBe(1)
  })

  it('stays open after its end: the call ends, its connection is closed', async () => {
    const { server, backend } = await serveRaw(
      (response) => void eventStream(response).write(said('a') + finish() + done),
    )
    expect((await call(backend)).end.end).toBe('completed')
    await server.until(({ requests }) => requests[0]?.abandonedAt !== undefined)
  })

  it('goes silent after the finish reason: the call ends without its counts', async () => {
    const { server, backend } = await serveRaw((response) => void eventStream(response).write(said('a') + finish()))
    expect((await call(backend)).end).toEqual({ end: 'completed', finishReason: 'stop' })
    await server.until(({ requests }) => requests[0]?.abandonedAt !== undefined)
  })

  it('breaks after the finish reason: the answer is whole', async () => {
    const { backend } = await serveRaw((response) => {
      eventStream(response).write(said('a') + finish(), () => setTimeout(() => response.socket?.resetAndDestroy(), 10))
    })
    expect(await call(backend)).toMatchObject({ end: { end: 'completed' }, pieces: ['a'] })
  })
})

describe('an aborted call', () => {
  it('in the middle of several events of one piece: no token comes after the abort', async () => {
    const { backend } = await serveRaw(
      (response) => void eventStream(response).end(said('a', 'b', 'c') + finish() + done),
    )
    const controller = new AbortController()
    const token = (count: number) => void (count === 2 && controller.abort(new CallCancelled()))
    const told = await call(backend, {}, { signal: controller.signal, token })
    expect(told.end).toEqual({ end: 'cancelled' })
    expect(told.pieces).toEqual(['a', 'b'])
  })

  it('while the server goes silent after the finish reason is cancelled', async () => {
    const { backend } = await serveRaw((response) => void eventStream(response).write(said('a') + finish()))
    const controller = new AbortController()
    const token = () => void setTimeout(() => controller.abort(new CallCancelled()), 20)
    const told = await call(backend, {}, { signal: controller.signal, token })
    expect(told.end).toEqual({ end: 'cancelled' })
    expect(told.names.at(-1)).toBe('closed')
  })
})

describe('the witness of the slot', () => {
  const slow = { intervalMs: 5, tokens: Array(400).fill('x') }
  const abortedAt = async (backend: ReturnType<typeof backendFor>, at: number) => {
    const controller = new AbortController()
    const token = (count: number) => void (count === at && controller.abort(new CallCancelled()))
    return call(backend, {}, { signal: controller.signal, token })
  }

  it('is waited for after an abort: the server works no more when the call settles', async () => {
    const { server, backend } = await serve({ script: slow, slots: { count: 1, releaseMs: 60 } }, { witness: 'slots' })
    const { end, names } = await abortedAt(backend, 3)
    expect(server.busy).toBe(0)
    expect(end).toEqual({ end: 'cancelled' })
    expect(names.slice(-2)).toEqual(['closed', 'slot-free'])
  })

  it('does not count the slots of other calls', async () => {
    const { server, backend } = await serve({ script: slow, slots: { count: 2, releaseMs: 20 } }, { witness: 'slots' })
    const other = new AbortController()
    const running = call(backend, {}, { signal: other.signal })
    await server.until(({ requests }) => (requests[0]?.tokensWritten ?? 0) > 0 || requests.length > 0)
    expect((await abortedAt(backend, 3)).names.at(-1)).toBe('slot-free')
    expect(server.busy).toBe(1)
    other.abort(new CallCancelled())
    expect((await running).names.at(-1)).toBe('slot-free')
  })

  it('is not asked unless it was wished for, and not after a call that ended by itself', async () => {
    const { server } = await serve({ script: { tokens: ['a'] }, slots: { count: 1 } })
    expect((await call(backendFor(server.url, { witness: 'slots' }))).names).not.toContain('slot-free')
    server.setScript(slow)
    expect((await abortedAt(backendFor(server.url), 2)).names.at(-1)).toBe('closed')
    expect(server.looks).toBe(0)
  })

  it('that does not speak, or not in time, says nothing: the call settles without the mark', async () => {
    const without = await serve({ script: slow }, { witness: 'slots' })
    expect((await abortedAt(without.backend, 2)).names.at(-1)).toBe('closed')
    const never = { script: slow, slots: { count: 1, releaseMs: 600_000 } }
    const { backend } = await serve(never, { witness: 'slots', witnessDeadlineMs: 80 })
    expect((await abortedAt(backend, 2)).names.at(-1)).toBe('closed')
  })

  it('that is not there is told before any call', async () => {
    const { backend } = await serve({}, { witness: 'slots' })
    const error = await backend.server(AbortSignal.timeout(5_000)).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'CAESURA_E_NO_SERVER' })
    expect(String(error)).toContain('GET /slots')
  })
})
