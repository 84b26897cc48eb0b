import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

/** What a request asked for, as far as the answers here depend on it. */
export interface ChatBody {
  readonly model?: string
  readonly stream?: boolean
  readonly messages?: readonly { readonly role: string; readonly content: string }[]
  readonly prompt?: string
  readonly options?: { readonly seed?: number; readonly num_predict?: number }
  /** The OpenAI route has them at the top. */
  readonly seed?: number
  readonly max_tokens?: number
}

/** One request as the server saw it. Instants are ms since 1970 with fractions, comparable between processes. */
export interface SeenRequest {
  readonly index: number
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: ChatBody
  /** Counts connections from 1: equal for requests that shared one. */
  readonly connection: number
  readonly arrivedAt: number
  firstTokenAt?: number
  tokensWritten: number
  /** When the answer had been handed to the socket whole. */
  finishedAt?: number
  /** When the client closed the connection before the answer was finished. */
  abandonedAt?: number
}

/** How one request is answered. */
export interface AnswerScript {
  /** From the slot to the first token (and to the headers: they come with it, as from Ollama), ms; 0 by default. */
  readonly firstTokenMs?: number
  /** Between two tokens, ms; 0 by default: each token is its own write, as soon as the socket takes it. */
  readonly intervalMs?: number
  /** The pieces of text; by default `num_predict` (or 16) words that depend on the last message and the seed. */
  readonly tokens?: readonly string[]
  /** How long an answer that its client gave up holds its slot, ms; it is free at the next token by default. */
  readonly abortLagMs?: number
  /** Sent as `message.thinking` before the text. */
  readonly thinking?: readonly string[]
  /** What the last line has beside `done`; counts and plausible durations (ns) by default. */
  readonly last?: Readonly<Record<string, unknown>>
  /** Answers by itself; everything else is ignored. */
  readonly respond?: (response: ServerResponse, seen: SeenRequest) => void | Promise<void>
}

export interface OllamaLikeOptions {
  /** 0, a free one, by default. */
  readonly port?: number
  readonly script?: AnswerScript | ((seen: SeenRequest) => AnswerScript)
  /** Names that `/api/tags` lists and `/api/chat` knows; any model is known by default. */
  readonly models?: readonly string[]
  /** Answers generated at once; the others wait without a bound. Unlimited by default. */
  readonly slots?: number
  readonly version?: string
  /** GET routes beside Ollama's, by path. */
  readonly routes?: Readonly<Record<string, (response: ServerResponse, seen: SeenRequest) => void>>
  /** Closes idle connections after so long, ms; never by default. */
  readonly idleMs?: number
}

/** A server on a real socket that answers like Ollama, by a script, and remembers what it saw. */
export interface OllamaLike {
  readonly url: string
  readonly port: number
  /** All requests, in the order of their arrival. */
  readonly requests: readonly SeenRequest[]
  /** Connections that are open now. */
  readonly connections: number
  /** Connections ever made. */
  readonly accepted: number
  setScript(script: AnswerScript | ((seen: SeenRequest) => AnswerScript)): void
  /** Resolves when `holds` is true; it is looked at after each thing that happens. */
  until(holds: (server: OllamaLike) => boolean): Promise<void>
  /** Closes every open connection, as a restart would. */
  dropConnections(): void
  close(): Promise<void>
}

const now = (): number => performance.timeOrigin + performance.now()

/** The text that the default script gives for a message and a seed: words that tell the answers of different calls apart. */
export function wordsFor(message: string, seed: number, count: number): string[] {
  let hash = seed >>> 0
  for (const char of message) hash = (Math.imul(hash ^ char.charCodeAt(0), 0x01000193) + 1) >>> 0
  return Array.from({ length: count }, (_, i) => `${i === 0 ? '' : ' '}w${hash.toString(36)}.${i}`)
}

export const lastMessage = (body: ChatBody): string => body.messages?.at(-1)?.content ?? body.prompt ?? ''

export async function startOllamaLike(options: OllamaLikeOptions = {}): Promise<OllamaLike> {
  const requests: SeenRequest[] = []
  const sockets = new Map<Socket, number>()
  const watchers = new Set<() => void>()
  let script = options.script ?? {}
  let accepted = 0
  let free = options.slots ?? Number.POSITIVE_INFINITY
  const waiting: (() => void)[] = []
  const changed = () => {
    for (const watcher of [...watchers]) watcher()
  }

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const text = (await request.toArray()).join('')
    const seen: SeenRequest = {
      index: requests.length,
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: text === '' ? {} : JSON.parse(text),
      connection: sockets.get(request.socket) ?? 0,
      arrivedAt: now(),
      tokensWritten: 0,
    }
    if (seen.path === '/witness') return json(response, 200, requests)
    requests.push(seen)
    response.on('close', () => {
      if (response.writableFinished) seen.finishedAt = now()
      else seen.abandonedAt = now()
      changed()
    })
    changed()
    const chosen = typeof script === 'function' ? script(seen) : script
    if (seen.method === 'POST' && chosen.respond !== undefined) return chosen.respond(response, seen)
    const route = options.routes?.[seen.path]
    if (route !== undefined) return route(response, seen)
    switch (seen.path) {
      case '/':
        return void response.end('Ollama is running')
      case '/api/version':
        return json(response, 200, { version: options.version ?? '0.0.0-like' })
      case '/api/tags':
        return json(response, 200, { models: (options.models ?? []).map((name) => ({ name, model: name, size: 1 })) })
      case '/api/ps':
        // It has no memory to keep a model in.
        return json(response, 200, { models: [] })
      case '/api/chat':
      case '/api/generate':
        break
      default:
        return void response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found')
    }
    const { model } = seen.body
    if (options.models !== undefined && !options.models.includes(model ?? '')) {
      return json(response, 404, { error: `model '${model}' not found` })
    }
    if (lastMessage(seen.body) === '') {
      return json(response, 200, {
        model,
        message: { role: 'assistant', content: '' },
        done: true,
        done_reason: 'load',
      })
    }
    await slot(response)
    try {
      await generate(response, seen, chosen)
      if (response.closed && !response.writableFinished && chosen.abortLagMs !== undefined)
        await sleep(chosen.abortLagMs)
    } finally {
      free += 1
      waiting.shift()?.()
    }
  }

  /** Waits for a slot; a request that is given up waits on, and lets go of its slot at once. */
  const slot = async (response: ServerResponse) => {
    while (free < 1 && !response.closed) await new Promise<void>((resolve) => waiting.push(resolve))
    free -= 1
  }

  const generate = async (response: ServerResponse, seen: SeenRequest, chosen: AnswerScript) => {
    const { model, options: asked } = seen.body
    const tokens = chosen.tokens ?? wordsFor(lastMessage(seen.body), asked?.seed ?? 0, asked?.num_predict ?? 16)
    const chat = seen.path === '/api/chat'
    const line = (content: string, rest: object, thinking?: string) =>
      `${JSON.stringify({
        model,
        created_at: new Date().toISOString(),
        ...(chat
          ? { message: { role: 'assistant', content, ...(thinking !== undefined && { thinking }) } }
          : { response: content }),
        done: false,
        ...rest,
      })}\n`
    const startedAt = now()
    let due = startedAt + (chosen.firstTokenMs ?? 0)
    if (due > startedAt) await sleep(due - startedAt)
    const firstAt = now()
    const last = () => {
      const ns = (ms: number) => Math.round(ms * 1e6)
      const spent = { total_duration: ns(now() - seen.arrivedAt), load_duration: ns(startedAt - seen.arrivedAt) }
      const work = { prompt_eval_duration: ns(firstAt - startedAt), eval_duration: ns(now() - firstAt) }
      const counts = { prompt_eval_count: lastMessage(seen.body).split(/\s+/).length, eval_count: tokens.length }
      const reason = tokens.length === asked?.num_predict ? 'length' : 'stop'
      return line('', chosen.last ?? { done: true, done_reason: reason, ...spent, ...counts, ...work })
    }
    if (response.closed) return
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    for (const thought of chosen.thinking ?? []) response.write(line('', {}, thought))
    for (const [i, token] of tokens.entries()) {
      if (i > 0) {
        due += chosen.intervalMs ?? 0
        if (chosen.intervalMs) await sleep(Math.max(0, due - now()))
        else await new Promise(setImmediate)
        if (response.closed) return
      }
      seen.firstTokenAt ??= now()
      seen.tokensWritten += 1
      // Ollama writes the last token's line and the last line together.
      response.write(i === tokens.length - 1 ? line(token, {}) + last() : line(token, {}))
      changed()
    }
    if (tokens.length === 0) response.write(last())
    response.end()
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
  })
  server.keepAliveTimeout = options.idleMs ?? 0
  server.on('connection', (socket) => {
    accepted += 1
    sockets.set(socket, accepted)
    socket.on('close', () => {
      sockets.delete(socket)
      changed()
    })
    changed()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const started: OllamaLike = {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    get connections() {
      return sockets.size
    },
    get accepted() {
      return accepted
    },
    setScript(next) {
      script = next
    },
    until(holds) {
      return new Promise((resolve) => {
        const look = () => {
          if (!holds(started)) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      })
    },
    dropConnections() {
      for (const socket of sockets.keys()) socket.destroy()
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return started
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body)
  response
    .writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) })
    .end(text)
}

/** As a process of its own: prints `{"url"}` and serves until it is stopped; `GET /witness` gives what it saw. */
if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      'first-token': { type: 'string', default: '0' },
      interval: { type: 'string', default: '0' },
      tokens: { type: 'string' },
      slots: { type: 'string' },
    },
  })
  const count = values.tokens === undefined ? undefined : Number(values.tokens)
  const server = await startOllamaLike({
    port: Number(values.port),
    ...(values.slots !== undefined && { slots: Number(values.slots) }),
    script: ({ body }) => ({
      firstTokenMs: Number(values['first-token']),
      intervalMs: Number(values.interval),
      ...(count !== undefined && { tokens: wordsFor(lastMessage(body), body.options?.seed ?? 0, count) }),
    }),
  })
  console.log(JSON.stringify({ url: server.url }))
}
