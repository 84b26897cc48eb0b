import { afterAll, describe, expect, it } from 'vitest'
import { DEMO_MODEL } from '../../scripts/ollama/model.ts'
import type { CallEnd, CallRequest, ChatMessage } from '../../src/core/call.ts'
import { systemClock } from '../../src/core/clock.ts'
import { CallCancelled } from '../../src/core/errors.ts'
import type { MarkName } from '../../src/core/ledger.ts'
import { ollamaBackend } from '../../src/nodes/backends/ollama.ts'
import { describeBackend } from '../conformance/backend.ts'
import { recoverFromWedge, WEDGED_AFTER_MS, wedges } from './wedge.ts'

const url = process.env.OLLAMA_HOST
if (url === undefined) throw new Error('OLLAMA_HOST is not set; run these tests with: npm run test:ollama')

/** One of the prompt formats that the bundled model was trained on. */
const draft = (question: string): ChatMessage[] => [
  { role: 'system', content: 'You answer household questions. Draft a short answer.' },
  { role: 'user', content: question },
]
const things = ['descale my kettle', 'clean a cast iron pan', 'sharpen a kitchen knife', 'water a cactus']
const questions = things.map((thing) => draft(`How do I ${thing}?`))

describeBackend('a real Ollama', {
  make: async () => ({
    backend: ollamaBackend({ url, loadDeadlineMs: WEDGED_AFTER_MS }),
    model: `${DEMO_MODEL}:latest`,
    recover: (end) => recoverFromWedge(url, end),
  }),
  prompts: questions,
  options: { temperature: 0, seed: 1, maxTokens: 24 },
  longPrompt: draft(`${'I have a kettle, a pan, a knife and a plant. '.repeat(50)}How do I descale my kettle?`),
  // The server works on one at a time; the others wait in its queue, and some are aborted there.
  slots: 4,
  marks: ['connect-start', 'connected', 'request-sent', 'headers', 'done'],
  missingModel: 'caesura-not-there:1b',
  timeoutMs: 120_000,
})

describe('a real Ollama', () => {
  const backend = ollamaBackend({ url, loadDeadlineMs: WEDGED_AFTER_MS })
  afterAll(async () => {
    await backend.close()
    if (wedges > 0) console.log(`the server lost its slot ${wedges} times after an abort (ollama#17131)`)
  })

  const call = async (
    request: Partial<CallRequest>,
    signal = new AbortController().signal,
    token = () => {},
  ): Promise<{ end: CallEnd; text: string; names: readonly MarkName[] }> => {
    const names: MarkName[] = []
    let text = ''
    const end = await backend.generate(
      {
        callId: 'c',
        runId: 'r',
        stage: 's',
        attempt: 1,
        model: DEMO_MODEL,
        messages: questions[0]!,
        options: { temperature: 0, seed: 1, maxTokens: 24 },
        placement: 'any',
        ...request,
      },
      {
        clock: systemClock,
        signal,
        mark: (name) => void names.push(name),
        thinking() {},
        token(piece) {
          text += piece
          token()
        },
      },
    )
    return (await recoverFromWedge(url, end)) ? call(request, signal, token) : { end, text, names }
  }

  it('reports counts and durations that fit into each other', async () => {
    const { end } = await call({})
    expect(end).toMatchObject({ end: 'completed', finishReason: 'length', generatedTokens: 24 })
    const { totalNs, loadNs, prefillNs, decodeNs } = end.server ?? {}
    expect(totalNs).toBeGreaterThanOrEqual((loadNs ?? 0) + (prefillNs ?? 0) + (decodeNs ?? 0))
  })

  it('ends an answer of one token', async () => {
    const { end, text } = await call({ options: { temperature: 0, seed: 1, maxTokens: 1 } })
    expect(end).toMatchObject({ end: 'completed', generatedTokens: 1 })
    expect(text).not.toBe('')
  })

  it('follows an interrupt with a change', async () => {
    const controller = new AbortController()
    let tokens = 0
    const cut = await call({}, controller.signal, () => {
      tokens += 1
      if (tokens === 12) controller.abort(new CallCancelled('a change'))
    })
    expect(cut.end).toEqual({ end: 'cancelled' })
    const refined = await call({
      messages: [
        { role: 'system', content: 'You answer household questions. Refine the draft.' },
        {
          role: 'user',
          content: `Question: How do I descale my kettle?\nDraft: ${cut.text}\nChange: I have no vinegar.\n`,
        },
      ],
      options: { temperature: 0, seed: 1, maxTokens: 96 },
    })
    expect(refined.text).toMatch(/^Without vinegar/)
  })

  it('loads the model', async () => {
    await expect(backend.load?.(DEMO_MODEL, AbortSignal.timeout(60_000))).resolves.toBeUndefined()
  })
})
