import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { llamaCpp } from '../../src/app/nodes.ts'
import type { CallEnd } from '../../src/core/call.ts'
import type { MarkName } from '../../src/core/ledger.ts'
import type { Backend } from '../../src/core/ports.ts'
import { bundledModel } from '../../src/nodes/backends/model-file.ts'
import { type ModelServer, startModelServer } from '../../src/server/model-server/model-server.ts'
import { ask, sendTo, textOf } from './ollama-request.ts'

/** What the backend below the server did in one call. */
interface Seen {
  readonly marks: MarkName[]
  tokens: number
  end?: CallEnd
}

const servers: ModelServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

/** A server in this process, so that what happens below it can be watched. */
async function serve(make: () => Backend): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = []
  const watch = (backend: Backend): Backend => ({
    ...backend,
    async generate(request, context) {
      const call: Seen = { marks: [], tokens: 0 }
      seen.push(call)
      call.end = await backend.generate(request, {
        ...context,
        mark(name, at) {
          call.marks.push(name)
          context.mark(name, at)
        },
        token(text) {
          call.tokens += 1
          context.token(text)
        },
      })
      return call.end
    },
  })
  const server = await startModelServer({ backend: () => watch(make()), names: ['m'], info: { name: 'm' }, port: 0 })
  servers.push(server)
  return { url: server.url, seen }
}

const bundled = () => llamaCpp({ name: 'm', model: bundledModel }).backend
const LONG = 400

/** Asks for an answer that the model would go on with to its limit. */
const long = (url: string, content = 'How do I clean a pan?') =>
  sendTo(
    url,
    'POST',
    '/api/chat',
    JSON.stringify({
      model: 'm',
      messages: [{ role: 'user', content }],
      // Hot enough never to end by itself.
      options: { temperature: 5, top_k: 0, top_p: 1, seed: 1, num_predict: LONG },
    }),
  )
const short = (url: string) =>
  ask(url, '/api/chat', { model: 'm', messages: [{ role: 'user', content: 'Hi' }], options: { num_predict: 2 } })

describe('a closed connection', () => {
  it('in the answer stops the real inference, and the call that waits has the slot', async () => {
    const { url, seen } = await serve(bundled)
    const left = long(url)
    await left.lines(3)
    const waiting = short(url)
    left.request.destroy()
    expect((await waiting).lines.at(-1)).toMatchObject({ done: true, eval_count: 2 })
    expect(seen[0]!.end!.end).toBe('cancelled')
    // Far from its end: a client on the same processor may be some tokens late.
    expect(seen[0]!.end!.generatedTokens).toBeGreaterThanOrEqual(3)
    expect(seen[0]!.end!.generatedTokens).toBeLessThan(LONG / 4)
    expect(seen).toHaveLength(2)
  })

  it('does so for an answer in one piece, of which nothing has been sent', async () => {
    const { url, seen } = await serve(bundled)
    const body = { model: 'm', prompt: 'Tell me.', stream: false, options: { temperature: 5, num_predict: LONG } }
    const left = sendTo(url, 'POST', '/api/generate', JSON.stringify(body))
    await expect.poll(() => seen[0]?.tokens, { interval: 1 }).toBeGreaterThan(0)
    left.request.destroy()
    await short(url)
    expect(seen[0]!.end).toMatchObject({ end: 'cancelled' })
    expect(seen[0]!.tokens).toBeLessThan(LONG)
  })

  it('in prefill stops it between two batches', async () => {
    const { url, seen } = await serve(bundled)
    const left = long(url, 'I have a kettle, a pan, a knife and a plant. '.repeat(70))
    await expect.poll(() => seen[0]?.marks, { interval: 1 }).toContain('prefill-start')
    left.request.destroy()
    expect((await short(url)).status).toBe(200)
    expect(seen[0]!.marks).not.toContain('prefill-end')
    expect(seen[0]).toMatchObject({ tokens: 0, end: { end: 'cancelled' } })
  })

  it('in the queue is forgotten: its call never begins', async () => {
    const { url, seen } = await serve(bundled)
    const first = long(url)
    await first.lines(1)
    const waiting = [long(url), long(url), long(url)]
    // They are in the queue when what came after them is answered.
    await ask(url, '/api/version')
    for (const { request } of waiting) request.destroy()
    await ask(url, '/api/version')
    first.request.destroy()
    await short(url)
    expect(seen).toHaveLength(2)
  })

  it('while the model loads does not stop the load, which the next call needs', async () => {
    const { url, seen } = await serve(bundled)
    await ask(url, '/api/chat', { model: 'm', messages: [], keep_alive: 0 })
    expect((await ask(url, '/api/ps')).text).toBe('{"models":[]}')
    const left = long(url)
    await new Promise<void>((resolve) => left.request.once('finish', resolve))
    await ask(url, '/api/version')
    left.request.destroy()
    expect((await short(url)).status).toBe(200)
    // The load was over before the client had left, or its call never began.
    expect(seen.at(-1)).toMatchObject({ tokens: 2, end: { end: 'completed' } })
    for (const { end } of seen.slice(0, -1)) expect(end).toMatchObject({ end: 'cancelled' })
  })
})

describe('a reader that does not read', () => {
  it('is cut off when too much waits for it', async () => {
    const PIECE = 65_536
    let pieces = 0
    let ended: 'cancelled' | undefined
    const { url } = await serve(() => ({
      kind: 'flood',
      server: async () => ({ kind: 'flood' }),
      models: async () => [],
      close: async () => {},
      async generate(_request, { signal, token }) {
        while (!signal.aborted) {
          token('x'.repeat(PIECE))
          pieces += 1
          await new Promise(setImmediate)
        }
        ended = 'cancelled'
        return { end: 'cancelled' }
      },
    }))
    const socket = connect(Number(new URL(url).port), '127.0.0.1').pause()
    const body = JSON.stringify({ model: 'm', prompt: 'x' })
    socket.write(`POST /api/generate HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    await expect.poll(() => ended, { timeout: 10_000 }).toBe('cancelled')
    expect(pieces * PIECE).toBeLessThan(64 * 1024 * 1024)
    socket.destroy()
  })
})

describe('a backend that fails', () => {
  const failing = (tokens: number): Backend => ({
    kind: 'failing',
    server: async () => ({ kind: 'failing' }),
    models: async () => [],
    close: async () => {},
    async generate(_request, { token }) {
      for (let i = 0; i < tokens; i++) token('a')
      return { end: 'failed', error: { code: 'CAESURA_E_MODEL_ERROR', message: 'llama.cpp failed: no memory' } }
    },
  })

  it('before a token is an answer with status 500', async () => {
    const { url } = await serve(() => failing(0))
    const { status, text } = await short(url)
    expect({ status, text }).toEqual({ status: 500, text: '{"error":"llama.cpp failed: no memory"}' })
  })

  it('in the middle is an error line, and the end', async () => {
    const { url } = await serve(() => failing(2))
    const answer = await short(url)
    expect(answer.status).toBe(200)
    expect(textOf({ ...answer, lines: answer.lines.slice(0, 2) })).toBe('aa')
    expect(answer.lines.slice(2)).toEqual([{ error: 'llama.cpp failed: no memory' }])
  })
})
