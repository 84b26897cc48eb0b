import type { ServerResponse } from 'node:http'
import { afterEach } from 'vitest'
import type { CallEnd, CallRequest, ToolCallSeen } from '../../../src/core/call.ts'
import { systemClock } from '../../../src/core/clock.ts'
import type { Mark, MarkName } from '../../../src/core/ledger.ts'
import type { Backend } from '../../../src/core/ports.ts'
import { type OllamaSettings, ollamaBackend } from '../../../src/nodes/backends/ollama.ts'
import {
  type AnswerScript,
  type OllamaLike,
  type OllamaLikeOptions,
  startOllamaLike,
} from '../../servers/ollama-like.ts'

/** Undone after each test, in reverse order. */
export const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A server that answers like Ollama, and a backend for it. Both are closed after the test. */
export async function serve(options: OllamaLikeOptions = {}): Promise<{ server: OllamaLike; backend: Backend }> {
  const server = await startOllamaLike(options)
  cleanups.push(() => server.close())
  return { server, backend: backendFor(server.url) }
}

export function backendFor(url: string, settings: Omit<OllamaSettings, 'url'> = {}): Backend {
  const backend = ollamaBackend({ url, spareConnection: false, ...settings })
  cleanups.push(() => backend.close())
  return backend
}

/** A server that answers each chat with `respond`. */
export const serveRaw = (respond: NonNullable<AnswerScript['respond']>) => serve({ script: { respond } })

/** What a call told. */
export interface Told {
  readonly end: CallEnd
  readonly text: string
  readonly pieces: readonly string[]
  /** Pieces of thinking. */
  readonly thoughts: readonly string[]
  /** Tool calls, whole. */
  readonly calls: readonly ToolCallSeen[]
  readonly marks: readonly Mark[]
  readonly names: readonly MarkName[]
}

/** Makes one call and collects what it tells. */
export async function call(
  backend: Backend,
  request: Partial<CallRequest> = {},
  watch: { signal?: AbortSignal; mark?: (name: MarkName) => void; token?: (count: number) => void } = {},
): Promise<Told> {
  const pieces: string[] = []
  const thoughts: string[] = []
  const calls: ToolCallSeen[] = []
  const marks: Mark[] = []
  const end = await backend.generate(
    {
      callId: 'c',
      runId: 'r',
      stage: 's',
      attempt: 1,
      model: 'demo',
      messages: [{ role: 'user', content: 'hello there' }],
      options: {},
      placement: 'any',
      ...request,
    },
    {
      clock: systemClock,
      signal: watch.signal ?? new AbortController().signal,
      mark(name, at = systemClock.now()) {
        marks.push({ name, at })
        watch.mark?.(name)
      },
      thinking(text) {
        thoughts.push(text)
      },
      toolCall(made) {
        calls.push(made)
      },
      token(text) {
        pieces.push(text)
        watch.token?.(pieces.length)
      },
    },
  )
  return { end, pieces, thoughts, calls, text: pieces.join(''), marks, names: marks.map(({ name }) => name) }
}

/** A line of an answer. */
export const line = (content: string, rest: object = {}) =>
  `${JSON.stringify({ model: 'demo', message: { role: 'assistant', content }, done: false, ...rest })}\n`
export const lastLine = line('', { done: true, done_reason: 'stop', total_duration: 5, eval_count: 2 })
export const ndjson = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'application/x-ndjson' })
export const code = ({ end }: Told) => end.error?.code
