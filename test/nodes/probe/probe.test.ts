import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CallRequest } from '../../../src/core/call.ts'
import { msToNs } from '../../../src/core/clock.ts'
import { CaesuraError } from '../../../src/core/errors.ts'
import type { Backend } from '../../../src/core/ports.ts'
import { priorsOf, probeResultSchema } from '../../../src/core/probe.ts'
import { VirtualClock } from '../../../src/lab/simulation/virtual-clock.ts'
import { scriptedBackend } from '../../../src/nodes/backends/scripted.ts'
import { type ProbeSettings, probeNode } from '../../../src/nodes/probe/probe.ts'
import { type ModelServerFigures, modelServer } from './model-server.ts'

/** Servers that are made up; more with the environment variable of this name. */
const PROBES = Number(process.env.PROBES ?? 60)

async function probed(backend: Backend, settings: Partial<ProbeSettings> = {}, slots = 1) {
  const clock = new VirtualClock()
  const result = await clock.until(
    probeNode({ name: 'n', backend, slots, pool: 'default' }, { model: 'm', clock, budgetMs: 600_000, ...settings }),
  )
  // What the probe has left behind on the server is over soon: a prompt that it reads to its end is the longest.
  await clock.advance(msToNs(60_000))
  expect(clock.pending).toBe(0)
  return probeResultSchema.parse(result)
}
const probedModel = (given: Partial<ModelServerFigures>, settings: Partial<ProbeSettings> = {}) =>
  probed(modelServer(given), settings)

describe('probeNode recovers what a server does', () => {
  it('speed, preparation and the prefix cache', async () => {
    const result = await probedModel({ preparationMs: 90, prefillMsPerToken: 0.5, decodeMs: 20 })
    expect(result).toMatchObject({
      schema: 'caesura.probe/1',
      node: 'n',
      server: { kind: 'model-server', version: '1' },
      address: 'test',
      model: 'm',
      measuredAt: '2026-01-01T00:00:00.000Z',
      warmPreparationMs: 90,
      tokensPerSecond: { prefill: 2000, decode: 50 },
      slots: 1,
      prefixReuse: true,
      witness: 'call',
    })
    expect(result.firstTokenMs).toEqual({ p50: 93.5, p95: 93.5, n: 5 })
    expect(result.stopped).toBeUndefined()
    expect(result.moreSlots).toBeUndefined()
  })

  it('speed of decode, where tokens come in bursts and nothing is reported', async () => {
    const { tokensPerSecond } = await probedModel({ reports: false, burst: 64, decodeMs: 10 })
    expect(tokensPerSecond.decode).toBeGreaterThan(90)
    expect(tokensPerSecond.decode).toBeLessThan(110)
  })

  it('a server without a prefix cache', async () => {
    expect(await probedModel({ reusesPrefix: false })).toMatchObject({ prefixReuse: false })
  })

  it.each([1, 2, 3])('abort → free slot in decode, with %d slots', async (slots) => {
    const result = await probedModel({ slots, decodeLagMs: 300, decodeMs: 10 })
    expect(result.slots).toBe(slots)
    // The abort is noticed at the next token.
    expect(result.slotFreeAfterAbortMs.decode?.p50).toBeGreaterThanOrEqual(300)
    expect(result.slotFreeAfterAbortMs.decode?.p95).toBeLessThanOrEqual(310)
    expect(result.slotFreeAfterAbortMs.decode?.n).toBe(5)
  })

  it.each([1, 2])('a prefill that never stops, with %d slots', async (slots) => {
    const result = await probedModel({ slots, batchTokens: 0 })
    const { longPrompt, slotFreeAfterAbortMs } = result
    expect(result.prefillStops).toBe('never')
    // Aborted at 12 to 42 % of it.
    expect(slotFreeAfterAbortMs.prefill?.p50).toBeGreaterThan(0.55 * longPrompt!.prefillMs)
    expect(slotFreeAfterAbortMs.prefill?.p95).toBeLessThan(0.9 * longPrompt!.prefillMs)
    expect(result.advice.join(' ')).toMatch(/cannot be stopped.*Prefer drain, or a second node/)
  })

  it.each([512, 128])('a prefill that stops between batches of %d tokens', async (batchTokens) => {
    const result = await probedModel({ batchTokens })
    expect(result.prefillStops).toBe('between-batches')
    expect(result.slotFreeAfterAbortMs.prefill?.p95).toBeLessThanOrEqual(batchTokens)
    expect(result.slotFreeAfterAbortMs.prefill?.p50).toBeGreaterThan(0)
  })

  it('a prefill that stops at once', async () => {
    expect(await probedModel({ batchTokens: 1 })).toMatchObject({ prefillStops: 'at-once' })
  })

  it('an abandoned waiter that costs nothing, and one that does', async () => {
    const free = await probedModel({ abandonedMs: 0 })
    expect(free.slotFreeAfterAbortMs.queue).toEqual({ p50: 0, p95: 0, n: 5 })
    const dear = await probedModel({ abandonedMs: 200, slots: 2 })
    expect(dear.slotFreeAfterAbortMs.queue).toEqual({ p50: 200, p95: 200, n: 5 })
    expect(dear.advice.join(' ')).toContain('keep the queue on our side')
  })

  it('one slot, where tokens that were read late once made calls seem to overlap', async () => {
    const server = modelServer({})
    const { generate } = server
    let late = 0
    server.generate = async (request, context) => {
      const { clock } = context
      const end = await generate(request, context)
      if (late > 0) {
        late -= 1
        await new Promise<void>((resolve) => void clock.schedule(clock.now() + msToNs(1_000), resolve))
        context.token('late')
      }
      return end
    }
    const tell = (what: string) => {
      if (what === 'calls at once') late = 4
    }
    expect(await probed(server, { tell })).toMatchObject({ slots: 1 })
  })

  it('the word of a backend that watches its slots, however many there are', async () => {
    const result = await probedModel({ slots: 8, witness: true, decodeLagMs: 50, decodeMs: 10 })
    expect(result).toMatchObject({ witness: 'server', slots: 4, moreSlots: true, prefillStops: 'never' })
    expect(result.slotFreeAfterAbortMs.decode?.p50).toBeGreaterThanOrEqual(50)
    expect(result.slotFreeAfterAbortMs.decode?.p95).toBeLessThanOrEqual(60)
  })

  it('an aborted load that is thrown away', async () => {
    const server = modelServer({ loadMs: 800, lostLoadMs: 90, preparationMs: 20 })
    const result = await probed(server)
    expect(result).toMatchObject({
      coldFirstTokenMs: { p50: result.firstTokenMs!.p50 + 800, n: 5 },
      slotFreeAfterAbortMs: { load: { p50: 70, p95: 70, n: 5 } },
      abortedLoad: 'lost',
    })
    expect(result.advice.join(' ')).toMatch(/throws the load away.*and 70 ms more/)
    expect(server.isLoaded).toBe(true)
  })

  it('an aborted load that goes on', async () => {
    const server = modelServer({ loadMs: 800, keepsLoad: true })
    const result = await probed(server)
    expect(result).toMatchObject({ slotFreeAfterAbortMs: { load: { p50: 0, p95: 0, n: 5 } }, abortedLoad: 'kept' })
    expect(result.notes.join(' ')).not.toContain('were faster')
    expect(server.isLoaded).toBe(true)
  })

  it('whatever its figures are', { timeout: 60_000 + 500 * PROBES }, async () => {
    const server = fc.record({
      slots: fc.integer({ min: 1, max: 3 }),
      preparationMs: fc.integer({ min: 0, max: 100 }),
      prefillMsPerToken: fc.double({ min: 0.1, max: 10, noNaN: true }),
      decodeMs: fc.integer({ min: 1, max: 40 }),
      batchTokens: fc.constantFrom(0, 128, 512),
      decodeLagMs: fc.integer({ min: 0, max: 500 }),
      abandonedMs: fc.integer({ min: 0, max: 100 }),
      reusesPrefix: fc.boolean(),
      loadMs: fc.constantFrom(0, 15, 90, 120, 400, 3_000),
      keepsLoad: fc.boolean(),
      lostLoadMs: fc.integer({ min: 0, max: 300 }),
    })
    await fc.assert(
      fc.asyncProperty(server, async (given) => {
        const { slots, preparationMs, decodeMs, decodeLagMs, reusesPrefix, loadMs, keepsLoad, lostLoadMs } = given
        const model = modelServer(given)
        const result = await probed(model, { repetitions: 3 })
        expect(result).toMatchObject({ slots, prefixReuse: reusesPrefix })
        expect(result.stopped).toBeUndefined()
        expect(result.tokensPerSecond.decode).toBeCloseTo(1000 / decodeMs, 1)
        expect(result.tokensPerSecond.prefill).toBeCloseTo(1000 / given.prefillMsPerToken, 0)
        if (preparationMs > 0) expect(result.warmPreparationMs).toBeCloseTo(preparationMs, 3)
        const stops = given.batchTokens === 0 ? 'never' : 'between-batches'
        // Never wrong; absent where the preparation hides it, or the calls that keep other slots busy end too early.
        expect([stops, undefined]).toContain(result.prefillStops)
        // To the token in which the abort came. What passes while the next call is being prepared is not seen.
        const { decode, load } = result.slotFreeAfterAbortMs
        expect(decode?.p50).toBeGreaterThanOrEqual(Math.max(0, decodeLagMs - preparationMs) - 0.1)
        expect(decode?.p95).toBeLessThanOrEqual(Math.max(0, decodeLagMs + decodeMs - preparationMs) + 0.1)
        if (loadMs < 100) expect(load).toBeUndefined()
        else expect(load?.p50).toBeCloseTo(keepsLoad ? 0 : Math.max(0, lostLoadMs - preparationMs), 1)
        if (loadMs >= 100) expect(result.abortedLoad).toBe(keepsLoad ? 'kept' : 'lost')
        expect(model.isLoaded).toBe(true)
        expect(model.busy).toBe(0)
      }),
      { numRuns: PROBES },
    )
  })
})

describe('what probeNode says of an abort in prefill', () => {
  it.each([30, 300, 800])('is not that it cannot be stopped, where any abort takes %d ms', async (lagMs) => {
    const result = await probedModel({ batchTokens: 1, prefillLagMs: lagMs, decodeLagMs: lagMs })
    expect(result.prefillStops).toBe('at-once')
    expect(result.slotFreeAfterAbortMs.prefill?.p50).toBeGreaterThanOrEqual(lagMs)
    const advice = result.advice.join(' ')
    expect(advice).not.toContain('cannot be stopped')
    expect(advice.includes('cheap')).toBe(lagMs === 30)
  })

  it.each([0, 300, 800])('holds where any abort takes %d ms beyond what the prefill makes of it', async (lagMs) => {
    const lags = { prefillLagMs: lagMs, decodeLagMs: lagMs }
    expect(await probedModel({ batchTokens: 0, ...lags })).toMatchObject({ prefillStops: 'never' })
    expect(await probedModel({ batchTokens: 512, ...lags })).toMatchObject({ prefillStops: 'between-batches' })
    expect(await probedModel({ batchTokens: 128, ...lags })).toMatchObject({ prefillStops: 'between-batches' })
  })

  it.each([0.3, 0.6, 0.8])(
    'is that it does not know, where the slot is held for %d of what was left',
    async (heldShare) => {
      const result = await probedModel({ heldShare })
      expect(result).not.toHaveProperty('prefillStops')
      expect(result.notes.join(' ')).toMatch(/was not told: the time from the abort to the free slot follows neither/)
      expect(result.advice.join(' ')).toContain('What it waits for was not told.')
    },
  )

  it('is that it does not know, where the lag is longer than in decode and always the same', async () => {
    const result = await probedModel({ batchTokens: 1, prefillLagMs: 300 })
    expect(result).not.toHaveProperty('prefillStops')
    expect(result.notes.join(' ')).toContain('equally late wherever in the prompt the abort came')
  })

  it('is that it does not know, where the preparation of the next call hides it', async () => {
    const result = await probedModel({ batchTokens: 64, preparationMs: 100 })
    expect(result).not.toHaveProperty('prefillStops')
    expect(result.notes.join(' ')).toMatch(/the slot was free before the call .* takes up to 100 ms/)
    expect(result.advice.join(' ')).not.toContain('cheap')
  })

  it('is no more than it can know, whatever lag, preparation and way to stop a server has', {
    timeout: 60_000 + 500 * PROBES,
  }, async () => {
    const way = fc.oneof(
      fc.record({ says: fc.constant('never'), batchTokens: fc.constant(0) }),
      fc.record({ says: fc.constant('between-batches'), batchTokens: fc.integer({ min: 96, max: 512 }) }),
      fc.record({ says: fc.constant('at-once'), batchTokens: fc.integer({ min: 1, max: 8 }) }),
      fc.record({ says: fc.constant('nothing'), heldShare: fc.double({ min: 0.1, max: 0.8, noNaN: true }) }),
    )
    const server = fc.record({
      slots: fc.integer({ min: 1, max: 2 }),
      lagMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 1_000 })),
      preparationMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 200 })),
      prefillMsPerToken: fc.double({ min: 0.2, max: 10, noNaN: true }),
      decodeMs: fc.integer({ min: 1, max: 40 }),
      reports: fc.boolean(),
      witness: fc.boolean(),
      repetitions: fc.integer({ min: 1, max: 8 }),
    })
    await fc.assert(
      fc.asyncProperty(way, server, async ({ says, ...stops }, { lagMs, repetitions, ...given }) => {
        const figures = { ...given, ...stops, prefillLagMs: lagMs, decodeLagMs: lagMs }
        const result = await probed(modelServer(figures), { repetitions })
        expect([says, undefined]).toContain(result.prefillStops)
        const advice = result.advice.join(' ')
        const notes = result.notes.join(' ')
        if (result.prefillStops === undefined) expect(notes).toMatch(/Whether a prefill can|Abort in prefill/)
        if (says !== 'never') expect(advice).not.toContain('cannot be stopped')
        // What is called cheap in decode frees the slot within what people notice, or three tokens.
        const isCheap = /abort is cheap in decode/.test(advice)
        if (isCheap) expect(lagMs).toBeLessThanOrEqual(Math.max(50, 3 * given.decodeMs) + 0.1)
        if (/abort is cheap there too/.test(advice)) expect(lagMs).toBeLessThanOrEqual(50.1)
      }),
      { numRuns: PROBES },
    )
  })
})

describe('what probeNode calls cheap', () => {
  it('is not a lag of 50 ms that a preparation of 100 ms hides', async () => {
    const result = await probedModel({ preparationMs: 100, decodeLagMs: 50, prefillLagMs: 50, batchTokens: 1 })
    expect(result.slotFreeAfterAbortMs.decode).toEqual({ p50: 0, p95: 0, n: 5 })
    const advice = result.advice.join(' ')
    expect(advice).not.toContain('cheap')
    expect(advice).toMatch(
      /costs a call that is sent in that moment nothing that can be seen\. Up to 100 ms more are hidden/,
    )
  })

  it('is a lag that is short even with all that a short preparation may hide', async () => {
    const { advice } = await probedModel({ preparationMs: 30, decodeLagMs: 20 })
    expect(advice.join(' ')).toContain('abort is cheap in decode')
  })

  it('is nothing where the preparation is not known and the first token is late', async () => {
    const { advice, notes } = await probedModel({ preparationMs: 200, decodeLagMs: 50, reports: false })
    expect(advice.join(' ')).not.toContain('cheap')
    expect(notes.join(' ')).toContain('within up to')
  })

  it('is what the server itself says of its slots, whatever a call needs before one', async () => {
    const { advice } = await probedModel({ preparationMs: 200, decodeLagMs: 20, witness: true })
    expect(advice.join(' ')).toContain('abort is cheap in decode')
  })
})

it('an overlap is said to hide the preparation only where calls run at once', async () => {
  expect((await probedModel({ preparationMs: 100, slots: 2 })).advice.join(' ')).toContain('overlap hides it')
  expect((await probedModel({ preparationMs: 100, slots: 1 })).advice.join(' ')).not.toContain('overlap hides it')
})

describe('probeNode leaves out what it did not see', () => {
  it('speed of prefill, where nothing is reported; the lags are seen all the same', async () => {
    const result = await probedModel({ reports: false, decodeLagMs: 100 })
    expect(result.tokensPerSecond).toEqual({ decode: 100 })
    expect(result).not.toHaveProperty('warmPreparationMs')
    expect(result).not.toHaveProperty('longPrompt.tokens')
    expect(result).not.toHaveProperty('prefillStops')
    expect(result.slotFreeAfterAbortMs.decode?.p50).toBeGreaterThanOrEqual(100)
  })

  it('whether a prefill stops, where the window has no room for two batches', async () => {
    const result = await probedModel({ contextTokens: 600 })
    expect(result.longPrompt?.tokens).toBeLessThan(600)
    expect(result.longPrompt?.tokens).toBeGreaterThan(400)
    expect(result).not.toHaveProperty('prefillStops')
    expect(result.notes.join(' ')).toContain('may be a single batch')
  })

  it('lags, where slots are never all busy', async () => {
    const result = await probed(scriptedBackend({ tokens: Array(64).fill('x'), firstTokenMs: 50, tokenMs: 10 }))
    expect(result).toMatchObject({
      slots: 4,
      moreSlots: true,
      slotFreeAfterAbortMs: {},
      tokensPerSecond: { decode: 100 },
    })
    expect(result.notes.join(' ')).toContain('more slots than a probe can')
    expect(result.advice.join(' ')).toContain('At least 4 calls at once')
  })

  it.each([
    [{ loadMs: 0 }, 'cannot unload a model'],
    [{ loadMs: 15 }, 'is loaded too fast'],
  ])('an abort in load: %o', async (given, note) => {
    const result = await probedModel(given)
    expect(result.slotFreeAfterAbortMs).not.toHaveProperty('load')
    expect(result).not.toHaveProperty('coldFirstTokenMs')
    expect(result.notes.join(' ')).toContain(note)
  })

  it('an abort in load, where only the first load was slow enough to be caught', async () => {
    const result = await probedModel({ loadMs: (nth) => (nth < 3 ? 400 : 40) })
    expect(result.slotFreeAfterAbortMs).not.toHaveProperty('load')
    expect(result).not.toHaveProperty('abortedLoad')
    expect(result).not.toHaveProperty('coldFirstTokenMs')
  })

  it('that a call after an abort was slower, where it was faster; and says so', async () => {
    // Each call is faster than the one before.
    const script = (prompt: CallRequest) => 1_000 - Number(prompt.callId.split('.')[1])
    const result = await probed(modelServer({ preparationMs: script }))
    expect(result.slotFreeAfterAbortMs.decode).toMatchObject({ p50: 0 })
    expect(result.notes.join(' ')).toMatch(/\d+ of \d+ calls after an abort were faster/)
  })
})

describe('probeNode ends', () => {
  it('with a typed error where an abort wedges the server, and keeps what it had measured', async () => {
    const result = await probedModel({ wedgesAtAbort: 12, slots: 1 })
    expect(result).toMatchObject({
      stopped: 'fault',
      error: { code: 'CAESURA_E_SERVER_WEDGED' },
      slots: 1,
      prefillStops: 'never',
    })
    expect(result.slotFreeAfterAbortMs.prefill?.n).toBe(5)
    expect(result.advice[0]).toContain('wedge')
  })

  it('with every figure where unloading the model brings a lost slot back', async () => {
    const server = modelServer({ wedgesAtAbort: 12, loadMs: 200 })
    const result = await probed(server)
    expect(result).toMatchObject({ wedges: 1, slotFreeAfterAbortMs: { decode: { n: 5 }, load: { n: 5 } } })
    expect(result.error).toBeUndefined()
    expect(result.advice[0]).toMatch(/wedge this server \(seen 1×; unloading the model ended it\)/)
    expect(server.busy).toBe(0)
  })

  it('with the model loaded again, when it is told to in the middle of a load', async () => {
    const controller = new AbortController()
    const server = modelServer({ loadMs: 500 })
    const { unload } = server
    server.unload = async (model, signal) => {
      await unload?.(model, signal)
      if (server.unloads === 3) controller.abort()
    }
    const result = await probed(server, { signal: controller.signal })
    expect(result).toMatchObject({ stopped: 'cancelled', slotFreeAfterAbortMs: { load: { n: 1 } } })
    expect(server.unloads).toBe(3)
    expect(server.isLoaded).toBe(true)
  })

  it('with notes where it could neither unload the model nor load it again', async () => {
    const server = modelServer({ loadMs: 500 })
    server.unload = () => Promise.reject(new CaesuraError('CAESURA_E_CONNECTION', 'gone'))
    server.load = () => Promise.reject(new CaesuraError('CAESURA_E_REFUSED', 'gone for good'))
    const result = await probed(server)
    expect(result.stopped).toBeUndefined()
    expect(result.notes.at(-2)).toContain('Abort in load: not measured; the model could not be unloaded: gone')
    expect(result.notes.at(-1)).toContain('could not be loaded again: gone for good')
  })

  it('with the wedge where it could not be ended', async () => {
    const server = modelServer({ wedgesAtAbort: 12, loadMs: 200 })
    server.unload = () => Promise.reject(new CaesuraError('CAESURA_E_CONNECTION', 'gone'))
    const result = await probed(server)
    expect(result).toMatchObject({ stopped: 'fault', error: { code: 'CAESURA_E_SERVER_WEDGED' } })
    expect(result).not.toHaveProperty('wedges')
  })

  it.each([{ loadMs: 4_000 }, { loadMs: 100, bytes: 2_000_000_000 }])(
    'without an unload where the rest of its budget may not be enough to load the model again: %o',
    async (given) => {
      const server = modelServer(given)
      const result = await probed(server, { budgetMs: 15_000 })
      expect(result.slotFreeAfterAbortMs).not.toHaveProperty('load')
      expect(server.unloads).toBe(0)
      expect(result.durationMs).toBeLessThanOrEqual(15_000)
    },
  )

  it('within its budget, with fewer repetitions', async () => {
    const result = await probedModel({ prefillMsPerToken: 20, decodeMs: 50 }, { budgetMs: 60_000 })
    expect(result.durationMs).toBeLessThanOrEqual(60_000)
    expect(result.slotFreeAfterAbortMs.decode?.n).toBeGreaterThan(0)
    expect(result.slotFreeAfterAbortMs.prefill?.n).toBeGreaterThan(0)
  })

  it('at its budget in the middle of a call, with what it had', async () => {
    const result = await probedModel({ prefillMsPerToken: 30 }, { budgetMs: 2_000 })
    expect(result).toMatchObject({ stopped: 'budget', durationMs: 2_000 })
    expect(result.firstTokenMs?.n).toBeGreaterThan(0)
  })

  it('with CAESURA_E_TIMEOUT_LOAD where no call is answered within the budget', async () => {
    await expect(probedModel({ preparationMs: 90_000 }, { budgetMs: 5_000 })).rejects.toMatchObject({
      code: 'CAESURA_E_TIMEOUT_LOAD',
    })
  })

  it('when it is told to, at once and with what it had; nothing runs on', async () => {
    const controller = new AbortController()
    const server = modelServer({})
    const result = await probed(server, {
      signal: controller.signal,
      tell: (what) => what === 'prefill' && controller.abort(),
    })
    expect(result).toMatchObject({ stopped: 'cancelled', slots: 1, slotFreeAfterAbortMs: {} })
    expect(result).not.toHaveProperty('prefixReuse')
  })

  it('with the fault of the first call', async () => {
    const fail = { code: 'CAESURA_E_NO_MODEL', message: 'no such model', afterTokens: 0 } as const
    await expect(probed(scriptedBackend({ tokens: ['x'], fail }))).rejects.toMatchObject({ code: 'CAESURA_E_NO_MODEL' })
  })
})

describe('priorsOf', () => {
  it('gives the medians, and nothing that was not measured', async () => {
    const result = await probedModel({ decodeMs: 20, decodeLagMs: 100, batchTokens: 128 })
    const { firstTokenMs, slotFreeAfterAbortMs } = result
    expect(priorsOf(result)).toEqual({
      firstTokenMs: firstTokenMs?.p50,
      msPerToken: 20,
      abortLagMs: { prefill: slotFreeAfterAbortMs.prefill?.p50, decode: slotFreeAfterAbortMs.decode?.p50 },
    })
    const { firstTokenMs: _, ...rest } = { ...result, tokensPerSecond: {}, slotFreeAfterAbortMs: {} }
    expect(priorsOf(rest)).toEqual({ abortLagMs: {} })
  })
})
