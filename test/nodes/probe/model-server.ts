import type { CallEnd, CallRequest, GenerateContext } from '../../../src/core/call.ts'
import { msToNs, nsToMs } from '../../../src/core/clock.ts'
import type { Backend } from '../../../src/core/ports.ts'

/** The figures of a model of a server; all times in ms on the clock of the calls. */
export interface ModelServerFigures {
  readonly slots: number
  /** Before the slot is asked for; for each call where it is a function. */
  readonly preparationMs: number | ((request: CallRequest) => number)
  readonly prefillMsPerToken: number
  readonly decodeMs: number
  /** Where a prefill looks at the abort: after so many tokens; 0: never. */
  readonly batchTokens: number
  /** From the moment in which the abort is noticed to the free slot. */
  readonly decodeLagMs: number
  /** The same in a prefill. */
  readonly prefillLagMs: number
  /** Where it is given, a prefill notices an abort at once, and holds the slot for this share of what was left of it. */
  readonly heldShare?: number
  /** How long an abandoned waiter still holds a slot when its turn comes. */
  readonly abandonedMs: number
  readonly reusesPrefix: boolean
  /** Reports counts and durations as Ollama does. */
  readonly reports: boolean
  /** Marks `slot-free` and settles only then, as a backend with a witness does. */
  readonly witness: boolean
  /** The longest prompt, tokens; refused above. */
  readonly contextTokens: number
  /** The number of the abort that loses a slot until the model is unloaded. */
  readonly wedgesAtAbort: number
  /** Tokens of an answer that is not cut. */
  readonly answerTokens: number
  /** Tokens that are sent together. */
  readonly burst: number
  /** Of the model, by the first call; for the nth load (from 0) where it is a function. 0: it is there, and cannot be unloaded. */
  readonly loadMs: number | ((nth: number) => number)
  /** Whether a load goes on when the call that began it is aborted. */
  readonly keepsLoad: boolean
  /** From such an abort to the moment in which the next load can begin. */
  readonly lostLoadMs: number
  /** Of the model's file. */
  readonly bytes?: number
}

export const figures: ModelServerFigures = {
  slots: 1,
  preparationMs: 0,
  prefillMsPerToken: 1,
  decodeMs: 10,
  batchTokens: 0,
  decodeLagMs: 0,
  prefillLagMs: 0,
  abandonedMs: 0,
  reusesPrefix: true,
  reports: true,
  witness: false,
  contextTokens: 4096,
  wedgesAtAbort: Number.POSITIVE_INFINITY,
  answerTokens: 100_000,
  burst: 1,
  loadMs: 0,
  keepsLoad: false,
  lostLoadMs: 0,
}

/** Words count as tokens, and the template has none. */
const tokensOf = ({ messages }: CallRequest): string[] => messages.flatMap(({ content }) => content.split(' '))

/** How many words at the start are the same. */
function shared(known: readonly string[], prompt: readonly string[]): number {
  let same = 0
  while (same < known.length && same < prompt.length && known[same] === prompt[same]) same += 1
  return same
}

export interface ModelServer extends Backend {
  /** Slots in use, or lost. */
  readonly busy: number
  readonly unloads: number
  readonly isLoaded: boolean
}

/** A model server with slots, a queue, a prefix cache and a way of its own to notice an abort. Exact on a virtual clock. */
export function modelServer(given: Partial<ModelServerFigures> = {}): ModelServer {
  const server = { ...figures, ...given }
  let busy = 0
  let aborts = 0
  let loads = 0
  let unloads = 0
  let isLoaded = server.loadMs === 0
  let loading: Promise<void> | undefined
  const serving = new Set<Promise<CallEnd>>()
  const waiting: (() => void)[] = []
  const caches: (readonly string[])[] = Array.from({ length: server.slots }, () => [])
  const freeCaches = caches.map((_, index) => index)
  /** By the slots that were lost with them. */
  const lostCaches: number[] = []

  const release = (cache: number) => {
    freeCaches.push(cache)
    const next = waiting.shift()
    if (next === undefined) busy -= 1
    else next()
  }

  const generate = (request: CallRequest, context: GenerateContext): Promise<CallEnd> => {
    const { clock, signal } = context
    const sleep = (ms: number) =>
      ms <= 0
        ? Promise.resolve()
        : new Promise<void>((resolve) => void clock.schedule(clock.now() + msToNs(ms), resolve))
    const startedAt = clock.now()
    const aborted = new Promise<CallEnd>((resolve) => {
      signal.addEventListener('abort', () => resolve({ end: 'cancelled' }), { once: true })
    })

    const load = async () => {
      const { loadMs } = server
      const ms = typeof loadMs === 'function' ? loadMs(loads) : loadMs
      loads += 1
      if (server.keepsLoad) await sleep(ms)
      else if (signal.aborted || (await Promise.race([sleep(ms), aborted])) !== undefined)
        return sleep(server.lostLoadMs)
      isLoaded = true
    }

    const serve = async (): Promise<CallEnd> => {
      const { preparationMs } = server
      await sleep(typeof preparationMs === 'function' ? preparationMs(request) : preparationMs)
      while (!isLoaded && !signal.aborted) {
        loading ??= load().finally(() => {
          loading = undefined
        })
        await loading
      }
      const loadNs = clock.now() - startedAt
      if (signal.aborted) return { end: 'cancelled' }
      const prompt = tokensOf(request)
      if (prompt.length >= server.contextTokens)
        return { end: 'failed', error: { code: 'CAESURA_E_CONTEXT_FULL', message: 'too long' } }
      // A slot is handed on: the one that takes it finds it busy already.
      if (busy >= server.slots) await new Promise<void>((resolve) => void waiting.push(resolve))
      else busy += 1
      const cache = freeCaches.toSorted((a, b) => shared(caches[b]!, prompt) - shared(caches[a]!, prompt))[0]!
      freeCaches.splice(freeCaches.indexOf(cache), 1)
      try {
        if (signal.aborted) {
          await sleep(server.abandonedMs)
          return { end: 'cancelled' }
        }
        return await work(prompt, cache, loadNs)
      } finally {
        if (signal.aborted && ++aborts === server.wedgesAtAbort) lostCaches.push(cache)
        else {
          if (signal.aborted && server.witness) context.mark('slot-free')
          release(cache)
        }
      }
    }

    const work = async (prompt: readonly string[], cache: number, loadNs: number): Promise<CallEnd> => {
      const same = server.reusesPrefix ? Math.min(shared(caches[cache]!, prompt), prompt.length - 1) : 0
      const prefillAt = clock.now()
      for (let at = same; at < prompt.length; ) {
        const batch = Math.min(server.batchTokens === 0 ? prompt.length : server.batchTokens, prompt.length - at)
        const batchMs = batch * server.prefillMsPerToken
        if (server.heldShare === undefined) await sleep(batchMs)
        else {
          const until = clock.now() + msToNs(batchMs)
          await Promise.race([sleep(batchMs), aborted])
          if (signal.aborted) await sleep(nsToMs(until - clock.now()) * server.heldShare)
        }
        at += batch
        caches[cache] = prompt.slice(0, at)
        if (signal.aborted && (at < prompt.length || server.batchTokens === 0)) {
          await sleep(server.prefillLagMs)
          return { end: 'cancelled' }
        }
      }
      const firstAt = clock.now()
      const count = Math.min(request.options.maxTokens ?? server.answerTokens, server.answerTokens)
      for (let said = 0; said < count; said += 1) {
        if (said > 0) await sleep(server.decodeMs)
        if (signal.aborted) {
          await sleep(server.decodeLagMs)
          return { end: 'cancelled' }
        }
        if ((said + 1) % server.burst === 0 || said === count - 1)
          for (let at = said - (said % server.burst); at <= said; at += 1) context.token(`t${at} `)
      }
      context.mark('done')
      const decodeNs = clock.now() - firstAt
      return {
        end: 'completed',
        finishReason: 'length',
        ...(server.reports && {
          promptTokens: prompt.length,
          generatedTokens: count,
          server: {
            totalNs: clock.now() - startedAt,
            ...(loadNs > 0 && { loadNs }),
            prefillNs: firstAt - prefillAt,
            ...(decodeNs > 0 && { decodeNs }),
          },
        }),
      }
    }
    const served = serve()
    serving.add(served)
    void served.then(() => serving.delete(served))
    // A client that leaves is gone at once, whatever its server goes on with.
    return server.witness ? served : Promise.race([served, aborted])
  }

  const unload = async () => {
    unloads += 1
    for (const cache of lostCaches.splice(0)) release(cache)
    await Promise.all(serving)
    await loading
    caches.fill([])
    isLoaded = false
  }

  return {
    kind: 'model-server',
    address: 'test',
    get busy() {
      return busy
    },
    get unloads() {
      return unloads
    },
    get isLoaded() {
      return isLoaded
    },
    generate,
    server: async () => ({ kind: 'model-server', version: '1', address: 'test' }),
    models: async () => [{ name: 'm', ...(server.bytes !== undefined && { bytes: server.bytes }) }],
    ...(server.loadMs !== 0 && { unload }),
    load: async () => {
      isLoaded = true
    },
    close: async () => undefined,
  }
}
