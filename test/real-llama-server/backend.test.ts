import { afterAll, describe, expect, it } from 'vitest'
import { DEMO_MODEL } from '../../scripts/llama-server/serve.ts'
import type { CallEnd, ChatMessage } from '../../src/core/call.ts'
import { systemClock } from '../../src/core/clock.ts'
import { CallCancelled } from '../../src/core/errors.ts'
import type { MarkName } from '../../src/core/ledger.ts'
import { createEngine, definePipeline, openai } from '../../src/index.ts'
import { openaiBackend } from '../../src/nodes/backends/openai.ts'
import { busySlots } from '../../src/nodes/backends/openai-slots.ts'
import { describeBackend } from '../conformance/backend.ts'

const url = process.env.LLAMA_SERVER_URL
if (url === undefined) throw new Error('LLAMA_SERVER_URL is not set; run these tests with: npm run test:llama-server')

const household = (style: string, question: string): ChatMessage[] => [
  { role: 'system', content: `You answer household questions. ${style}` },
  { role: 'user', content: question },
]
const things = ['descale my kettle', 'clean a cast iron pan', 'sharpen a kitchen knife', 'water a cactus']
const draft = (question: string) => household('Draft a short answer.', question)
const questions = things.map((thing) => draft(`How do I ${thing}?`))
const longPrompt = draft(`${'I have a kettle, a pan, a knife and a plant. '.repeat(50)}How do I descale my kettle?`)
const shared = {
  prompts: questions,
  options: { temperature: 0, seed: 1, maxTokens: 24 },
  longPrompt,
  marks: ['connect-start', 'connected', 'request-sent', 'headers', 'done'],
  timeoutMs: 120_000,
} as const

describeBackend('a real llama.cpp server', {
  ...shared,
  make: async () => ({ backend: openaiBackend({ url }), model: DEMO_MODEL }),
  // The server works on one at a time; the others wait in its queue, and some are aborted there.
  slots: 4,
})

describeBackend('a real llama.cpp server whose slot is witnessed', {
  ...shared,
  make: async () => ({ backend: openaiBackend({ url, witness: 'slots' }), model: DEMO_MODEL }),
  slots: 1,
  calls: 60,
  cancelMarks: ['closed', 'slot-free'],
})

describe('a real llama.cpp server', () => {
  const backend = openaiBackend({ url, witness: 'slots' })
  afterAll(() => backend.close())

  const call = async (
    messages: readonly ChatMessage[],
    maxTokens: number,
    abortAt?: number,
  ): Promise<{ end: CallEnd; names: readonly MarkName[] }> => {
    const names: MarkName[] = []
    const controller = new AbortController()
    let tokens = 0
    const end = await backend.generate(
      {
        ...{ callId: 'c', runId: 'r', stage: 's', attempt: 1, model: DEMO_MODEL, placement: 'any' },
        messages,
        options: { temperature: 0, seed: 1, maxTokens },
      },
      {
        clock: systemClock,
        signal: controller.signal,
        mark: (name) => void names.push(name),
        thinking() {},
        token() {
          tokens += 1
          if (tokens === abortAt) controller.abort(new CallCancelled('by the test'))
        },
      },
    )
    return { end, names }
  }
  const busy = async (): Promise<boolean> => {
    const response = await fetch(`${url}/slots`)
    return busySlots(await response.text()) > 0
  }

  it('reports counts, and the time of its prefill and its decode', async () => {
    const startedAt = systemClock.now()
    const { end } = await call(questions[0]!, 24)
    const { prefillNs = 0, decodeNs = 0, ...rest } = end.server ?? {}
    expect(end).toMatchObject({ end: 'completed', finishReason: 'length', promptTokens: 37, generatedTokens: 24 })
    expect(prefillNs).toBeGreaterThan(0)
    expect(decodeNs).toBeGreaterThan(0)
    expect(prefillNs + decodeNs).toBeLessThan(systemClock.now() - startedAt)
    expect(rest).toEqual({})
  })

  it('ends an answer of one token', async () => {
    expect((await call(questions[0]!, 1)).end).toMatchObject({ end: 'completed', generatedTokens: 1 })
  })

  it('says when a prompt is longer than its context', async () => {
    const { end } = await call(draft('How do I descale my kettle? '.repeat(300)), 1)
    expect(end).toMatchObject({ end: 'failed', error: { code: 'CAESURA_E_CONTEXT_FULL' } })
  })

  it('has its slot free when an aborted call settles', async () => {
    for (const abortAt of [1, 5, 20, 60]) {
      const { end, names } = await call(household('Answer at length.', 'How do I descale my kettle?'), 200, abortAt)
      const free = !(await busy())
      expect(end).toEqual({ end: 'cancelled' })
      expect(names.slice(-2)).toEqual(['closed', 'slot-free'])
      expect(free).toBe(true)
    }
  })

  it('shows in the phases of an interrupt: the settlement is witnessed, the prefill is its own figure', async () => {
    await using engine = createEngine({ nodes: [openai({ name: 'server', url, witness: 'slots' })] })
    const options = { temperature: 0, seed: 1, maxTokens: 96 }
    const pipeline = definePipeline({
      name: 'draft-refine',
      stages: [
        {
          id: 'draft',
          model: DEMO_MODEL,
          system: 'You answer household questions. Draft a short answer.',
          prompt: '{{ input }}',
          options,
          policy: { trigger: { tokens: 12 }, response: 'abort', carry: 'all' },
        },
        {
          id: 'refine',
          model: DEMO_MODEL,
          system: 'You answer household questions. Refine the draft.',
          prompt: 'Question: {{ input }}\nDraft: {{ draft.output }}\nChange: I have no vinegar.\n',
          options,
        },
      ],
    })
    const record = await engine.start(pipeline, { input: 'How do I descale my kettle?' }).result
    expect(record.output).toMatch(/^Without vinegar/)
    expect(record.stages.map(({ settlement }) => settlement)).toEqual(['aborted', 'completed'])
    expect(record.stages[0]!.marks.map(({ name }) => name)).toContain('slot-free')
    const { phases, toFirstTokenMs = 0 } = record.interrupts[0]!
    expect(phases.reduce((sum, { ms }) => sum + Math.round(ms * 1e6), 0)).toBe(Math.round(toFirstTokenMs * 1e6))
    const source = Object.fromEntries(phases.map((phase) => [phase.name, phase.source]))
    expect(source).toMatchObject({ settle: 'observed', prefill: 'inferred' })
    expect(source).not.toHaveProperty('server-queue')
    expect(source).not.toHaveProperty('transport')
  })
})
