import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { linesOf, recording } from '../servers/replay.ts'
import { type ModelServerProcess, startModelServerProcess } from './model-server-process.ts'
import { type Answer, ask, sendTo } from './ollama-request.ts'

let server: ModelServerProcess
beforeAll(async () => {
  server = await startModelServerProcess()
})
afterAll(async () => {
  await server.stop()
})

/** The recorded server had another model. */
const ours = (text: string) => text.replaceAll('smollm2:135m', 'caesura-demo')

/** Sends what was recorded. */
const repeat = (name: string): Promise<Answer> => {
  const { method, path, body } = recording('ollama-0.32.15', name).request
  return sendTo(server.url, method, path, body === null ? null : ours(body)).answer
}

/** What a client sees of an answer beside its text and its figures: status, framing, keys and types. */
const formOf = (
  status: number | null,
  headers: Record<string, unknown>,
  lines: readonly Record<string, unknown>[],
) => ({
  status,
  type: headers['content-type'],
  framing: 'transfer-encoding' in headers ? 'chunked' : 'content-length' in headers ? 'length' : 'none',
  first: lines[0] && typesOf(lines[0]),
  // Their keys are the same in all lines between.
  between: new Set(lines.slice(1, -1).map((line) => JSON.stringify(typesOf(line)))),
  last: lines.at(-1) && typesOf(lines.at(-1)!),
})

/** `context` holds token ids, which a backend here does not give away. */
function typesOf({ context: _, ...line }: Record<string, unknown>): unknown {
  return Object.entries(line).map(([key, value]) =>
    value !== null && typeof value === 'object'
      ? [key, typesOf(value as Record<string, unknown>)]
      : [key, typeof value],
  )
}

function recordedForm(name: string) {
  const from = recording('ollama-0.32.15', name)
  const pairs = from.headers ?? []
  const headers = Object.fromEntries(
    pairs.flatMap((key, index) => (index % 2 === 0 ? [[key.toLowerCase(), pairs[index + 1]]] : [])),
  )
  return formOf(from.status, headers, linesOf(from))
}

describe('the answers of the model server have the form of those of Ollama 0.32', () => {
  it.each([
    'chat-stream',
    'chat-nonstream',
    'chat-multi-turn',
    'chat-seed-a',
    'chat-seed-b',
    'content-type-text',
    'done-length',
    'expect-continue',
    'generate-stream',
    'generate-nonstream',
    'generate-system',
    'keep-alive-1',
    'keep-alive-2',
    'num-predict-0',
    'num-predict-minus-1',
    'num-predict-minus-2',
    'option-num-ctx-negative',
    'option-unknown',
    'option-unknown-field',
    'load-chat',
    'load-only',
    'load-no-prompt-field',
    'unload',
    'unload-not-loaded',
    'generate-cold',
    'generate-keep-alive-0',
  ])('%s', async (name) => {
    const { status, headers, lines } = await repeat(name)
    expect(formOf(status, headers, lines)).toEqual(recordedForm(name))
  })

  it.each([
    'body-absent',
    'body-empty',
    'field-wrong-type',
    'json-array',
    'json-bad',
    'keep-alive-wrong',
    'model-empty',
    'model-invalid-name',
    'model-unknown-chat',
    'model-unknown-generate',
    'option-wrong-type',
    'option-wrong-type-int',
    'stream-wrong-type',
    'wrong-method',
  ])('%s, in the same words', async (name) => {
    const from = recording('ollama-0.32.15', name)
    const { status, headers, text } = await repeat(name)
    expect({ status, text }).toEqual({ status: from.status, text: from.chunks.map((chunk) => chunk.text).join('') })
    expect(from.headers).toContain(headers['content-type'])
    expect(headers['content-length']).toBe(String(text.length))
  })

  it.each(['tools-unsupported', 'generate-suffix', 'image-to-text-model', 'image-chat-to-text-model'])(
    '%s is refused with the same status',
    async (name) => {
      const { status, lines } = await repeat(name)
      expect({ status, keys: Object.keys(lines[0]!) }).toEqual({ status: 400, keys: ['error'] })
    },
  )

  it('a prompt beyond the context is refused as with truncate: false', async () => {
    const { status, text } = await repeat('context-truncate-false-chat')
    expect(status).toBe(400)
    const quoted = JSON.parse(JSON.parse(text).error)
    expect(quoted).toMatchObject({ error: { code: 400, type: 'exceed_context_size_error' } })
  })
})

describe('the model server lists its model', () => {
  const tags = ['name', 'model', 'modified_at', 'size', 'digest', 'details', 'capabilities']

  it('in /api/tags, by both of its names', async () => {
    const { models } = JSON.parse((await ask(server.url, '/api/tags')).text)
    expect(models.map(({ name }: { name: string }) => name)).toEqual(['caesura-demo-3m:latest', 'caesura-demo:latest'])
    const [recorded] = linesOf(recording('ollama-0.32.15', 'tags'))[0]!.models as Record<string, object>[]
    expect(Object.keys(models[0])).toEqual(Object.keys(recorded!))
    expect(Object.keys(models[0])).toEqual(tags)
    expect(models[0].size).toBeGreaterThan(1_000_000)
  })

  it('in /api/ps, while it is loaded', async () => {
    await ask(server.url, '/api/chat', { model: 'caesura-demo', messages: [] })
    const { models } = JSON.parse((await ask(server.url, '/api/ps')).text)
    expect(models).toMatchObject([
      { name: 'caesura-demo-3m:latest', size_vram: 0, expires_at: expect.any(String) },
      { name: 'caesura-demo:latest' },
    ])
    await ask(server.url, '/api/chat', { model: 'caesura-demo', messages: [], keep_alive: 0 })
    expect((await ask(server.url, '/api/ps')).text).toBe('{"models":[]}')
  })

  it('in /api/show, and nothing else', async () => {
    const shown = JSON.parse((await ask(server.url, '/api/show', { model: 'caesura-demo' })).text)
    expect(shown).toMatchObject({ capabilities: ['completion'], details: { format: 'gguf' } })
    expect(await ask(server.url, '/api/show', { model: 'nope:latest' })).toMatchObject({
      status: 404,
      text: `{"error":"model 'nope:latest' not found"}`,
    })
  })

  it('and says that it is there', async () => {
    expect(await ask(server.url, '/')).toMatchObject({ status: 200, text: 'Ollama is running' })
    const head = await sendTo(server.url, 'HEAD', '/').answer
    expect(head).toMatchObject({ status: 200, text: '', headers: { 'content-length': '17' } })
    expect(JSON.parse((await ask(server.url, '/api/version')).text)).toEqual({ version: '0.32.15-caesura' })
    expect(await ask(server.url, '/api/nope')).toMatchObject({ status: 404, text: '404 page not found' })
  })
})
