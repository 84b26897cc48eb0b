import { afterAll, describe, expect, it } from 'vitest'
import type { CallEnd, CallRequest } from '../../../src/core/call.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { CallCancelled } from '../../../src/core/errors.ts'
import { llamaCppBackend } from '../../../src/nodes/backends/llama-cpp.ts'
import { modelFile, scripts, templateOf } from '../../fixtures/scripted-model.ts'

const cleanups: (() => unknown)[] = []
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup()
})

function modelThat(script: keyof typeof scripts) {
  const { file, remove } = modelFile(templateOf(script))
  const backend = llamaCppBackend({ model: file })
  cleanups.push(() => backend.close(), remove)
  return async (more: Partial<CallRequest>, cutAfter = Number.POSITIVE_INFINITY) => {
    const told = { thinking: [] as string[], text: [] as string[] }
    const controller = new AbortController()
    const take = (kind: keyof typeof told) => (text: string) => {
      told[kind].push(text)
      if (told.thinking.length + told.text.length === cutAfter) controller.abort(new CallCancelled('cut'))
    }
    const end: CallEnd = await backend.generate(
      {
        ...{ callId: 'c', runId: 'r', stage: 's', attempt: 1, model: 'scripted', placement: 'any' },
        ...{ messages: [{ role: 'user', content: 'How?' }], options: { temperature: 0 }, ...more },
      },
      { clock: systemClock, signal: controller.signal, mark() {}, token: take('text'), thinking: take('thinking') },
    )
    return { end, thinking: told.thinking.join(''), text: told.text.join(''), thoughts: told.thinking.length }
  }
}
/** A template that knows no thinking. */
const plain =
  '{%- for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}{% if add_generation_prompt %}assistant: {% endif %}'
const [, thought, answer] = /<think>(.*)<\/think>(.*)/.exec(scripts.think)!

describe('a model in this process', { timeout: 60_000 }, () => {
  it('thinks where it is asked to, apart from its text', async () => {
    const ask = modelThat('think')
    for (const think of [true, 'low'] as const) {
      const told = await ask({ think })
      expect(told).toMatchObject({ thinking: thought, text: answer, end: { end: 'completed', finishReason: 'stop' } })
      expect(told.thoughts).toBeGreaterThan(5)
    }
    const cut = await ask({ think: true }, 3)
    expect(cut).toMatchObject({ end: { end: 'cancelled', generatedTokens: expect.any(Number) }, text: '' })
    expect(thought!.startsWith(cut.thinking)).toBe(true)
    const limited = await ask({ think: true, options: { temperature: 0, maxTokens: 4 } })
    expect(limited).toMatchObject({ end: { finishReason: 'length', generatedTokens: 4 }, text: '' })
  })

  it('says so where its template tells of no thinking', async () => {
    const { file, remove } = modelFile(plain)
    const backend = llamaCppBackend({ model: file })
    cleanups.push(() => backend.close(), remove)
    const end = await backend.generate(
      {
        ...{ callId: 'c', runId: 'r', stage: 's', attempt: 1, model: 'scripted', placement: 'any', options: {} },
        ...{ messages: [{ role: 'user', content: 'x' }], think: true },
      },
      { clock: systemClock, signal: new AbortController().signal, mark() {}, token() {}, thinking() {} },
    )
    expect(end).toMatchObject({
      end: 'failed',
      error: { code: 'CAESURA_E_REQUEST', message: expect.stringContaining('`think`') },
    })
  })

  it('holds its answer to a format', async () => {
    const ask = modelThat('json')
    const schema = {
      type: 'object',
      properties: {
        allowed: { type: 'boolean' },
        reason: { type: 'string' },
        steps: { type: 'array', items: { type: 'string' } },
      },
    }
    for (const format of ['json', schema] as const)
      expect(JSON.parse((await ask({ format })).text)).toEqual(JSON.parse(scripts.json))
    // It would say something else.
    const forced = await ask({ format: { type: 'boolean' } })
    expect([true, false]).toContain(JSON.parse(forced.text))
  })

  it('is free while it thinks, and held to a format after it', async () => {
    const told = await modelThat('think')({ think: true, format: { type: 'boolean' } })
    expect(told.thinking).toBe(thought)
    expect([true, false]).toContain(JSON.parse(told.text))
  })

  it.each<[string, Partial<CallRequest>, string]>([
    ['tools', { tools: [{ name: 'f', parameters: {} }] }, 'CAESURA_E_REQUEST'],
    ['results of tools', { messages: [{ role: 'tool', content: 'x', toolName: 'f' }] }, 'CAESURA_E_REQUEST'],
    [
      'pictures',
      { messages: [{ role: 'user', content: 'x', images: ['data:image/gif;base64,R0lGODlh'] }] },
      'CAESURA_E_IMAGE',
    ],
  ])('refuses %s', async (_, more, code) => {
    expect((await modelThat('json')(more)).end).toMatchObject({ end: 'failed', error: { code }, retryable: false })
  })
})
