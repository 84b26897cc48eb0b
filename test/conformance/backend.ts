import { getEventListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CallEnd, CallRequest, ChatMessage, GenerationOptions } from '../../src/core/call.ts'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { CallCancelled } from '../../src/core/errors.ts'
import { type Mark, type MarkName, markNames } from '../../src/core/ledger.ts'
import type { Backend } from '../../src/core/ports.ts'

/** A backend that is ready for calls, with what the suite needs to ask of it. */
export interface BackendUnderTest {
  readonly backend: Backend
  /** As `Backend.models` lists it. */
  readonly model: string
  /** Called after `backend.close()`: how much is still open (connections, sequences). Looked at until it is 0. */
  leftOpen?(): number
  /**
   * For a server with a fault that its backend cannot mend: called when a call has failed. True: the server was that fault,
   * is well again, and the suite makes the call once more.
   */
  recover?(end: CallEnd): Promise<boolean>
  /** Stops what was started beside the backend. */
  teardown?(): Promise<void>
}

export interface BackendSettings {
  /** Starts the backend. Called once before all tests and once more for the test of `close`. */
  make(): Promise<BackendUnderTest>
  /**
   * Prompts whose answers have at least six pieces of text each, and differ from each other. A few are enough: calls take
   * them in turn. With `options` they must give the same text each time.
   */
  readonly prompts: readonly (readonly ChatMessage[])[]
  /** `maxTokens` keeps slow engines fast; temperature 0 or a seed keeps them repeatable. */
  readonly options: GenerationOptions
  /** A prompt that takes long to read, for an abort in prefill; the first prompt by default. */
  readonly longPrompt?: readonly ChatMessage[]
  /** Calls that the backend takes at once; all of them by default. More calls wait in the suite. */
  readonly slots?: number
  /** Calls in the concurrency test; 200 by default. */
  readonly calls?: number
  /** Marks that a first completed call has. Their instants must be in the order of `markNames`, whatever they are. */
  readonly marks: readonly MarkName[]
  /** Marks that a call has which was cancelled in the middle of its answer; `closed` by default. */
  readonly cancelMarks?: readonly MarkName[]
  /** A model that is not there: a call for it fails with `CAESURA_E_NO_MODEL`. Left out: not tested. */
  readonly missingModel?: string
  /** What the backend is given; the system clock by default. It must go on by itself. */
  readonly clock?: Clock
  /** Of one test, ms; 60,000 by default. */
  readonly timeoutMs?: number
}

interface Outcome {
  readonly end: CallEnd
  readonly pieces: readonly string[]
  readonly text: string
  readonly marks: readonly Mark[]
  readonly startedAt: number
  readonly endedAt: number
  /** From start to first piece, ms; absent without a piece. */
  readonly firstTokenMs?: number
  readonly durationMs: number
}

interface Watch {
  /** Before `generate` is called. */
  before?(abort: () => void): void
  /** Right after `generate` was called, in the same tick. */
  started?(abort: () => void): void
  /** Inside `token`, with the number of pieces so far. */
  token?(count: number, abort: () => void): void
}

/** What every backend must do. Call it in a test file: `describeBackend('ollama', { make, prompts, options, marks })`. */
export function describeBackend(name: string, settings: BackendSettings): void {
  const clock = settings.clock ?? systemClock
  const timeout = settings.timeoutMs ?? 60_000
  const prompt = (i: number) => settings.prompts[i % settings.prompts.length]!
  const slots = semaphore(settings.slots ?? Number.POSITIVE_INFINITY)

  describe(`${name} as a backend`, { timeout }, () => {
    let subject: BackendUnderTest
    const whole: Outcome[] = []

    async function generate(
      messages: readonly ChatMessage[],
      watch: Watch = {},
      model = subject.model,
    ): Promise<Outcome> {
      for (;;) {
        const outcome = await attempt(messages, watch, model)
        if (outcome.end.end !== 'failed' || !(await subject.recover?.(outcome.end))) return outcome
      }
    }

    async function attempt(messages: readonly ChatMessage[], watch: Watch, model: string): Promise<Outcome> {
      const controller = new AbortController()
      let aborted = false
      const abort = () => {
        aborted = true
        controller.abort(new CallCancelled('by the test'))
      }
      const pieces: string[] = []
      const marks: Mark[] = []
      // Collected, because a backend may take what is thrown in here for a fault of its own.
      const faults: string[] = []
      let ended = false
      let firstAt: number | undefined
      const request: CallRequest = {
        callId: 'c',
        runId: 'r',
        stage: 's',
        attempt: 1,
        model,
        messages,
        options: settings.options,
        placement: 'any',
      }
      watch.before?.(abort)
      const startedAt = clock.now()
      const promise = subject.backend.generate(request, {
        clock,
        signal: controller.signal,
        mark(markName, at = clock.now()) {
          if (ended) faults.push(`mark ${markName} after the end`)
          marks.push({ name: markName, at })
        },
        thinking(text) {
          if (ended) faults.push('a thought after the end')
          if (aborted) faults.push('a thought after the abort')
          if (text === '') faults.push('an empty thought')
        },
        token(text) {
          if (ended) faults.push('a token after the end')
          if (aborted) faults.push('a token after the abort')
          if (text === '') faults.push('an empty token')
          firstAt ??= clock.now()
          pieces.push(text)
          watch.token?.(pieces.length, abort)
        },
      })
      watch.started?.(abort)
      const end = await promise
      ended = true
      const endedAt = clock.now()
      await new Promise(setImmediate)
      expect(faults).toEqual([])
      expect(getEventListeners(controller.signal, 'abort'), 'listeners left on the signal').toHaveLength(0)
      return {
        end,
        pieces,
        text: pieces.join(''),
        marks,
        startedAt,
        endedAt,
        durationMs: (endedAt - startedAt) / 1e6,
        ...(firstAt !== undefined && { firstTokenMs: (firstAt - startedAt) / 1e6 }),
      }
    }

    /** Holds for a call that was aborted: cancelled, and what came is a beginning of the whole. */
    const expectCancelled = (outcome: Outcome, text: string) => {
      expect(outcome.end).toMatchObject({ end: 'cancelled' })
      expect(outcome.end.error).toBeUndefined()
      expect(text.startsWith(outcome.text), `"${outcome.text}" begins "${text}"`).toBe(true)
    }

    const expectOrder = ({ marks, startedAt, endedAt }: Outcome) => {
      const names = marks.map((mark) => mark.name)
      expect(new Set(names).size, `each mark once: ${names}`).toBe(names.length)
      const byInstant = marks.toSorted((a, b) => a.at - b.at || rank(a) - rank(b))
      expect(byInstant.map((mark) => mark.name)).toEqual(marks.toSorted((a, b) => rank(a) - rank(b)).map((m) => m.name))
      for (const { name, at } of marks) {
        expect(Number.isSafeInteger(at), `${name} in whole ns`).toBe(true)
        expect(at, name).toBeGreaterThanOrEqual(startedAt)
        expect(at, name).toBeLessThanOrEqual(endedAt)
      }
    }

    beforeAll(async () => {
      subject = await settings.make()
      for (const messages of settings.prompts) whole.push(await generate(messages))
    }, timeout)

    afterAll(async () => {
      await subject?.backend.close()
      await subject?.teardown?.()
    }, timeout)

    it('answers in pieces that make up the whole, the same for the same request', async () => {
      expect(new Set(whole.map(({ text }) => text)).size, 'answers differ by prompt').toBe(whole.length)
      for (const [i, first] of whole.entries()) {
        expect(first.end).toMatchObject({ end: 'completed' })
        expect(first.pieces.length).toBeGreaterThanOrEqual(6)
        const again = await generate(prompt(i))
        expect(again.end.end).toBe('completed')
        expect(again.text).toBe(first.text)
        const { generatedTokens, promptTokens } = again.end
        if (generatedTokens !== undefined) expect(generatedTokens).toBeGreaterThanOrEqual(again.pieces.length)
        if (promptTokens !== undefined) expect(promptTokens).toBeGreaterThan(0)
      }
    })

    it('sets its marks in order, at instants within the call', async () => {
      const [first] = whole
      expect(first!.marks.map((mark) => mark.name)).toEqual(expect.arrayContaining([...settings.marks]))
      expectOrder(first!)
      expectOrder(await generate(prompt(0)))
    })

    it('names itself and lists its models', async () => {
      const { signal } = new AbortController()
      expect((await subject.backend.server(signal)).kind).toBe(subject.backend.kind)
      expect((await subject.backend.models(signal)).map((model) => model.name)).toContain(subject.model)
    })

    const { missingModel } = settings
    if (missingModel !== undefined) {
      it('fails for a model that is not there', async () => {
        const outcome = await generate(prompt(0), {}, missingModel)
        expect(outcome.end).toMatchObject({ end: 'failed', error: { code: 'CAESURA_E_NO_MODEL' } })
        expect(outcome.pieces).toEqual([])
      })
    }

    describe('cancelled', () => {
      it('before the start: nothing is generated', async () => {
        const outcome = await generate(prompt(0), { before: (abort) => abort() })
        expectCancelled(outcome, '')
        expect(outcome.marks.map((mark) => mark.name)).not.toContain('request-sent')
      })

      it('in the tick of the start, before anything is sent', async () => {
        expectCancelled(await generate(prompt(0), { started: (abort) => abort() }), '')
      })

      it('in the next turns of the event loop, before an answer', async () => {
        for (const turns of [0, 1, 2, 3, 5]) {
          const started = async (abort: () => void) => {
            for (let i = 0; i < turns; i++) await new Promise(setImmediate)
            abort()
          }
          const outcome = await generate(prompt(0), { started })
          if (outcome.end.end !== 'completed') expectCancelled(outcome, whole[0]!.text)
        }
      })

      it('in prefill', async () => {
        const long = settings.longPrompt ?? prompt(0)
        const undisturbed = await generate(long)
        for (const part of [0.2, 0.5, 0.8]) {
          const started = async (abort: () => void) => {
            await sleep((undisturbed.firstTokenMs ?? 0) * part)
            abort()
          }
          const outcome = await generate(long, { started })
          if (outcome.end.end !== 'completed') expectCancelled(outcome, undisturbed.text)
          expectOrder(outcome)
        }
      })

      it('at the first token', async () => {
        const outcome = await generate(prompt(0), { token: (_count, abort) => abort() })
        expectCancelled(outcome, whole[0]!.text)
        expect(outcome.pieces).toHaveLength(1)
      })

      it('in the middle, with the marks of a cancelled call', async () => {
        const middle = Math.ceil(whole[0]!.pieces.length / 2)
        const outcome = await generate(prompt(0), { token: (count, abort) => void (count === middle && abort()) })
        expectCancelled(outcome, whole[0]!.text)
        expect(outcome.pieces).toHaveLength(middle)
        expectOrder(outcome)
        const names = outcome.marks.map((mark) => mark.name)
        expect(names).toEqual(expect.arrayContaining([...(settings.cancelMarks ?? ['closed'])]))
        expect(names).not.toContain('done')
        expect(outcome.end.server, 'an aborted call has no durations').toBeUndefined()
      })

      it('at the last token', async () => {
        const last = whole[0]!.pieces.length
        const outcome = await generate(prompt(0), { token: (count, abort) => void (count === last && abort()) })
        expect(outcome.text).toBe(whole[0]!.text)
        expect(['cancelled', 'completed']).toContain(outcome.end.end)
      })

      it('after the end: nothing happens', async () => {
        let late = () => {}
        const started = (abort: () => void) => {
          late = abort
        }
        const outcome = await generate(prompt(0), { started })
        late()
        expect(outcome.end.end).toBe('completed')
        expect(outcome.text).toBe(whole[0]!.text)
      })

      it('twice: as once', async () => {
        const twice = (_count: number, abort: () => void) => {
          abort()
          abort()
        }
        const outcome = await generate(prompt(0), { token: twice })
        expectCancelled(outcome, whole[0]!.text)
      })

      it('leaves the backend as it was', async () => {
        const [first] = whole
        await generate(prompt(0), { token: (count, abort) => void (count === 2 && abort()) })
        expect((await generate(prompt(0))).text).toBe(first!.text)
      })
    })

    it('keeps every call whole while every second of many at once is aborted', { timeout: 2 * timeout }, async () => {
      const random = mulberry32(20_261_122)
      const longest = Math.max(...whole.map(({ durationMs }) => durationMs))
      const calls = Array.from({ length: settings.calls ?? 200 }, async (_, i) => {
        const expected = whole[i % whole.length]!
        const [moment, kind] = [random(), random()]
        const outcome = await slots(() => {
          if (i % 2 === 0) return generate(prompt(i))
          if (kind < 0.5) {
            const at = Math.ceil(moment * expected.pieces.length)
            return generate(prompt(i), { token: (count, abort) => void (count === at && abort()) })
          }
          const started = (abort: () => void) => void setTimeout(abort, moment * longest)
          return generate(prompt(i), { started })
        })
        if (i % 2 === 0) {
          expect(outcome.end, `call ${i}: ${outcome.end.error?.message}`).toMatchObject({ end: 'completed' })
          expect(outcome.text, `call ${i}`).toBe(expected.text)
        } else if (outcome.end.end !== 'completed') expectCancelled(outcome, expected.text)
        expectOrder(outcome)
        return outcome.end.end
      })
      const ends = await Promise.all(calls)
      expect(ends.filter((end) => end === 'cancelled').length).toBeGreaterThan(0)
    })

    // Whether a backend can is known only when it is made, so the others skip these.
    describe('where it can unload its model', () => {
      const { signal } = new AbortController()

      it('has it gone, twice as once, and the next call loads it again', async ({ skip }) => {
        const { backend, model } = subject
        if (backend.unload === undefined) return skip('it cannot')
        await backend.unload(model, signal)
        await backend.unload(model, signal)
        expect((await generate(prompt(0))).text).toBe(whole[0]!.text)
      })

      it('lets a call under way come to its end', async ({ skip }) => {
        const { backend, model } = subject
        if (backend.unload === undefined) return skip('it cannot')
        let unloaded: Promise<void> | undefined
        const token = (count: number) => {
          if (count === 1) unloaded = backend.unload?.(model, signal)
        }
        const outcome = await generate(prompt(0), { token })
        expect(outcome.end.end).toBe('completed')
        expect(outcome.text).toBe(whole[0]!.text)
        await unloaded
        expect((await generate(prompt(0))).text).toBe(whole[0]!.text)
      })

      it('heeds an aborted signal', async ({ skip }) => {
        const { backend, model } = subject
        if (backend.unload === undefined) return skip('it cannot')
        const reason = new CallCancelled('by the test')
        await expect(backend.unload(model, AbortSignal.abort(reason))).rejects.toBe(reason)
        expect((await generate(prompt(0))).text).toBe(whole[0]!.text)
      })
    })

    it('leaves nothing open when it is closed', async () => {
      const other = await settings.make()
      const before = subject
      subject = other
      try {
        await generate(prompt(0))
        await generate(prompt(0), { token: (_count, abort) => abort() })
        await other.backend.close()
        await expect.poll(() => other.leftOpen?.() ?? 0, { timeout: 5_000, interval: 5 }).toBe(0)
      } finally {
        subject = before
        await other.teardown?.()
      }
    })
  })
}

const rank = (mark: Mark): number => markNames.indexOf(mark.name)

/** Runs at most `slots` things at once, first come, first served. */
function semaphore(slots: number): <T>(run: () => Promise<T>) => Promise<T> {
  let free = slots
  const waiting: (() => void)[] = []
  return async (run) => {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    else free -= 1
    try {
      return await run()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free += 1
      else next()
    }
  }
}

/** Random numbers in [0, 1) that are the same in each run. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
