import { z } from 'zod'
import type { GenerateContext } from '../../core/call.ts'
import { systemClock } from '../../core/clock.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { Backend, ModelInfo, ServerInfo } from '../../core/ports.ts'
import { mostOf } from './answer-state.ts'
import type { HttpAccess } from './http-access.ts'
import { callOverHttp, follow, IDLE_DEADLINE_MS, LOAD_DEADLINE_MS } from './http-call.ts'
import { Connections } from './http-connections.ts'
import { unreachable, withRetryAfter } from './http-errors.ts'
import type { HttpLimits } from './http-limits.ts'
import { Exchange } from './http-marks.ts'
import { type AnswerHeaders, type HttpCall, type HttpRequest, isGood, send, wholeText } from './http-send.ts'
import { streamedAnswer } from './openai-answer.ts'
import { noServer, statusError } from './openai-errors.ts'
import { chatBody } from './openai-request.ts'
import { busySlots, untilSlotFree } from './openai-slots.ts'
import { openaiUrl, serverRoot } from './openai-url.ts'

export interface OpenAiSettings extends HttpLimits, HttpAccess {
  /** The API's base, such as `https://api.example/v1`; without a path, `/v1` is meant. */
  readonly url: string
  /**
   * `slots`: after an abort, `generate` waits until `GET /slots` shows the slot free, and sets the mark `slot-free`. For a
   * llama.cpp server (`--slots`) that this backend alone uses: other clients' slots are not told apart from its own. Off by
   * default; the closed connection then ends the call.
   */
  readonly witness?: 'slots'
  /** The longest wait for the witness, ms; 10,000 by default. Then the call settles without `slot-free`. */
  readonly witnessDeadlineMs?: number
}

const WITNESS_DEADLINE_MS = 10_000

/**
 * A server with an OpenAI-compatible API: llama.cpp's, vLLM, LM Studio, Ollama's `/v1` and others. The only time limits are
 * those of the settings and the request's signal. `contextTokens` is the server's to set and is not sent; `topK` is sent as
 * `top_k`, which not every server knows. Throws `CAESURA_E_CONFIG` for a URL, a header or a key that is none.
 */
export function openaiBackend(settings: OpenAiSettings): Backend {
  const url = openaiUrl(settings.url)
  const pathOf = (base: string, route: string) => new URL(`${base}${route}`).pathname
  const { loadDeadlineMs = LOAD_DEADLINE_MS, idleDeadlineMs = IDLE_DEADLINE_MS } = settings
  const { witnessDeadlineMs = WITNESS_DEADLINE_MS } = settings
  const agent = new Connections(url, '/health', settings)
  /** For messages. */
  const address = agent.where
  const headersFor = (body: string | undefined) => (body === undefined ? {} : { 'content-type': 'application/json' })
  const chat = { path: pathOf(url, '/chat/completions'), method: 'POST' }
  /** Calls that should hold a slot now: made, and neither ended nor aborted. */
  const wanted = new Set<GenerateContext>()

  const refused = (status: number, headers: AnswerHeaders, model?: string) =>
    wholeText(address, (text): never => {
      throw withRetryAfter(statusError(status, text, address, model), headers)
    })

  /** A request beside the calls, with an answer in one piece. Throws. */
  async function ask(request: Omit<HttpRequest, 'headers'>, signal: AbortSignal, model?: string): Promise<string> {
    const { signal: own, dispose } = follow(signal, agent)
    const openExchange = () => new Exchange(systemClock, () => {})
    const call: HttpCall = { agent, address, signal: own, openExchange }
    try {
      return await send(call, { ...request, headers: headersFor(request.body) }, (status, headers) =>
        isGood(status) ? wholeText(address, (text) => text) : refused(status, headers, model),
      )
    } finally {
      dispose()
    }
  }

  const slotsBusy = async (signal: AbortSignal) =>
    busySlots(await ask({ path: pathOf(serverRoot(url), '/slots'), method: 'GET' }, signal))

  /** A connection that is closed is not yet a slot that is free: the server notices between two tokens, or two batches. */
  async function witness(context: GenerateContext): Promise<void> {
    const signal = AbortSignal.timeout(witnessDeadlineMs)
    const seen = await untilSlotFree(
      () => slotsBusy(signal),
      () => wanted.size,
      signal,
    )
    if (seen) context.mark('slot-free')
  }

  async function listModels(signal: AbortSignal): Promise<ModelInfo[]> {
    const body = await ask({ path: pathOf(url, '/models'), method: 'GET' }, signal)
    const parsed = modelsSchema.safeParse(readJson(body))
    if (parsed.success) return parsed.data.data.map(({ id }) => ({ name: id }))
    throw new CaesuraError('CAESURA_E_PROTOCOL', `${address} does not answer like an OpenAI-compatible server`)
  }

  /** What `server` and `models` throw. A server that refuses the key, or is busy, is there. */
  const toThrow = (error: unknown, signal: AbortSignal, any: (code: string) => boolean) => {
    const means = error instanceof CaesuraError && any(error.code)
    const missing = { signal, address: url, noServer: (why: unknown) => noServer(url, why), any: means }
    return unreachable(error, missing)
  }

  return {
    kind: 'openai',
    address: agent.url.host,

    async generate(request, context) {
      wanted.add(context)
      const unwanted = () => wanted.delete(context)
      context.signal.addEventListener('abort', unwanted, { once: true })
      const left = async () => {
        unwanted()
        if (settings.witness === 'slots') await witness(context)
      }
      try {
        return await callOverHttp(
          context,
          { agent, address, loadDeadlineMs, idleDeadlineMs, left },
          ({ begun, heartbeat, ...wire }) => {
            const call: HttpCall = { ...wire, agent, address }
            const body = JSON.stringify({
              ...chatBody(request),
              stream: true,
              stream_options: { include_usage: true },
            })
            return send(
              call,
              { ...chat, headers: { ...headersFor(body), ...request.trace }, body },
              (status, headers) =>
                isGood(status)
                  ? streamedAnswer({ address, context, begun, heartbeat, ...mostOf(request) })
                  : refused(status, headers, request.model),
            )
          },
        )
      } finally {
        context.signal.removeEventListener('abort', unwanted)
        unwanted()
      }
    },

    async server(signal) {
      try {
        await listModels(signal)
        if (settings.witness === 'slots') await slotsBusy(signal).catch(noWitness)
        return { kind: 'openai', address: url } satisfies ServerInfo
      } catch (error) {
        throw toThrow(error, signal, (code) => code !== 'CAESURA_E_AUTH' && code !== 'CAESURA_E_SERVER_BUSY')
      }
    },

    async models(signal) {
      try {
        return await listModels(signal)
      } catch (error) {
        throw toThrow(error, signal, () => false)
      }
    },

    async prefill({ format: _, ...request }, signal) {
      const { model, options } = request
      // A token is the least that every such server agrees to make.
      const body = JSON.stringify(chatBody({ ...request, options: { ...options, maxTokens: 1 } }))
      try {
        await ask({ ...chat, body }, signal, model)
      } catch (error) {
        throw toThrow(error, signal, () => false)
      }
    },

    close: () => agent.destroy(),
  }
}

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) })

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function noWitness(cause: unknown): never {
  throw new CaesuraError(
    'CAESURA_E_NO_SERVER',
    'it has no GET /slots to witness a free slot; start llama-server with --slots, or leave `witness` out',
    { cause },
  )
}
