import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serveModel } from '../../src/app/model-serving.ts'
import type { CallRequest } from '../../src/core/call.ts'
import { formatFault } from '../../src/core/document-format.ts'
import type { ModelServer } from '../../src/server/model-server/model-server.ts'
import { backendFor, call } from '../nodes/backends/ollama-call.ts'
import { ask } from './ollama-request.ts'

const format = {
  type: 'object',
  properties: { allowed: { type: 'boolean' }, steps: { type: 'array', items: { type: 'string' }, minItems: 2 } },
  required: ['allowed'],
}
const tools = [
  { name: 'status', parameters: { type: 'object', properties: { order: { type: 'string' } }, required: ['order'] } },
]
const pixel = 'data:image/gif;base64,R0lGODlhAQABAAAAACw='
const user = { role: 'user' as const, content: 'hello' }

describe('a scripted model behind the interface of Ollama', () => {
  let server: ModelServer
  beforeAll(async () => {
    const served = await serveModel({ port: 0, model: 'demo', script: { tokens: 4 } })
    server = served.server
  })
  afterAll(() => server.close())
  const asked = (more: Partial<CallRequest>) => call(backendFor(server.url), more)

  it('says that it can do all of it', async () => {
    const { lines } = await ask(server.url, '/api/show', { model: 'demo' })
    expect(lines[0]).toMatchObject({ capabilities: ['completion', 'tools', 'thinking', 'vision'] })
  })

  it('thinks where it is told to, before it answers', async () => {
    const [plain, told] = [await asked({}), await asked({ think: 'low' })]
    expect([plain.thoughts, plain.text]).toEqual([[], told.text])
    expect(told.thoughts).toHaveLength(8)
    expect(told.end).toMatchObject({ finishReason: 'stop', generatedTokens: 12 })
    const cut = await asked({ think: true, options: { maxTokens: 5 } })
    expect(cut).toMatchObject({ text: '', end: { finishReason: 'length', generatedTokens: 5 } })
  })

  it('gives a document that holds to its format, and one that is cut where its limit is', async () => {
    expect(formatFault(format, (await asked({ format })).text)).toBeUndefined()
    expect(formatFault('json', (await asked({ format: 'json' })).text)).toBeUndefined()
    const cut = await asked({ format, options: { maxTokens: 2 } })
    expect(cut.end.finishReason).toBe('length')
    expect(formatFault(format, cut.text)).toBe('it ends in the middle')
  })

  it('calls a tool, and answers when it has the result', async () => {
    const { calls, end, text } = await asked({ tools })
    expect(text).toBe('')
    expect(calls).toMatchObject([{ id: expect.any(String), name: 'status', arguments: { order: 'w' } }])
    expect(end).toMatchObject({ finishReason: 'tool-calls', generatedTokens: 1 })
    const answered = await asked({
      tools,
      messages: [
        user,
        { role: 'assistant', content: '', toolCalls: calls },
        { role: 'tool', content: 'sent', toolName: 'status', toolCallId: calls[0]!.id! },
      ],
    })
    expect(answered).toMatchObject({ calls: [], end: { finishReason: 'stop' } })
    expect(answered.pieces).toHaveLength(4)
  })

  it('looks at pictures, as far as they are some', async () => {
    expect((await asked({ messages: [{ ...user, images: [pixel] }] })).end.end).toBe('completed')
    const odd = { model: 'demo', messages: [{ ...user, images: ['%%%'] }] }
    expect(await ask(server.url, '/api/chat', odd)).toMatchObject({
      status: 400,
      lines: [{ error: 'illegal base64 data at input byte 0' }],
    })
  })

  it('gives all of it in one piece where it is not to stream, on both routes', async () => {
    const chat = { model: 'demo', messages: [user], stream: false }
    const { lines } = await ask(server.url, '/api/chat', {
      ...chat,
      think: true,
      tools: [{ type: 'function', function: tools[0] }],
    })
    expect(lines).toMatchObject([
      {
        message: {
          content: '',
          thinking: expect.stringMatching(/^t\w+-0 .*t\w+-7 $/),
          tool_calls: [{ id: expect.any(String), function: { name: 'status', arguments: { order: 'w' } } }],
        },
        done_reason: 'stop',
      },
    ])
    const generated = await ask(server.url, '/api/generate', {
      model: 'demo',
      prompt: 'x',
      think: true,
      format,
      stream: false,
    })
    expect(generated.lines).toMatchObject([{ thinking: expect.stringContaining('-7 '), response: expect.any(String) }])
    expect(formatFault(format, (generated.lines[0] as { response: string }).response)).toBeUndefined()
  })

  it.each<[string, object, number, RegExp]>([
    ['thinking that is none', { think: 'loud' }, 400, /^invalid think value: "loud" \(must be "high"/],
    ['a format that is none', { format: 'xml' }, 500, /^invalid format: "\\"xml\\""; expected "json"/],
    ['a schema that is none', { format: { type: 'nonsense' } }, 400, /^invalid JSON schema in format/],
    ['a recursive schema', { format: { items: { $ref: '#' } } }, 400, /refers to itself/],
    [
      'tools that are no list',
      { tools: { a: 1 } },
      400,
      /^json: cannot unmarshal object into Go struct field ChatRequest\.tools/,
    ],
  ])('refuses %s', async (_, more, status, error) => {
    const answer = await ask(server.url, '/api/chat', { model: 'demo', messages: [user], ...more })
    expect(answer).toMatchObject({ status, lines: [{ error: expect.stringMatching(error) }] })
  })
})

describe('the embedded model behind it', { timeout: 60_000 }, () => {
  it('holds its answers to a format, and refuses what it cannot do', async () => {
    const { server } = await serveModel({ port: 0 })
    try {
      const chat = { model: 'caesura-demo', messages: [user] }
      const flag = await ask(server.url, '/api/chat', { ...chat, format: { type: 'boolean' }, stream: false })
      const { message } = flag.lines[0] as { message: { content: string } }
      expect([true, false]).toContain(JSON.parse(message.content))
      for (const more of [
        { think: true },
        { tools: [{ function: tools[0] }] },
        { messages: [{ ...user, images: [pixel.split(',')[1]] }] },
      ])
        expect(await ask(server.url, '/api/chat', { ...chat, ...more })).toMatchObject({ status: 400 })
    } finally {
      await server.close()
    }
  })
})
