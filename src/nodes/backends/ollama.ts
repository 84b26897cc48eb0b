import { type ChatRequest, Ollama } from 'ollama'
import { z } from 'zod'
import type { CallRequest } from '../../core/call.ts'
import { systemClock } from '../../core/clock.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { Backend, ModelInfo, ServerInfo } from '../../core/ports.ts'
import { mostOf } from './answer-state.ts'
import type { HttpAccess } from './http-access.ts'
import { callOverHttp, follow, IDLE_DEADLINE_MS, LOAD_DEADLINE_MS, loadTimeout } from './http-call.ts'
import { Connections } from './http-connections.ts'
import { type Unreachable, unreachable } from './http-errors.ts'
import type { HttpLimits } from './http-limits.ts'
import { Exchange } from './http-marks.ts'
import { isGood, send } from './http-send.ts'
import { streamedAnswer } from './ollama-answer.ts'
import { noServer, pullCommand } from './ollama-errors.ts'
import { fetchFor, type OllamaCall, refused } from './ollama-fetch.ts'
import { chatRequest } from './ollama-request.ts'
import { unloadWith } from './ollama-unload.ts'
import { ollamaUrl } from './ollama-url.ts'

export interface OllamaSettings extends HttpLimits, HttpAccess {
  /** Where the server is, in any form that `ollamaUrl` takes. */
  readonly url: string
}

/**
 * A server that speaks Ollama's HTTP interface. Answers are streamed without the `ollama` client, which cannot be aborted before
 * the headers, drops broken lines with a warning and knows no limit on a line's length. The connections are shared and kept. The
 * only time limits are those of the settings and the request's signal. Throws `CAESURA_E_CONFIG` for a URL, a header or a key that is none.
 */
export function ollamaBackend(settings: OllamaSettings): Backend {
  const url = ollamaUrl(settings.url)
  const chat = {
    method: 'POST',
    path: new URL(`${url}/api/chat`).pathname,
    headers: { 'content-type': 'application/json' },
  }
  const { loadDeadlineMs = LOAD_DEADLINE_MS, idleDeadlineMs = IDLE_DEADLINE_MS } = settings
  const agent = new Connections(url, '/', settings)
  /** For messages. */
  const address = agent.where
  const clientFor = (call: Omit<OllamaCall, 'agent' | 'address'>) =>
    new Ollama({ host: url, fetch: fetchFor({ ...call, agent, address }) })
  const notThere = (signal: AbortSignal): Unreachable => ({
    signal,
    address: url,
    noServer: (why) => noServer(url, why),
  })

  /** One request with an answer in one piece. Throws. */
  async function ask<T>(
    signal: AbortSignal,
    model: string | undefined,
    schema: z.ZodType<T>,
    request: (client: Ollama) => Promise<unknown>,
  ): Promise<T> {
    const { signal: own, dispose } = follow(signal, agent)
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
        // It quotes what it could not read.
        throw agent.hide(new CaesuraError('CAESURA_E_PROTOCOL', `${address} does not answer in JSON`, { cause: error }))
      }
      throw error
    } finally {
      dispose()
    }
  }

  /** By model; undefined where the server does not say. */
  const capabilities = new Map<string, Promise<readonly string[] | undefined>>()
  const showSchema = z.object({ capabilities: z.array(z.string()).optional() })

  /** Ollama hands pictures to a model that cannot see, which takes them for nothing: such a call is refused here. Throws `CAESURA_E_IMAGE`. */
  async function refuseBlind(model: string, signal: AbortSignal): Promise<void> {
    const asked =
      capabilities.get(model) ??
      ask(signal, model, showSchema, (client) => client.show({ model })).then((shown) => shown.capabilities)
    capabilities.set(model, asked)
    const known = await asked.catch((error: unknown) => {
      capabilities.delete(model)
      if (signal.aborted) throw error
      // The call itself will tell what is wrong.
      return undefined
    })
    if (known === undefined || known.includes('vision')) return
    throw new CaesuraError('CAESURA_E_IMAGE', `the model ${model} takes no pictures`, {
      received: `what ${address} says that it can: ${known.join(', ')}`,
      expected: 'a model with the capability vision',
    })
  }

  /** A chat that nobody reads: it loads the model, and reads the prompt into the runner's cache. Throws. */
  async function ahead(request: ChatRequest, signal: AbortSignal): Promise<void> {
    const { controller, dispose } = follow(signal, agent)
    const timer = setTimeout(() => controller.abort(loadTimeout(address, loadDeadlineMs)), loadDeadlineMs)
    try {
      await ask(controller.signal, request.model, z.object({ done: z.literal(true) }), (client) =>
        client.chat({ ...request, stream: false }),
      )
    } catch (error) {
      throw unreachable(error, notThere(signal))
    } finally {
      clearTimeout(timer)
      dispose()
    }
  }

  return {
    kind: 'ollama',
    address: agent.url.host,
    pullCommand,

    generate: (request, context) =>
      callOverHttp(
        context,
        { agent, address, loadDeadlineMs, idleDeadlineMs },
        ({ begun, heartbeat, signal, openExchange }) => {
          const call: OllamaCall = { agent, address, signal, openExchange, model: request.model }
          const body = JSON.stringify(chatRequest(request))
          const sent = () =>
            send(call, { ...chat, headers: { ...chat.headers, ...request.trace }, body }, (status, headers) =>
              isGood(status)
                ? streamedAnswer({ address, context, begun, heartbeat, ...mostOf(request) })
                : refused(call, status, headers),
            )
          return hasPictures(request) ? refuseBlind(request.model, signal).then(sent) : sent()
        },
      ),

    async server(signal) {
      try {
        const { version } = await ask(signal, undefined, z.object({ version: z.string() }), (client) =>
          client.version(),
        )
        return { kind: 'ollama', version, address: url } satisfies ServerInfo
      } catch (error) {
        // What asks for a key is there; anything else that fails here is no Ollama.
        const any = !(error instanceof CaesuraError && error.code === 'CAESURA_E_AUTH')
        throw unreachable(error, { ...notThere(signal), any })
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
        throw unreachable(error, notThere(signal))
      }
    },

    load: (model, signal) => ahead({ model, messages: [] }, signal),

    unload: (model, signal) =>
      unloadWith(ask, model, signal).catch((error: unknown) => {
        throw unreachable(error, notThere(signal))
      }),

    // A token is the least that it makes: `num_predict: 0` means no limit to some versions. What the answer has to be changes no prompt.
    prefill: ({ format: _, ...request }, signal) =>
      ahead(chatRequest({ ...request, options: { ...request.options, maxTokens: 1 } }), signal),

    close: () => agent.destroy(),
  }
}

const hasPictures = ({ messages }: CallRequest): boolean => messages.some(({ images = [] }) => images.length > 0)
