import { afterAll, describe, expect, it } from 'vitest'
import { DEMO_MODEL } from '../../scripts/ollama/model.ts'
import type { CallEnd, ChatMessage } from '../../src/core/call.ts'
import { systemClock } from '../../src/core/clock.ts'
import { openaiBackend } from '../../src/nodes/backends/openai.ts'
import { describeBackend } from '../conformance/backend.ts'
import { recoverFromWedge, WEDGED_AFTER_MS } from './wedge.ts'

const url = process.env.OLLAMA_HOST
if (url === undefined) throw new Error('OLLAMA_HOST is not set; run these tests with: npm run test:ollama')

const draft = (question: string): ChatMessage[] => [
  { role: 'system', content: 'You answer household questions. Draft a short answer.' },
  { role: 'user', content: question },
]
const things = ['descale my kettle', 'clean a cast iron pan', 'sharpen a kitchen knife', 'water a cactus']
const questions = things.map((thing) => draft(`How do I ${thing}?`))
const options = { temperature: 0, seed: 1, maxTokens: 24 }

describeBackend("a real Ollama's OpenAI route", {
  make: async () => ({
    backend: openaiBackend({ url, loadDeadlineMs: WEDGED_AFTER_MS }),
    model: `${DEMO_MODEL}:latest`,
    recover: (end) => recoverFromWedge(url, end),
  }),
  prompts: questions,
  options,
  longPrompt: draft(`${'I have a kettle, a pan, a knife and a plant. '.repeat(50)}How do I descale my kettle?`),
  slots: 4,
  // The same server has 200 of them by its own route.
  calls: 80,
  marks: ['connect-start', 'connected', 'request-sent', 'headers', 'done'],
  missingModel: 'caesura-not-there:1b',
  timeoutMs: 120_000,
})

describe("a real Ollama's OpenAI route", () => {
  const backend = openaiBackend({ url, loadDeadlineMs: WEDGED_AFTER_MS })
  afterAll(() => backend.close())

  const call = async (): Promise<CallEnd> => {
    const end = await backend.generate(
      {
        ...{ callId: 'c', runId: 'r', stage: 's', attempt: 1, model: DEMO_MODEL, placement: 'any' },
        messages: questions[0]!,
        options,
      },
      { clock: systemClock, signal: new AbortController().signal, mark: () => {}, token: () => {}, thinking: () => {} },
    )
    return (await recoverFromWedge(url, end)) ? call() : end
  }

  it('reports counts, and no durations: they are absent, not zero', async () => {
    const end = await call()
    expect(end).toMatchObject({ end: 'completed', finishReason: 'length', generatedTokens: 24 })
    expect(end.promptTokens).toBeGreaterThan(0)
    expect(end).not.toHaveProperty('server')
  })
})
