import type { Backend } from '../../../src/core/ports.ts'
import { type OpenAiSettings, openaiBackend } from '../../../src/nodes/backends/openai.ts'
import { type ChatScript, type OpenAiLike, type OpenAiLikeOptions, startOpenAiLike } from '../../servers/openai-like.ts'
import { cleanups } from './ollama-call.ts'

export { call, cleanups, code } from './ollama-call.ts'

/** A server with an OpenAI-compatible API, and a backend for it. Both are closed after the test. */
export async function serve(
  options: OpenAiLikeOptions = {},
  settings: Partial<OpenAiSettings> = {},
): Promise<{ server: OpenAiLike; backend: Backend }> {
  const server = await startOpenAiLike(options)
  cleanups.push(() => server.close())
  return { server, backend: backendFor(server.url, settings) }
}

export function backendFor(url: string, settings: Partial<OpenAiSettings> = {}): Backend {
  const backend = openaiBackend({ url, spareConnection: false, ...settings })
  cleanups.push(() => backend.close())
  return backend
}

/** A server that answers each chat with `respond`. */
export const serveRaw = (respond: NonNullable<ChatScript['respond']>) => serve({ script: { respond } })
