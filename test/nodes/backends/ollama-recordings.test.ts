import { afterEach, describe, expect, it } from 'vitest'
import type { CallEnd } from '../../../src/core/call.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { CallCancelled, type ErrorCode } from '../../../src/core/errors.ts'
import type { MarkName } from '../../../src/core/ledger.ts'
import type { Backend } from '../../../src/core/ports.ts'
import { type OllamaSettings, ollamaBackend } from '../../../src/nodes/backends/ollama.ts'
import {
  asChat,
  type Generation,
  generations,
  linesOf,
  type Recording,
  recording,
  recordingsOf,
  replay,
} from '../../servers/replay.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function replaying(from: Recording, settings: Partial<OllamaSettings> = {}, speed = Number.POSITIVE_INFINITY) {
  const server = await replay(from, { speed })
  const backend = ollamaBackend({ url: server.url, spareConnection: false, ...settings })
  cleanups.push(
    () => server.close(),
    () => backend.close(),
  )
  return { server, backend }
}

interface Told {
  readonly end: CallEnd
  readonly text: string
  readonly thoughts: string
  readonly calls: readonly unknown[]
  readonly names: readonly MarkName[]
}

async function call(backend: Backend, signal: AbortSignal, token: (count: number) => void = () => {}): Promise<Told> {
  const pieces: string[] = []
  const names: MarkName[] = []
  let thoughts = ''
  const calls: unknown[] = []
  const end = await backend.generate(
    {
      callId: 'c',
      runId: 'r',
      stage: 's',
      attempt: 1,
      model: 'nope:7b',
      messages: [{ role: 'user', content: 'as recorded' }],
      options: {},
      placement: 'any',
    },
    {
      clock: systemClock,
      signal,
      mark: (name) => void names.push(name),
      thinking(text) {
        thoughts += text
      },
      toolCall(made) {
        calls.push(made)
      },
      token(text) {
        pieces.push(text)
        token(pieces.length)
      },
    },
  )
  return { end, text: pieces.join(''), thoughts, calls, names }
}

/** Every recorded case that does not end in a complete answer, by what its README says of it. */
const faults: Readonly<Record<string, ErrorCode | Partial<Record<Generation, ErrorCode | 'completed'>>>> = {
  'body-absent': 'CAESURA_E_REQUEST',
  'body-empty': 'CAESURA_E_REQUEST',
  'context-truncate-false-chat': 'CAESURA_E_CONTEXT_FULL',
  'context-truncate-false-generate': 'CAESURA_E_CONTEXT_FULL',
  'field-wrong-type': 'CAESURA_E_REQUEST',
  'format-bad': 'CAESURA_E_SERVER',
  'format-bad-schema': { 'ollama-0.24.0': 'CAESURA_E_SERVER', 'ollama-0.32.15': 'CAESURA_E_REQUEST' },
  'generate-suffix': 'CAESURA_E_REQUEST',
  'image-bad-base64': 'CAESURA_E_REQUEST',
  'image-chat-to-text-model': { 'ollama-0.24.0': 'completed', 'ollama-0.32.15': 'CAESURA_E_REQUEST' },
  'image-to-text-model': { 'ollama-0.24.0': 'completed', 'ollama-0.32.15': 'CAESURA_E_REQUEST' },
  // Requests without a prompt: as the answer to a call they say that nothing was generated.
  'load-chat': 'CAESURA_E_MODEL_ERROR',
  'load-no-prompt-field': 'CAESURA_E_MODEL_ERROR',
  'load-only': 'CAESURA_E_MODEL_ERROR',
  'load-only-warm': 'CAESURA_E_MODEL_ERROR',
  unload: 'CAESURA_E_MODEL_ERROR',
  'unload-not-loaded': 'CAESURA_E_MODEL_ERROR',
  'json-array': 'CAESURA_E_REQUEST',
  'json-bad': 'CAESURA_E_REQUEST',
  'keep-alive-wrong': 'CAESURA_E_REQUEST',
  'model-empty': 'CAESURA_E_NO_MODEL',
  'model-invalid-name': 'CAESURA_E_REQUEST',
  'model-unknown-chat': 'CAESURA_E_NO_MODEL',
  'model-unknown-generate': 'CAESURA_E_NO_MODEL',
  'option-wrong-type': 'CAESURA_E_SERVER',
  'option-wrong-type-int': 'CAESURA_E_SERVER',
  'queue-full': 'CAESURA_E_SERVER_BUSY',
  'repeat-tokens': 'CAESURA_E_STREAM_CUT',
  'repeat-tokens-chat': 'CAESURA_E_STREAM_CUT',
  'repeat-tokens-nonstream': 'CAESURA_E_STREAM_CUT',
  'repeat-tokens-raw': 'CAESURA_E_STREAM_CUT',
  'runner-killed-decode': 'CAESURA_E_MODEL_ERROR',
  'runner-killed-load-early': { 'ollama-0.24.0': 'CAESURA_E_TIMEOUT_LOAD', 'ollama-0.32.15': 'CAESURA_E_SERVER' },
  'runner-killed-load-late': 'CAESURA_E_SERVER',
  'runner-killed-prefill': 'CAESURA_E_SERVER',
  'server-sigkill-decode': 'CAESURA_E_STREAM_CUT',
  'server-sigterm-decode': 'CAESURA_E_STREAM_CUT',
  'stream-wrong-type': 'CAESURA_E_REQUEST',
  'think-unsupported': 'CAESURA_E_REQUEST',
  'truncate-false': 'CAESURA_E_CONTEXT_FULL',
  'tools-unsupported': 'CAESURA_E_REQUEST',
  'wrong-method': 'CAESURA_E_PROTOCOL',
}
/** The cases that the recorded client left. Ours leaves at the same point: after so many lines. */
const abandoned: Readonly<Record<string, number>> = {
  'abort-before-headers': 0,
  'abort-in-slot-wait': 0,
  'abort-decode': 5,
}

const contentOf = (line: Record<string, unknown>): string => {
  const { message } = line
  return typeof message === 'object' && message !== null && 'content' in message ? String(message.content) : ''
}
const thoughtsOf = (from: Recording): string =>
  linesOf(from)
    .map(({ message, thinking }) => String((message as { thinking?: string } | undefined)?.thinking ?? thinking ?? ''))
    .join('')
const callsOf = ({ message }: Record<string, unknown>): { id: string; name: string; arguments: object }[] => {
  const { tool_calls = [] } = (message ?? {}) as {
    tool_calls?: { id: string; function: { name: string; arguments: object } }[]
  }
  return tool_calls.map(({ id, function: { name, arguments: given } }) => ({ id, name, arguments: given }))
}
const textOf = (from: Recording): string => linesOf(from).map(contentOf).join('')

describe.each(generations)('%s, recorded', (generation) => {
  const answers = recordingsOf(generation).filter(({ request }) => /^\/api\/(chat|generate)$/.test(request.path))
  const expectedOf = ({ case: name }: Recording) => {
    const fault = faults[name]
    return typeof fault === 'object' ? (fault[generation] ?? 'completed') : (fault ?? 'completed')
  }
  const { signal } = new AbortController()

  const whole = answers.filter((answer) => expectedOf(answer) === 'completed' && !(answer.case in abandoned))
  it.each(whole.map((answer) => [answer.case, answer] as const))('%s: completed, word for word', async (_name, raw) => {
    const from = asChat(raw)
    const { backend } = await replaying(from)
    const told = await call(backend, signal)
    const last = linesOf(from).at(-1)!
    expect(told.text).toBe(textOf(from))
    expect(told.thoughts).toBe(thoughtsOf(from))
    const calls = linesOf(from).flatMap(callsOf)
    expect(told.calls).toEqual(calls)
    const toolCalls = calls.map(({ id, name }) => ({ id, name }))
    // Undefined stands for absent here and must be absent there.
    const reported = {
      finishReason: toolCalls.length > 0 && last.done_reason === 'stop' ? 'tool-calls' : last.done_reason,
      toolCalls: toolCalls.length > 0 ? toolCalls : undefined,
      promptTokens: last.prompt_eval_count,
      generatedTokens: last.eval_count,
      totalNs: last.total_duration,
      loadNs: last.load_duration,
      prefillNs: last.prompt_eval_duration,
      decodeNs: last.eval_duration,
    }
    const { end, server, ...rest } = told.end
    expect(end).toBe('completed')
    const absent = Object.entries(reported).filter(([, value]) => value !== undefined)
    expect({ ...rest, ...server }).toStrictEqual(Object.fromEntries(absent))
    expect(told.names).toEqual(['connect-start', 'connected', 'request-sent', 'headers', 'done'])
  })

  const faulty = answers.filter((answer) => expectedOf(answer) !== 'completed')
  it.each(faulty.map((answer) => [answer.case, expectedOf(answer), answer] as const))(
    '%s: %s',
    async (_name, code, raw) => {
      const from = asChat(raw)
      const { server, backend } = await replaying(from, from.status === null ? { loadDeadlineMs: 100 } : {})
      const told = await call(backend, signal)
      expect(told.end.end).toBe('failed')
      expect(told.end.error?.code).toBe(code)
      expect(told.end.retryable ?? false).toBe(/_(SERVER|SERVER_BUSY|STREAM_CUT|MODEL_ERROR)$/.test(code))
      expect(told.text).toBe(textOf(from))
      expect(told.end.server).toBeUndefined()
      expect(told.names).not.toContain('done')
      expect(server.requests).toBe(1)
      await server.left
    },
  )

  it.each(Object.entries(abandoned))('%s: cancelled after %i lines', async (name, lines) => {
    const from = asChat(recording(generation, name))
    const { server, backend } = await replaying(from)
    const controller = new AbortController()
    const abort = () => controller.abort(new CallCancelled())
    const promise = call(backend, controller.signal, (count) => void (count === lines && abort()))
    if (lines === 0)
      await expect
        .poll(() => server.requests, { interval: 1 })
        .toBe(1)
        .then(abort)
    const told = await promise
    expect(told.end).toEqual({ end: 'cancelled' })
    expect(told.text).toBe(textOf(from))
    expect(told.names.at(-1)).toBe('closed')
    await server.left
  })

  it('a plain chat at its own pace: the text and the counts of the recording', async () => {
    const { backend } = await replaying(recording(generation, 'chat-stream'), {}, 1)
    expect(await call(backend, signal)).toMatchObject({
      text: 'The capital of France is Paris.',
      end: { end: 'completed', finishReason: 'stop', promptTokens: 16, generatedTokens: 8 },
    })
  })

  it('an unknown model: the command that gets it', async () => {
    const { backend } = await replaying(recording(generation, 'model-unknown-chat'))
    expect((await call(backend, signal)).end.error?.message).toContain('ollama pull nope:7b')
  })

  it('version and models', async () => {
    const version = await replaying(recording(generation, 'version'))
    expect((await version.backend.server(signal)).version).toBe(generation.slice('ollama-'.length))
    const tags = await replaying(recording(generation, 'tags'))
    expect(await tags.backend.models(signal)).toContainEqual({ name: 'smollm2:135m', bytes: expect.any(Number) })
  })

  it.each(['server-sigkill-next', 'server-sigterm-next'])('%s: no server, and the next step', async (name) => {
    const { backend } = await replaying(recording(generation, name))
    await expect(backend.server(signal)).rejects.toMatchObject({ code: 'CAESURA_E_NO_SERVER' })
  })

  it.each(['load-chat', 'load-only-warm'])('%s: the model is loaded', async (name) => {
    const { backend } = await replaying(asChat(recording(generation, name)))
    await expect(backend.load?.('smollm2:135m', signal)).resolves.toBeUndefined()
  })

  it('covers every case that it names', () => {
    const names = new Set(recordingsOf(generation).map((from) => from.case))
    const onlyHere = ['repeat-tokens-raw', 'truncate-false']
    for (const name of [...Object.keys(faults), ...Object.keys(abandoned)])
      if (!onlyHere.includes(name)) expect(names).toContain(name)
  })
})
