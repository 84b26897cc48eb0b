import { type ChatRequest, Ollama } from 'ollama'
import { Agent } from 'undici'
import { z } from 'zod'
import type { CallEnd, CallRequest, GenerateContext, GenerationOptions } from '../core/call.ts'
import { msToNs, systemClock } from '../core/clock.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Backend, ModelInfo, ServerInfo } from '../core/ports.ts'
import { connectionError, failed, noServer, pullCommand } from './ollama-errors.ts'
import { type CallFetch, fetchFor } from './ollama-fetch.ts'
import type { AnswerLine } from './ollama-lines.ts'
import { Exchange } from './ollama-marks.ts'
import { ollamaUrl } from './ollama-url.ts'

export interface OllamaSettings {
  /** Where the server is, in any form that `ollamaUrl` takes. */
  readonly url: string
  /**
   * The longest wait for the first line of an answer, ms; 300,000 by default. A runner that dies while it starts makes
   * Ollama 0.24 wait for ever, so a call must not.
   */
  readonly loadDeadlineMs?: number
  /** The longest wait for a connection, ms; 10,000 by default. */
  readonly connectTimeoutMs?: number
}

const LOAD_DEADLINE_MS = 300_000
const CONNECT_TIMEOUT_MS = 10_000
/** How long an idle connection is kept, ms. Ollama itself never closes one. */
const KEEP_ALIVE_MS = 60_000
/** How long an answer may take to end after its last line, ms. Then its connection is given up. */
const REST_MS = 250
/** How long a cancelled call waits to see its connection closed, ms. It takes well under one. */
const CLOSE_DEADLINE_MS = 1_000

/**
 * A server that speaks Ollama's HTTP interface. One `ollama` client a call, because that client's abort ends every stream of
 * an instance; the connections are shared and kept. The only time limits are those of the settings and the request's signal.
 * Throws `CAESURA_E_CONFIG` for a URL that is none.
 */
export function ollamaBackend(settings: OllamaSettings): Backend {
  const url = ollamaUrl(settings.url)
  const address = new URL(url).host
  const loadDeadlineMs = settings.loadDeadlineMs ?? LOAD_DEADLINE_MS
  const agent = new Agent({
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connect: { timeout: settings.connectTimeoutMs ?? CONNECT_TIMEOUT_MS },
  })
  const clientFor = (call: Omit<CallFetch, 'agent' | 'address'>) =>
    new Ollama({ host: url, fetch: fetchFor({ ...call, agent, address }) })
  const loadTimeout = () =>
    new CaesuraError(
      'CAESURA_E_TIMEOUT_LOAD',
      `${address} sent nothing within ${loadDeadlineMs} ms (loading the model?)`,
    )

  /** One request with an answer in one piece. Throws. */
  async function ask<T>(
    signal: AbortSignal,
    model: string | undefined,
    schema: z.ZodType<T>,
    request: (client: Ollama) => Promise<unknown>,
  ): Promise<T> {
    const { signal: own, dispose } = follow(signal)
    const client = clientFor({
      ...(model !== undefined && { model }),
      signal: own,
      openExchange: () => new Exchange(systemClock, () => {}),
    })
    try {
      const parsed = schema.safeParse(await request(client))
      if (parsed.success) return parsed.data
      throw new CaesuraError('CAESURA_E_PROTOCOL', `${address} does not answer like Ollama`, { cause: parsed.error })
    } catch (error) {
      if (error instanceof SyntaxError) {
        throw new CaesuraError('CAESURA_E_PROTOCOL', `${address} does not answer in JSON`, { cause: error })
      }
      throw error
    } finally {
      dispose()
    }
  }

  return {
    kind: 'ollama',
    address,
    pullCommand,

    async generate(request, context) {
      if (context.signal.aborted) return { end: 'cancelled' }
      const { controller, dispose } = follow(context.signal)
      const deadline = context.clock.now() + msToNs(loadDeadlineMs)
      const disarm = context.clock.schedule(deadline, () => controller.abort(loadTimeout()))
      let exchange: Exchange | undefined
      const client = clientFor({
        model: request.model,
        signal: controller.signal,
        openExchange: () => (exchange = new Exchange(context.clock, (name, at) => context.mark(name, at))),
        line: disarm,
      })
      /** Ends what is left of the call on the wire. */
      const leave = async () => {
        controller.abort()
        exchange?.flush()
        if (exchange?.socket !== undefined && (await exchange.released(CLOSE_DEADLINE_MS))) context.mark('closed')
      }
      try {
        const end = await readAnswer(client, request, context)
        // The end of the answer follows its last line at once, and undici gives the connection to another call one turn of
        // the event loop later: a stage that follows at once would open a new one, which costs more than the wait.
        if (exchange !== undefined && !(await exchange.released(REST_MS))) controller.abort()
        await new Promise(setImmediate)
        return end
      } catch (error) {
        const end = context.signal.aborted ? ({ end: 'cancelled' } as const) : failed(error)
        await leave()
        return end
      } finally {
        disarm()
        dispose()
      }
    },

    async server(signal) {
      try {
        const { version } = await ask(signal, undefined, z.object({ version: z.string() }), (client) =>
          client.version(),
        )
        return { kind: 'ollama', version, address: url } satisfies ServerInfo
      } catch (error) {
        throw unreachable(error, signal, url, () => true)
      }
    },

    async models(signal) {
      const schema = z.object({
        models: z.array(z.object({ name: z.string(), size: z.number().optional() })).nullable(),
      })
      try {
        const { models } = await ask(signal, undefined, schema, (client) => client.list())
        return (models ?? []).map(({ name, size }): ModelInfo => ({ name, ...(size !== undefined && { bytes: size }) }))
      } catch (error) {
        throw unreachable(error, signal, url, isConnectionFault)
      }
    },

    async load(model, signal) {
      const { controller, dispose } = follow(signal)
      const timer = setTimeout(() => controller.abort(loadTimeout()), loadDeadlineMs)
      try {
        await ask(controller.signal, model, z.object({ done: z.literal(true) }), (client) =>
          client.chat({ model, messages: [], stream: false }),
        )
      } catch (error) {
        throw unreachable(error, signal, url, isConnectionFault)
      } finally {
        clearTimeout(timer)
        dispose()
      }
    },

    close: () => agent.destroy(),
  }
}

/**
 * A signal of the call's own that follows the one it was given. `fetch` leaves its listener on a signal until garbage
 * collection, and a run's signal sees many calls.
 */
function follow(signal: AbortSignal): { controller: AbortController; signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController()
  // Marks are told from inside undici, which fails when it is aborted there.
  const abort = () => queueMicrotask(() => controller.abort(signal.reason))
  if (signal.aborted) controller.abort(signal.reason)
  else signal.addEventListener('abort', abort, { once: true })
  return { controller, signal: controller.signal, dispose: () => signal.removeEventListener('abort', abort) }
}

/** Reads one streamed answer to its last line, unless the call is cancelled before that line is read. Throws. */
async function readAnswer(client: Ollama, request: CallRequest, context: GenerateContext): Promise<CallEnd> {
  const { signal } = context
  const answer = await client.chat(chatRequest(request))
  for await (const line of answer) {
    signal.throwIfAborted()
    // `message.thinking` is no text of the answer. The last line has no text, and some lines are empty.
    if (line.message.content) context.token(line.message.content)
    if (!line.done) continue
    signal.throwIfAborted()
    context.mark('done')
    return completed(line)
  }
  throw new CaesuraError('CAESURA_E_INTERNAL', 'the client ended an answer without its last line')
}

function chatRequest({ model, messages, options }: CallRequest): ChatRequest & { stream: true } {
  return {
    model,
    messages: messages.map(({ role, content }) => ({ role, content })),
    options: ollamaOptions(options),
    stream: true,
  }
}

function ollamaOptions(options: GenerationOptions): NonNullable<ChatRequest['options']> {
  return {
    ...(options.temperature !== undefined && { temperature: options.temperature }),
    ...(options.maxTokens !== undefined && { num_predict: options.maxTokens }),
    ...(options.seed !== undefined && { seed: options.seed }),
    ...(options.topK !== undefined && { top_k: options.topK }),
    ...(options.topP !== undefined && { top_p: options.topP }),
    ...(options.stop !== undefined && { stop: [...options.stop] }),
    ...(options.contextTokens !== undefined && { num_ctx: options.contextTokens }),
  }
}

/** Go leaves zeros out and 0.24 reports no decode time for a single token: what is absent stays absent. */
function completed(last: AnswerLine): CallEnd {
  const { done_reason: reason } = last
  const server = {
    ...(last.total_duration !== undefined && { totalNs: last.total_duration }),
    ...(last.load_duration !== undefined && { loadNs: last.load_duration }),
    ...(last.prompt_eval_duration !== undefined && { prefillNs: last.prompt_eval_duration }),
    ...(last.eval_duration !== undefined && { decodeNs: last.eval_duration }),
  }
  return {
    end: 'completed',
    ...((reason === 'stop' || reason === 'length') && { finishReason: reason }),
    ...(last.prompt_eval_count !== undefined && { promptTokens: last.prompt_eval_count }),
    ...(last.eval_count !== undefined && { generatedTokens: last.eval_count }),
    ...(Object.keys(server).length > 0 && { server }),
  }
}

const isConnectionFault = (error: unknown): boolean =>
  error instanceof CaesuraError && (error.code === 'CAESURA_E_REFUSED' || error.code === 'CAESURA_E_CONNECTION')

/** What `server` and its like throw: the reason of a cancelled signal, `CAESURA_E_NO_SERVER` where nothing answers, else the fault. */
function unreachable(error: unknown, signal: AbortSignal, url: string, means: (error: unknown) => boolean): unknown {
  if (signal.aborted) {
    const { reason } = signal
    return reason instanceof DOMException && reason.name === 'TimeoutError'
      ? noServer(url, 'no answer in time')
      : reason
  }
  const fault = error instanceof CaesuraError ? error : connectionError(error, url)
  return means(fault) ? noServer(url, fault) : fault
}
