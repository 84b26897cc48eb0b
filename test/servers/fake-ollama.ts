import { startOllamaLike } from './ollama-like.ts'

export interface FakeOllama extends AsyncDisposable {
  readonly url: string
  /** Requests whose connection was closed before their answer ended. */
  readonly cut: number
  /** The models that calls asked for, in order. */
  readonly asked: readonly string[]
}

interface Script {
  readonly models: readonly string[]
  /** The pieces of every answer; `for ever` goes on for longer than any test. */
  readonly tokens?: readonly string[] | 'for ever'
  readonly tokenMs?: number
}

/** An Ollama that has these models and gives every call the same answer. */
export async function fakeOllama({ models, tokens = ['Hel', 'lo.'], tokenMs = 0 }: Script): Promise<FakeOllama> {
  const server = await startOllamaLike({
    models,
    version: '0.32.0',
    script: { tokens: tokens === 'for ever' ? Array(20_000).fill('on ') : tokens, intervalMs: tokenMs },
  })
  return {
    url: server.url,
    get cut() {
      return server.requests.filter(({ abandonedAt }) => abandonedAt !== undefined).length
    },
    get asked() {
      return server.requests.flatMap(({ path, body }) => (path === '/api/chat' ? (body.model ?? []) : []))
    },
    [Symbol.asyncDispose]: () => server.close(),
  }
}
