import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import type { ChatMessage } from '../../src/core/call.ts'
import { environmentOf, keptOf, type RunEnvironment, responseOf, triggerOf } from '../../src/machines/environment.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

async function run(...stages: object[]) {
  const sent: Record<string, readonly ChatMessage[]> = {}
  const scripted = scriptedBackend(({ stage }) => speak(`from ${stage}`))
  const backend: typeof scripted = {
    ...scripted,
    generate: (request, context) => {
      sent[request.callId] = request.messages
      return scripted.generate(request, context)
    },
  }
  const pipeline = pipelineFrom({ name: 'p', stages: stages.map((stage) => ({ model: 'm', ...stage })) })
  const record = await scriptedRun(pipeline, {
    settings: { nodes: [{ name: 'n', backend, slots: 1, pool: 'default' }] },
    vars: { tone: 'warm' },
  }).finish()
  return { sent, record }
}

describe('the messages of a call', () => {
  it('are the system prompt, where there is one, and the prompt, both filled in', async () => {
    const { sent } = await run(
      { id: 'a', prompt: 'Q {{ input }}' },
      { id: 'b', system: 'Be {{ vars.tone }}.', prompt: '{{ a.output }}, {{ c.output }}' },
      { id: 'c', system: '{{ interrupt.input }}', prompt: 'x' },
    )
    expect(sent).toEqual({
      'a.1': [{ role: 'user', content: 'Q How?' }],
      'b.1': [
        { role: 'system', content: 'Be warm.' },
        { role: 'user', content: 'from a, ' },
      ],
      // A system prompt that comes out empty is not sent.
      'c.1': [{ role: 'user', content: 'x' }],
    })
  })

  it('must not be empty: the run fails, with what was there before', async () => {
    const { record } = await run({ id: 'a', prompt: 'x' }, { id: 'b', prompt: ' {{ b.output }} ' })
    expect(record).toMatchObject({
      outcome: 'failed',
      error: {
        code: 'CAESURA_E_PROMPT_EMPTY',
        message: 'the prompt of stage b is empty after its template was filled in',
      },
      output: 'from a',
      stages: [{ settlement: 'completed' }],
    })
  })
})

describe('the environment of a run', () => {
  it('is found by its actor system only, and knows the names of its catalogue only', () => {
    expect(() => environmentOf({})).toThrow('an actor was started outside of a run')
    const environment = { catalogue } as RunEnvironment
    expect(() => triggerOf(environment, 'x')).toThrow('no trigger is named x')
    expect(() => responseOf(environment, 'x')).toThrow('no response is named x')
    const call = { request: { callId: 'a.1' } } as Parameters<typeof keptOf>[1]
    expect(() => keptOf(environment, call, 'x')).toThrow('no carry is named x')
  })

  it('carries the whole text of a call that ended by itself, and only then', () => {
    const environment = { catalogue } as RunEnvironment
    const kept = (end: string) =>
      keptOf(environment, { text: 'One. Two', request: {}, end: { end } } as Parameters<typeof keptOf>[1], 'sentences')
    expect([kept('completed'), kept('cancelled')]).toEqual(['One. Two', 'One.'])
  })
})
