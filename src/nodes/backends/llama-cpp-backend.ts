import { basename, resolve } from 'node:path'
import type { CallEnd, CallRequest, GenerateContext, PrefillRequest } from '../../core/call.ts'
import { CaesuraError, summarize } from '../../core/errors.ts'
import type { Backend } from '../../core/ports.ts'
import { present } from '../../core/present.ts'
import { decode, type Progress, prefill } from './llama-cpp-answer.ts'
import { type Binding, type ImportLibrary, loadBinding } from './llama-cpp-binding.ts'
import { type LlamaEngine, loadEngine, modelBytes } from './llama-cpp-engine.ts'
import { openTokens } from './llama-cpp-prompt.ts'
import type { LlamaCppSettings } from './llama-cpp-settings.ts'

const BATCH_TOKENS = 128
/** What is read ahead goes in smaller pieces, so many of a batch: a call that comes waits for one, a call that runs for one a token. */
const AHEAD_PIECES = 4

/**
 * `llamaCppBackend`, with a package of the caller's choice. A file of its own, because its types name node-llama-cpp, and
 * the declarations of the public one must compile where that is not installed.
 */
export function backendOn(settings: LlamaCppSettings, importLibrary?: ImportLibrary): Backend {
  const { slots = 1, threads = 1, batchTokens = BATCH_TOKENS, contextTokens, gpu = false, names } = settings
  const file = resolve(settings.model)
  const name = basename(file).replace(/\.gguf$/i, '')
  let loading: Promise<LlamaEngine> | undefined
  let engine: LlamaEngine | undefined
  /** What runs, each with what cuts it. */
  const calls = new Map<Promise<unknown>, AbortController>()
  let closed: CaesuraError | undefined

  const bind = (): Promise<Binding> => loadBinding({ gpu, ...present({ importLibrary }) })
  /** A failed load is tried again by the next call: the package or the file may be there by then. */
  const startLoad = (): Promise<LlamaEngine> => {
    loading ??= bind()
      .then((bound) =>
        loadEngine(bound, {
          file,
          slots,
          threads,
          batchTokens,
          gpu,
          ...present({ contextTokens }),
        }),
      )
      .then(
        (loaded) => (engine = loaded),
        (error: unknown) => {
          loading = undefined
          throw error
        },
      )
    return loading
  }
  const refuse = (model: string) => {
    if (closed !== undefined) throw closed
    if (names === undefined || model === name || names.includes(model)) return
    throw new CaesuraError('CAESURA_E_NO_MODEL', `this engine has the model ${name}, not ${model}`, {
      received: model,
      expected: [name, ...names].join(', '),
    })
  }

  /** Throws; a cancelled signal is an end, not an error. */
  async function answer(
    request: CallRequest,
    context: GenerateContext,
    signal: AbortSignal,
    progress: Progress,
  ): Promise<CallEnd> {
    const cut = (): CallEnd => {
      if (!context.signal.aborted && closed !== undefined) throw closed
      return { end: 'cancelled' }
    }
    refuse(request.model)
    if (engine === undefined) {
      context.mark('load-start')
      // Who gives up waiting does not stop the load: others may wait for it, and the next call needs it.
      if ((await settledOrAborted(startLoad(), signal)) === 'aborted') return cut()
      context.mark('load-end')
    }
    const loaded = engine!
    const waits = !loaded.slots.hasFree
    // Reading a prompt begins with turning it to tokens. A wait for a sequence is not a part of it.
    if (!waits) context.mark('prefill-start')
    const windowTokens = Math.min(request.options.contextTokens ?? Number.POSITIVE_INFINITY, loaded.contextTokens)
    refuseLong(request.messages, windowTokens)
    const thinks = request.think !== undefined && request.think !== false
    const thoughts = thinks ? loaded.thoughts() : undefined
    if (thinks && thoughts === undefined) throw notHere('think')
    const prompt = loaded.render(request.messages, thinks)
    if (prompt.length === 0) throw new CaesuraError('CAESURA_E_PROMPT_EMPTY', 'the messages make up no prompt')
    if (prompt.length >= windowTokens) throw contextFull(prompt.length, windowTokens)
    const sequence = await loaded.slots.take(prompt, signal)
    if (sequence === undefined) return cut()
    try {
      if (waits) context.mark('prefill-start')
      progress.promptTokens = prompt.length
      if (!(await prefill(sequence, prompt, batchTokens, signal))) return cut()
      context.mark('prefill-end')
      const grammar = request.format && (await loaded.grammarState(request.format))
      const asked = { prompt, windowTokens, options: request.options, ...present({ thoughts, grammar }) }
      const token = (text: string) => context.token(text)
      const thinking = (text: string) => context.thinking(text)
      const end = await decode(loaded, sequence, asked, { signal, token, thinking, progress })
      if (end.end === 'cancelled') return cut()
      context.mark('done')
      return end
    } catch (error) {
      // What the sequence holds after a failure is not known. If it cannot be emptied either, the next call fails on its own.
      await sequence.clearHistory().catch(() => {})
      throw error instanceof CaesuraError ? error : modelError(error)
    } finally {
      loaded.slots.release(sequence)
      context.mark('closed')
    }
  }

  /** Leaves a prompt in a free sequence, where the next call that begins like it finds it. Throws. */
  async function readAhead({ model, messages, isCut }: PrefillRequest, signal: AbortSignal): Promise<void> {
    refuse(model)
    if ((await settledOrAborted(startLoad(), signal)) === 'aborted') throw signal.reason
    const loaded = engine!
    refuseLong(messages, loaded.contextTokens)
    const prompt = isCut ? openTokens(loaded.render, messages) : loaded.render(messages)
    if (prompt.length >= loaded.contextTokens) throw contextFull(prompt.length, loaded.contextTokens)
    // A prefill leaves the last token to the decode.
    if (prompt.length < 2) return
    const sequence = await loaded.slots.take(prompt, signal)
    if (sequence === undefined) throw signal.reason
    try {
      if (!(await prefill(sequence, prompt, Math.ceil(batchTokens / AHEAD_PIECES), signal))) throw signal.reason
    } catch (error) {
      if (!signal.aborted) await sequence.clearHistory().catch(() => {})
      throw error
    } finally {
      loaded.slots.release(sequence)
    }
  }

  async function generate(
    request: CallRequest,
    context: GenerateContext,
    controller: AbortController,
  ): Promise<CallEnd> {
    if (context.signal.aborted) return { end: 'cancelled' }
    const refused = refusalOf(request)
    if (refused !== undefined) return { end: 'failed', error: summarize(refused), retryable: false }
    const progress: Progress = {}
    const abort = () => controller.abort(context.signal.reason)
    context.signal.addEventListener('abort', abort, { once: true })
    try {
      return { ...(await answer(request, context, controller.signal, progress)), ...progress }
    } catch (error) {
      if (context.signal.aborted) return { end: 'cancelled', ...progress }
      return { end: 'failed', error: summarize(error), retryable: false, ...progress }
    } finally {
      context.signal.removeEventListener('abort', abort)
    }
  }

  return {
    kind: 'llama-cpp',
    address: file,

    generate(request, context) {
      const controller = new AbortController()
      const call = generate(request, context, controller)
      calls.set(call, controller)
      void call.then(() => calls.delete(call))
      return call
    },

    async server(signal) {
      signal.throwIfAborted()
      const { version } = await bind()
      return { kind: 'llama-cpp', version, address: file }
    },

    async models(signal) {
      signal.throwIfAborted()
      await bind()
      const bytes = await modelBytes(file).catch(() => undefined)
      return bytes === undefined ? [] : [{ name, bytes }]
    },

    async load(model, signal) {
      signal.throwIfAborted()
      refuse(model)
      if ((await settledOrAborted(startLoad(), signal)) === 'aborted') throw signal.reason
    },

    async unload(model, signal) {
      refuse(model)
      for (;;) {
        signal.throwIfAborted()
        const busy = [...calls.keys(), ...(loading === undefined || engine !== undefined ? [] : [loading])]
        if (busy.length === 0) break
        await settledOrAborted(Promise.allSettled(busy), signal)
      }
      // In the same tick as the look above: a call that comes now loads an engine of its own.
      const unloaded = engine
      engine = undefined
      loading = undefined
      await unloaded?.dispose()
    },

    async prefill(request, signal) {
      signal.throwIfAborted()
      const controller = new AbortController()
      const reading = readAhead(request, AbortSignal.any([signal, controller.signal]))
      calls.set(reading, controller)
      await reading.finally(() => calls.delete(reading))
    },

    async close() {
      closed ??= new CaesuraError('CAESURA_E_NO_BACKEND', `the engine of ${name} is closed`)
      for (const controller of calls.values()) controller.abort(closed)
      await Promise.allSettled(calls.keys())
      await loading?.then((loaded) => loaded.dispose()).catch(() => {})
      engine = undefined
    },
  }
}

/** Waits for the work, but not longer than until the abort. Throws what the work throws. */
async function settledOrAborted(work: Promise<unknown>, signal: AbortSignal): Promise<'settled' | 'aborted'> {
  if (signal.aborted) {
    work.catch(() => {})
    return 'aborted'
  }
  let stop = () => {}
  const aborted = new Promise<'aborted'>((resolveAborted) => {
    stop = () => resolveAborted('aborted')
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work.then(() => 'settled' as const), aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

const contextFull = (promptTokens: number, windowTokens: number) =>
  new CaesuraError(
    'CAESURA_E_CONTEXT_FULL',
    `the prompt has ${promptTokens} tokens; with room for an answer at most ${windowTokens - 1} fit into the context`,
    { received: String(promptTokens), expected: `at most ${windowTokens - 1}` },
  )

/** A text whose tokens are longer than that on average is none that people or models write. */
const MOST_CHARACTERS_A_TOKEN = 64

/** What is longer than any window is not turned to tokens: that takes a second a megabyte, in which nothing else is done. */
function refuseLong(messages: CallRequest['messages'], windowTokens: number): void {
  const characters = messages.reduce((sum, { content }) => sum + content.length, 0)
  // Each message takes a token at least, to say where it ends.
  const atLeast = Math.max(messages.length, Math.ceil(characters / MOST_CHARACTERS_A_TOKEN))
  if (atLeast < windowTokens) return
  const message = `the prompt has ${messages.length} messages and ${characters} characters: with room for an answer at most ${windowTokens - 1} tokens fit into the context`
  throw new CaesuraError('CAESURA_E_CONTEXT_FULL', message, { expected: `at most ${windowTokens - 1} tokens` })
}

const modelError = (cause: unknown) =>
  new CaesuraError(
    'CAESURA_E_MODEL_ERROR',
    `llama.cpp failed: ${cause instanceof Error ? cause.message : String(cause)}`,
    {
      cause,
    },
  )

/** What only a server can do: a call that asks for it must not be answered as if it had not. */
function refusalOf({ tools, parameters, messages }: CallRequest): CaesuraError | undefined {
  if (tools !== undefined) return notHere('tools')
  if (parameters !== undefined) return notHere('parameters')
  if (messages.some(({ role, toolCalls }) => role === 'tool' || toolCalls !== undefined)) return notHere('toolCalls')
  if (!messages.some(({ images = [] }) => images.length > 0)) return undefined
  return new CaesuraError('CAESURA_E_IMAGE', 'a model in this process takes no pictures', {
    expected: 'a model server with a model that can see',
  })
}

const notHere = (asked: string): CaesuraError =>
  new CaesuraError('CAESURA_E_REQUEST', `a model in this process knows no \`${asked}\``, {
    received: asked,
    expected: 'a stage without it, or a model server',
  })
