import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import { definePipeline } from '../../src/app/compose.ts'
import type { CallRequest } from '../../src/core/call.ts'
import { readPipeline } from '../../src/pipelines/pipeline-schema.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

/** What the calls of such stages ask for. */
async function asked(...stages: object[]): Promise<CallRequest[]> {
  const requests: CallRequest[] = []
  const script = (request: CallRequest) => {
    requests.push(request)
    return speak('one two')
  }
  const pipeline = pipelineFrom({
    name: 'p',
    stages: stages.map((stage, index) => ({ id: `s${index}`, model: 'm', ...stage })),
  })
  await scriptedRun(pipeline, { input: 'How?', script }).finish()
  return requests
}
const faults = (stage: object) =>
  readPipeline(catalogue, { name: 'p', stages: [{ id: 'a', model: 'm', ...stage }] }).errors.map(
    ({ message, place }) => [place.path, message, place.expected],
  )

describe('a stage’s messages', () => {
  it('are sent in their order and roles, each filled in; an empty one is left out', async () => {
    const messages = [
      { role: 'system', content: 'Be short.{% if interrupt.input %} Now.{% endif %}' },
      { role: 'user', content: 'Hello.' },
      { role: 'assistant', content: '{% if interrupt.input %}x{% endif %}' },
      { role: 'user', content: '{{ input }}' },
    ]
    const [request] = await asked({ messages })
    expect(request!.messages).toEqual([
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'Hello.' },
      { role: 'user', content: 'How?' },
    ])
  })

  it('are what system and prompt are short for', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1 }), async (word) => {
        const text = `a${word.replaceAll(/[{}%]/g, '')}`
        const [short, long] = await asked(
          { system: text, prompt: `${text} {{ input }}` },
          {
            messages: [
              { role: 'system', content: text },
              { role: 'user', content: `${text} {{ input }}` },
            ],
          },
        )
        expect(long!.messages).toEqual(short!.messages)
      }),
      { numRuns: 20 },
    )
  })

  it('end the run before anything is sent where the last question is empty', async () => {
    const pipeline = definePipeline({
      name: 'p',
      stages: [
        { id: 'a', model: 'm', prompt: 'x', policy: { trigger: { tokens: 1 }, response: 'abort', carry: 'none' } },
        {
          id: 'b',
          model: 'm',
          messages: [
            { role: 'system', content: 'S' },
            { role: 'user', content: '{{ a.output }}' },
          ],
        },
      ],
    })
    expect(await scriptedRun(pipeline).finish()).toMatchObject({
      outcome: 'failed',
      error: { code: 'CAESURA_E_PROMPT_EMPTY', message: expect.stringContaining('a.output is empty') },
    })
  })

  it.each<[string, object, unknown[]]>([
    [
      'beside a prompt',
      { prompt: 'x', messages: [{ role: 'user', content: 'x' }] },
      ['stages[0].messages', 'stages[0].messages stands beside prompt.', 'messages alone, or system and prompt'],
    ],
    [
      'beside a system prompt',
      { system: 'x', messages: [{ role: 'user', content: 'x' }] },
      ['stages[0].messages', 'stages[0].messages stands beside system.', 'messages alone, or system and prompt'],
    ],
    ['left out with the prompt', {}, ['stages[0].prompt', 'stages[0].prompt is missing.', 'a text, or messages']],
    [
      'of a role that is none',
      { messages: [{ role: 'bot', content: 'x' }] },
      ['stages[0].messages[0].role', expect.any(String), 'system, user, assistant or tool'],
    ],
    ['that are none', { messages: [] }, ['stages[0].messages', expect.any(String), 'a list of 1 to 100 messages']],
    [
      'with an empty text',
      { messages: [{ role: 'user', content: ' ' }] },
      ['stages[0].messages[0].content', 'stages[0].messages[0].content is empty.', 'a text that is not empty'],
    ],
  ])('are refused %s', (_, stage, fault) => {
    expect(faults(stage)).toEqual([fault])
  })

  it('are checked as templates', () => {
    expect(faults({ messages: [{ role: 'user', content: '{{ inptu }}' }] })[0]?.[0]).toBe(
      'stages[0].messages[0].content',
    )
  })
})

const cyclic: Record<string, unknown> = {}
cyclic.own = cyclic

describe('how a model is asked', () => {
  it('goes with the call: thinking, how long the model stays, parameters of the server', async () => {
    const [plain, full] = await asked(
      { prompt: 'x' },
      { prompt: 'x', think: 'low', keepAlive: '30m', parameters: { min_p: 0.05 } },
    )
    for (const key of ['think', 'keepAliveMs', 'parameters']) expect(plain).not.toHaveProperty(key)
    expect(full).toMatchObject({ think: 'low', keepAliveMs: 1_800_000, parameters: { min_p: 0.05 } })
    const [forEver] = await asked({ prompt: 'x', think: false, keepAlive: -1 })
    expect(forEver).toMatchObject({ think: false, keepAliveMs: -1 })
  })

  it.each<[string, object, string]>([
    ['thinking that is none', { think: 'loud' }, 'stages[0].think'],
    ['a stay that is none', { keepAlive: 'long' }, 'stages[0].keepAlive'],
    ['a parameter that the engine sets', { parameters: { stream: false } }, 'stages[0].parameters.stream'],
    ['parameters without end', { parameters: { a: 'x'.repeat(20_000) } }, 'stages[0].parameters'],
    ['parameters that are no mapping', { parameters: [1] }, 'stages[0].parameters'],
    ['parameters that are no JSON', { parameters: { a: () => 1 } }, 'stages[0].parameters'],
    ['parameters that contain themselves', { parameters: cyclic }, 'stages[0].parameters'],
  ])('is refused for %s', (_, stage, path) => {
    expect(faults({ prompt: 'x', ...stage }).map(([at]) => at)).toEqual([path])
  })
})
