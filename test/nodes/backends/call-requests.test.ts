import { describe, expect, it } from 'vitest'
import type { CallRequest, ChatMessage } from '../../../src/core/call.ts'
import { chatRequest } from '../../../src/nodes/backends/ollama-request.ts'
import { chatBody } from '../../../src/nodes/backends/openai-request.ts'
import { call, code, serve } from './ollama-call.ts'

/** A server that says what its models can do. */
const capable = (capabilities?: string[]) =>
  serve({
    routes: {
      '/api/show': (response) => response.end(JSON.stringify({ details: {}, ...(capabilities && { capabilities }) })),
    },
  })

const pixel = 'data:image/gif;base64,R0lGODlhAQABAAAAACw='
const schema = { type: 'object', properties: { allowed: { type: 'boolean' } } }
const tools = [
  { name: 'status', description: 'Where it is.', parameters: schema },
  { name: 'refund', parameters: {} },
]
const asked = (more: Partial<CallRequest>) => ({
  model: 'm',
  messages: [{ role: 'user' as const, content: 'x' }],
  options: {},
  ...more,
})
const talk: ChatMessage[] = [
  { role: 'user', content: 'Where?', images: [pixel] },
  {
    role: 'assistant',
    content: '',
    toolCalls: [
      { id: 'c9', name: 'status', arguments: { order: 'A' } },
      { name: 'refund', arguments: { cents: 5 } },
      { name: 'refund' },
    ],
  },
  { role: 'tool', content: 'no', toolName: 'refund' },
  { role: 'tool', content: 'sent', toolCallId: 'c9', toolName: 'status' },
  { role: 'tool', content: 'yes', toolName: 'refund' },
]

describe('what a server is asked', () => {
  it('is a format, in the words of each', () => {
    expect(chatRequest(asked({ format: schema }))).toMatchObject({ format: schema })
    expect(chatRequest(asked({ format: 'json' }))).toMatchObject({ format: 'json' })
    expect(chatBody(asked({ format: schema }))).toMatchObject({
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } },
    })
    expect(chatBody(asked({ format: 'json' }))).toMatchObject({ response_format: { type: 'json_object' } })
  })

  it('is tools', () => {
    const told = [
      { type: 'function', function: tools[0] },
      { type: 'function', function: tools[1] },
    ]
    expect(chatRequest(asked({ tools }))).toMatchObject({ tools: told })
    expect(chatBody(asked({ tools }))).toMatchObject({ tools: told })
  })

  it('are pictures, calls and results, for Ollama by name', () => {
    expect(chatRequest(asked({ messages: talk })).messages).toEqual([
      { role: 'user', content: 'Where?', images: ['R0lGODlhAQABAAAAACw='] },
      {
        role: 'assistant',
        content: '',
        tool_calls: [
          { id: 'c9', function: { index: 0, name: 'status', arguments: { order: 'A' } } },
          { function: { index: 1, name: 'refund', arguments: { cents: 5 } } },
          { function: { index: 2, name: 'refund', arguments: {} } },
        ],
      },
      { role: 'tool', content: 'no', tool_name: 'refund' },
      { role: 'tool', content: 'sent', tool_name: 'status', tool_call_id: 'c9' },
      { role: 'tool', content: 'yes', tool_name: 'refund' },
    ])
  })

  it('are the same for the OpenAI kind, where each call and each result has an id', () => {
    expect(chatBody(asked({ messages: talk })).messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Where?' },
          { type: 'image_url', image_url: { url: pixel } },
        ],
      },
      {
        role: 'assistant',
        content: '',
        tool_calls: [
          { id: 'c9', type: 'function', function: { name: 'status', arguments: '{"order":"A"}' } },
          { id: 'call_1', type: 'function', function: { name: 'refund', arguments: '{"cents":5}' } },
          { id: 'call_2', type: 'function', function: { name: 'refund', arguments: '{}' } },
        ],
      },
      { role: 'tool', content: 'no', tool_call_id: 'call_1' },
      { role: 'tool', content: 'sent', tool_call_id: 'c9' },
      { role: 'tool', content: 'yes', tool_call_id: 'call_2' },
    ])
  })
})

describe('a picture for an Ollama', () => {
  const messages = [{ role: 'user' as const, content: 'What is it?', images: [pixel] }]
  it('is refused where its model says that it cannot see, and nothing is sent', async () => {
    const { server, backend } = await capable(['completion', 'tools'])
    const told = await call(backend, { messages })
    expect(code(told)).toBe('CAESURA_E_IMAGE')
    expect(told.end).toMatchObject({ error: { message: 'the model demo takes no pictures' } })
    expect(server.requests.filter(({ path }) => path === '/api/chat')).toEqual([])
    expect((await call(backend)).end.end).toBe('completed')
  })

  it.each([[['completion', 'vision']], [undefined]])(
    'is sent where it says that it can, or does not say (%j)',
    async (capabilities) => {
      const { server, backend } = await capable(capabilities)
      for (const _ of [1, 2]) expect((await call(backend, { messages })).end.end).toBe('completed')
      const sent = server.requests.filter(({ path }) => path === '/api/chat')
      expect(sent[1]!.body.messages).toMatchObject([{ images: ['R0lGODlhAQABAAAAACw='] }])
      expect(server.requests.filter(({ path }) => path === '/api/show')).toHaveLength(1)
    },
  )

  it('is sent to a server that knows no such question', async () => {
    const { backend } = await serve()
    expect((await call(backend, { messages })).end.end).toBe('completed')
  })
})
