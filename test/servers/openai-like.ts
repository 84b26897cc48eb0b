import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { json, lastMessage, type OllamaLike, type SeenRequest, startOllamaLike, wordsFor } from './ollama-like.ts'

/** How one chat is answered. */
export interface ChatScript {
  /** From the request to the headers, which come with the first event, ms; 0 by default. */
  readonly firstTokenMs?: number
  /** Between two tokens, ms; 0 by default. */
  readonly intervalMs?: number
  /** The pieces of text; by default `max_tokens` (or 16) words that depend on the last message and the seed. */
  readonly tokens?: readonly string[]
  /** What llama.cpp's server adds to the last chunk. */
  readonly timings?: Readonly<Record<string, number>>
  /** Answers by itself; everything else is ignored. */
  readonly respond?: (response: ServerResponse, seen: SeenRequest) => void | Promise<void>
}

export interface OpenAiLikeOptions {
  readonly script?: ChatScript | ((seen: SeenRequest) => ChatScript)
  /** Names that `/v1/models` lists and chats may ask for; any model is known by default. */
  readonly models?: readonly string[]
  /** Everything else is answered with 401. */
  readonly apiKey?: string
  /** `GET /slots` as llama.cpp's server has it; without this it is answered with 404. */
  readonly slots?: {
    readonly count: number
    /** How long a slot works on after its client has left, ms; 0 by default. */
    readonly releaseMs?: number
  }
}

/** A server on a real socket with an OpenAI-compatible API under `/v1`, with the witness of the Ollama-like one. */
export interface OpenAiLike extends Pick<OllamaLike, 'requests' | 'connections' | 'accepted' | 'until' | 'close'> {
  /** Where the server is, without `/v1`. */
  readonly url: string
  /** Slots that work now. */
  readonly busy: number
  /** How often `/slots` was asked for. */
  readonly looks: number
  setScript(script: ChatScript | ((seen: SeenRequest) => ChatScript)): void
}

/** One event of an answer. */
export const event = (data: unknown): string => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
/** The data of a chunk: `delta` and the finish reason of its one choice. */
export const chunk = (delta: object, finish: string | null = null, rest: object = {}): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'demo',
  choices: [{ index: 0, delta, finish_reason: finish }],
  ...rest,
})
/** Events of text pieces. */
export const said = (...pieces: readonly string[]): string =>
  pieces.map((content) => event(chunk({ content }))).join('')
export const usageOf = (prompt: number, completion: number, rest: object = {}): string =>
  event({
    ...chunk({}),
    choices: [],
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
    ...rest,
  })
export const done = event('[DONE]')
export const eventStream = (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })

const errorBody = (message: string, code: number, type: string) => ({ error: { message, code, type } })

export async function startOpenAiLike(options: OpenAiLikeOptions = {}): Promise<OpenAiLike> {
  let [script, busy, looks] = [options.script ?? {}, 0, 0]

  const refused = (response: ServerResponse, { headers: { authorization } }: SeenRequest): boolean => {
    if (options.apiKey === undefined || authorization === `Bearer ${options.apiKey}`) return false
    json(response, 401, errorBody(`Incorrect API key: ${authorization}`, 401, 'authentication_error'))
    return true
  }

  const chat = async (response: ServerResponse, seen: SeenRequest) => {
    if (refused(response, seen)) return
    const chosen = typeof script === 'function' ? script(seen) : script
    if (chosen.respond !== undefined) return chosen.respond(response, seen)
    const { model, max_tokens: most, seed = 0 } = seen.body
    if (options.models !== undefined && !options.models.includes(model ?? ''))
      return json(response, 404, errorBody(`The model \`${model}\` does not exist.`, 404, 'NotFoundError'))
    busy += 1
    try {
      await generate(response, seen, { tokens: wordsFor(lastMessage(seen.body), seed, most ?? 16), ...chosen })
    } finally {
      if (!response.writableEnded) await sleep(options.slots?.releaseMs ?? 0)
      busy -= 1
    }
  }

  const generate = async (
    response: ServerResponse,
    seen: SeenRequest,
    { tokens, firstTokenMs = 0, intervalMs = 0, timings }: ChatScript & { readonly tokens: readonly string[] },
  ) => {
    const left = new Promise<void>((resolve) => response.once('close', resolve))
    if (firstTokenMs > 0) await Promise.race([sleep(firstTokenMs), left])
    if (response.closed) return
    eventStream(response).write(event(chunk({ role: 'assistant', content: null })))
    for (const token of tokens) {
      if (intervalMs > 0 && seen.tokensWritten > 0) await Promise.race([sleep(intervalMs), left])
      else await new Promise(setImmediate)
      if (response.closed) return
      seen.tokensWritten += 1
      response.write(said(token))
    }
    const finish = tokens.length === seen.body.max_tokens ? 'length' : 'stop'
    const words = lastMessage(seen.body).split(/\s+/).length
    const rest = timings === undefined ? {} : { timings }
    response.end(event(chunk({}, finish)) + usageOf(words, tokens.length, rest) + done)
  }

  const { slots, models = [] } = options
  const slotList = (response: ServerResponse) => {
    looks += 1
    json(
      response,
      200,
      Array.from({ length: slots?.count ?? 0 }, (_, id) => ({ id, is_processing: id < busy })),
    )
  }
  const server = await startOllamaLike({
    script: { respond: chat },
    routes: {
      '/v1/models': (response, seen) => {
        if (refused(response, seen)) return
        json(response, 200, { object: 'list', data: models.map((id) => ({ id, object: 'model' })) })
      },
      ...(slots !== undefined && { '/slots': slotList }),
    },
  })
  return {
    url: server.url,
    requests: server.requests,
    get connections() {
      return server.connections
    },
    get accepted() {
      return server.accepted
    },
    get busy() {
      return busy
    },
    get looks() {
      return looks
    },
    until: (holds) => server.until(holds),
    close: () => server.close(),
    setScript(next) {
      script = next
    },
  }
}
