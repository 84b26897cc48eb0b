import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import type { CallRequest } from '../../src/core/call.ts'
import type { CallScript } from '../../src/nodes/backends/scripted.ts'
import { readPipeline } from '../../src/pipelines/pipeline-schema.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { scriptedRun } from '../fixtures/scripted-run.ts'

const tools = [
  {
    name: 'status',
    description: 'Where an order is.',
    parameters: { type: 'object', properties: { order: { type: 'string' } } },
  },
  { name: 'refund', parameters: { type: 'object' } },
]
const asking = (more: object = {}) => ({ id: 'a', model: 'm', prompt: 'x', tools, ...more })
const status = { id: 'c1', name: 'status', arguments: { order: 'A-17' } }
const refund = { name: 'refund', arguments: { cents: 1250 } }
const calling = (more: Partial<CallScript> = {}): CallScript => ({
  tokens: [],
  toolCalls: [status, refund],
  firstTokenMs: 20,
  tokenMs: 10,
  ...more,
})

async function run(stages: object[], script: (request: CallRequest) => CallScript, more: object = {}) {
  const requests: CallRequest[] = []
  const run = scriptedRun(pipelineFrom({ name: 'p', stages }), {
    script: (request) => {
      requests.push(request)
      return script(request)
    },
    ...more,
  })
  return { record: await run.finish(), events: run.events, requests }
}

describe('tool calls', () => {
  it('are seen one by one: in events, in the record, as a value, and are no text', async () => {
    const { record, events, requests } = await run(
      [
        asking(),
        {
          id: 'b',
          model: 'm',
          prompt: '{{ a.value.calls[0].arguments.order }} {{ a.value.calls | map: "name" | join: "+" }}',
        },
      ],
      ({ stage }) => (stage === 'a' ? calling() : { tokens: ['ok'] }),
    )
    expect(requests[0]!.tools).toEqual(tools)
    expect(requests[1]!.messages[0]!.content).toBe('A-17 status+refund')
    expect(events.filter(({ type }) => type === 'tool-call')).toMatchObject([
      { stage: 'a', callId: 'a.1', ms: 20, ...status },
      { stage: 'a', callId: 'a.1', ms: 30, ...refund },
    ])
    expect(events.some(({ type }) => type === 'value')).toBe(false)
    const [call] = record.stages
    expect(call).toMatchObject({
      settlement: 'completed',
      finishReason: 'tool-calls',
      toolCalls: [status, refund],
      text: '',
      firstPieceMs: 20,
      tokens: { generated: 2, wasted: 0 },
    })
    for (const key of ['firstTokenMs', 'value']) expect(call).not.toHaveProperty(key)
  })

  it('stand beside what the model says', async () => {
    const script = calling({ tokens: ['Let me ', 'look.'], thinking: ['hm'] })
    const { record } = await run([asking()], () => script)
    expect(record).toMatchObject({ output: 'Let me look.', stages: [{ toolCalls: [status, refund], thinking: 'hm' }] })
  })

  it('that came before a cut are in the record; none is handed on', async () => {
    const policy = { trigger: { after: 25 }, response: 'abort' }
    const { record, requests } = await run(
      [asking({ policy }), { id: 'b', model: 'm', prompt: 'y{% if a.value %}{{ a.value | json }}{% endif %}' }],
      ({ stage }) => (stage === 'a' ? calling() : { tokens: ['ok'] }),
    )
    expect(record.stages[0]).toMatchObject({
      settlement: 'aborted',
      toolCalls: [status],
      tokens: { generated: 1, wasted: 1, counted: 'server' },
    })
    expect(requests[1]!.messages[0]!.content).toBe('y')
  })

  it.each(['all', 'none'])('are handed on whole after a drain, and never with the carry none (%s)', async (carry) => {
    const policy = { trigger: { after: 25 }, response: 'drain', carry }
    const { requests } = await run(
      [asking({ policy }), { id: 'b', model: 'm', prompt: 'y{{ a.value.calls | size }}' }],
      ({ stage }) => (stage === 'a' ? calling() : { tokens: ['ok'] }),
    )
    expect(requests[1]!.messages[0]!.content).toBe(carry === 'all' ? 'y2' : 'y0')
  })

  /** As a server that names a call whose arguments are no JSON object. */
  const broken = (finishReason: CallScript['finishReason']) => ({
    kind: 'broken',
    takesAnyModel: true,
    server: async () => ({ kind: 'broken' }),
    models: async () => [],
    close: async () => undefined,
    generate: async () => ({ end: 'completed' as const, finishReason, toolCalls: [{ name: 'status' }] }),
  })
  it('without their arguments are a failure, unless the limit of tokens has cut them: then they are only named', async () => {
    const nodes = (finishReason: CallScript['finishReason']) => ({
      settings: { nodes: [{ name: 'n', backend: broken(finishReason), slots: 1, pool: 'default' }] },
    })
    const { record } = await run([asking()], () => calling(), nodes('tool-calls'))
    expect(record.error).toMatchObject({ code: 'CAESURA_E_FORMAT', message: expect.stringContaining('(status)') })
    const cut = await run([asking()], () => calling(), nodes('length'))
    expect(cut.record).toMatchObject({ outcome: 'completed', stages: [{ toolCalls: [{ name: 'status' }] }] })
    // A stage that offered no tools asked for none.
    const free = await run([{ id: 'a', model: 'm', prompt: 'x' }], () => calling(), nodes('tool-calls'))
    expect(free.record.outcome).toBe('completed')
  })

  it('are answered from outside by messages', async () => {
    const messages = [
      { role: 'user', content: '{{ input }}' },
      { role: 'assistant', toolCalls: '{{ vars.calls }}' },
      { role: 'tool', toolCallId: '{{ vars.id }}', toolName: 'status', content: '{{ vars.result }}' },
      { role: 'assistant', content: 'Well.', toolCalls: [refund] },
      { role: 'tool', toolName: 'refund', content: '{{ vars.none }}' },
    ]
    const vars = { calls: JSON.stringify([status]), id: 'c1', result: '{"state":"sent"}', none: '' }
    const { requests } = await run([{ id: 'a', model: 'm', messages, tools }], () => ({ tokens: ['It is sent.'] }), {
      vars,
    })
    expect(requests[0]!.messages).toEqual([
      { role: 'user', content: 'How?' },
      { role: 'assistant', content: '', toolCalls: [status] },
      { role: 'tool', content: '{"state":"sent"}', toolCallId: 'c1', toolName: 'status' },
      { role: 'assistant', content: 'Well.', toolCalls: [refund] },
      { role: 'tool', content: '', toolName: 'refund' },
    ])
  })

  it('that a template gives and that are none end the run', async () => {
    const messages = [
      { role: 'user', content: 'x' },
      { role: 'assistant', toolCalls: '{{ vars.calls }}' },
      { role: 'tool', toolName: 'f', content: 'y' },
    ]
    for (const calls of ['nope', '{}', '[{"nome":"f"}]']) {
      const { record } = await run([{ id: 'a', model: 'm', messages }], () => ({ tokens: ['x'] }), { vars: { calls } })
      expect(record.error).toMatchObject({
        code: 'CAESURA_E_TEMPLATE',
        message: 'toolCalls of stage a gives no list of calls',
      })
    }
    const { requests } = await run(
      [{ id: 'a', model: 'm', messages: [...messages.slice(0, 2), messages[0]] }],
      () => ({ tokens: ['x'] }),
      {
        vars: { calls: ' ' },
      },
    )
    expect(requests[0]!.messages.map(({ role }) => role)).toEqual(['user', 'user'])
  })
})

describe('silence where a model may call tools', () => {
  /** Says nothing for 500 ms, and then calls, as a server that tells of a call when it is whole. */
  const silent = calling({ firstTokenMs: 500 })
  const spoken = calling({ tokens: ['Let me look.'], tokenMs: 500 })

  it.each([
    ['firstToken', silent],
    ['stall', spoken],
  ])('may be a call that it writes: %s does not end it', async (limit, script) => {
    const { record } = await run([asking({ timeout: { [limit]: 100 } })], () => script)
    expect(record.outcome).toBe('completed')
    const plain = await run([{ id: 'a', model: 'm', prompt: 'x', timeout: { [limit]: 100 } }], () => script)
    expect(plain.record.error?.code).toMatch(/CAESURA_E_TIMEOUT_(FIRST_TOKEN|STALL)/)
  })

  it('has a limit of its own: in place of stall, and on top of the wait for the first piece', async () => {
    const ended = async (timeout: object, script: CallScript) => (await run([asking({ timeout })], () => script)).record
    expect((await ended({ stall: 100, toolCall: 499 }, spoken)).error?.code).toBe('CAESURA_E_TIMEOUT_STALL')
    expect((await ended({ stall: 100, toolCall: 501 }, spoken)).outcome).toBe('completed')
    expect((await ended({ firstToken: 100, toolCall: 399 }, silent)).error?.code).toBe('CAESURA_E_TIMEOUT_FIRST_TOKEN')
    expect((await ended({ firstToken: 100, toolCall: 501 }, silent)).outcome).toBe('completed')
    expect((await ended({ toolCall: 100, total: 450 }, silent)).error?.code).toBe('CAESURA_E_TIMEOUT_TOTAL')
  })
})

describe('a stage with tools', () => {
  it.each<[string, object, string, RegExp]>([
    ['a function by its name', { tools: ['status'] }, 'stages[0].tools[0]', /are not taken yet/],
    ['no tools', { tools: [] }, 'stages[0].tools', /1 to 64 tools/],
    ['two of one name', { tools: [tools[0], tools[0]] }, 'stages[0].tools[1].name', /no other tool/],
    [
      'a name that is none',
      { tools: [{ name: 'a b', parameters: {} }] },
      'stages[0].tools[0].name',
      /beginning with a letter/,
    ],
    ['no parameters', { tools: [{ name: 'f' }] }, 'stages[0].tools[0].parameters', /JSON Schema/],
    [
      'parameters that are no schema',
      { tools: [{ name: 'f', parameters: { type: 'x' } }] },
      'stages[0].tools[0].parameters.type',
      /JSON Schema/,
    ],
    [
      'a limit without tools',
      { tools: undefined, timeout: { toolCall: '5s' } },
      'stages[0].timeout.toolCall',
      /with tools/,
    ],
  ])('is refused for %s', (_, more, path, expected) => {
    const { errors } = readPipeline(catalogue, { name: 'p', stages: [asking(more)] })
    expect(errors.map(({ place }) => place.path)).toEqual([path])
    expect(errors[0]!.place.expected).toMatch(expected)
  })

  it.each<[string, object, string]>([
    ['a call of the user', { role: 'user', content: 'x', toolCalls: [refund] }, 'toolCalls'],
    ['a result of the assistant', { role: 'assistant', content: 'x', toolName: 'f' }, 'toolName'],
    ['a result of no call', { role: 'tool', content: 'x' }, ''],
    ['no text', { role: 'assistant' }, 'content'],
  ])('is refused for a message with %s', (_, message, key) => {
    const messages = [{ role: 'user', content: 'x' }, message]
    const { errors } = readPipeline(catalogue, { name: 'p', stages: [{ id: 'a', model: 'm', messages }] })
    const at = `stages[0].messages[1]${key === '' ? '' : `.${key}`}`
    expect(errors.map(({ place }) => place.path)).toEqual([at])
  })
})
