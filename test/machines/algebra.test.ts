import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CallScript } from '../../src/backends/scripted.ts'
import { definePipeline } from '../../src/compose.ts'
import { recordSchema } from '../../src/core/record.ts'
import { scriptedRun } from '../fixtures/scripted-run.ts'

const trigger = fc.oneof(
  fc.constantFrom<unknown>('signal', 'never', 'first-token'),
  fc.record({ after: fc.integer({ min: 0, max: 150 }) }),
  fc.record({ tokens: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ sentence: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ stall: fc.integer({ min: 0, max: 30 }) }),
  fc.record({ any: fc.constant([{ tokens: 4 }, { after: 60 }]) }),
  fc.record({
    tokens: fc.constant(5),
    debounce: fc.integer({ min: 0, max: 30 }),
    cooldown: fc.integer({ min: 0, max: 60 }),
  }),
  fc.record({ 'first-token': fc.constant(null), minimum: fc.constant({ words: 2 }) }),
)
const policy = fc.record({
  trigger,
  response: fc.oneof(
    fc.constantFrom<unknown>('drain', 'abort', 'overlap', 'race', 'boundary', 'hold', 'adaptive'),
    fc.record({ grace: fc.integer({ min: 0, max: 80 }) }),
    fc.record({
      hold: fc.record({ confirm: fc.integer({ min: 0, max: 80 }), otherwise: fc.constantFrom('resume', 'abort') }),
    }),
    fc.record({ boundary: fc.record({ cap: fc.integer({ min: 0, max: 80 }) }) }),
  ),
  carry: fc.constantFrom('none', 'all', 'sentences', 'delivered'),
  placement: fc.constantFrom('any', 'same'),
  limit: fc.constant(2),
  then: fc.constantFrom('next', 'again', 'end', 'a', 'c', undefined),
})
const script: fc.Arbitrary<CallScript> = fc.record(
  {
    tokens: fc.array(fc.constantFrom('one ', 'two. ', 'three ', '四。'), { maxLength: 8 }),
    firstTokenMs: fc.integer({ min: 0, max: 60 }),
    tokenMs: fc.integer({ min: 0, max: 20 }),
    abortMs: fc.integer({ min: 0, max: 40 }),
    endMs: fc.integer({ min: 0, max: 10 }),
  },
  { requiredKeys: ['tokens'] },
)
const scenario = fc.record({
  policies: fc.array(policy, { minLength: 3, maxLength: 3 }),
  scripts: fc.array(script, { minLength: 1, maxLength: 6 }),
  signals: fc.array(
    fc.oneof(
      fc.record({ afterMs: fc.integer({ min: 0, max: 300 }), input: fc.constantFrom('x', 'y') }),
      fc.record({ stage: fc.constantFrom('a', 'b', 'c'), afterTokens: fc.integer({ min: 1, max: 8 }) }),
    ),
    { maxLength: 4 },
  ),
  slots: fc.constantFrom(1, 2, 3),
  cancelAt: fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined, freq: 4 }),
  failing: fc.option(fc.nat(3), { nil: undefined, freq: 6 }),
})

/** Enough to find what is rare where time allows it; fewer at hand. */
const numRuns = process.env.CI === 'true' ? 20_000 : 1_500

describe('whatever the policies, the signals and their order', () => {
  it('every call settles once, tokens are neither lost nor doubled, costs add up, phases sum', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ policies, scripts, signals, slots, cancelAt, failing }) => {
        const pipeline = definePipeline({
          name: 'p',
          maxInterrupts: 6,
          stages: ['a', 'b', 'c'].map((id, index) => ({
            id,
            model: 'm',
            prompt: `${id} {{ interrupt.input }}`,
            policy: JSON.parse(JSON.stringify(policies[index])),
          })),
        })
        let calls = 0
        const cancelled = new AbortController()
        const { clock, run, events, finish } = scriptedRun(pipeline, {
          signals,
          slots,
          signal: cancelled.signal,
          script: () => {
            const index = calls++
            const base = scripts[index % scripts.length]!
            if (index !== failing) return base
            return { ...base, fail: { code: 'CAESURA_E_STREAM_CUT', message: 'cut', afterTokens: 2 } }
          },
        })
        const withdraw =
          cancelAt === undefined
            ? undefined
            : clock.schedule(cancelAt * 1e6, () => cancelled.abort(new Error('enough')))
        const record = await finish()
        withdraw?.()
        const late = await run.interrupt({ input: 'late' })

        expect(recordSchema.parse(record)).toEqual(record)
        expect(late).toMatchObject({ accepted: false, code: 'CAESURA_E_RUN_ENDED' })
        expect(clock.pending).toBe(0)
        expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
        expect(events.filter(({ type }) => type === 'run-end')).toHaveLength(1)
        expect(events.at(-1)!.type).toBe('run-end')
        for (const stage of record.stages) {
          const own = events.filter((event) => 'callId' in event && event.callId === stage.callId)
          expect(own.filter(({ type }) => type === 'stage-start')).toHaveLength(1)
          expect(own.filter(({ type }) => type === 'stage-settle')).toHaveLength(1)
          const told = own.flatMap((event) => (event.type === 'token' ? event.text : [])).join('')
          const holds = JSON.stringify(policies['abc'.indexOf(stage.id)]!.response).includes('hold')
          // What was held when the call was aborted is never told.
          expect(holds ? stage.text!.slice(0, told.length) : stage.text).toBe(told)
          expect(stage.tokens.delivered).toBeLessThanOrEqual(stage.tokens.generated)
          expect(stage.tokens.wasted).toBeLessThanOrEqual(stage.tokens.generated)
          expect(stage.wastedSlotMs).toBeLessThanOrEqual(stage.slotMs)
          if (stage.settlement === 'failed') expect(stage.error?.code).toBe('CAESURA_E_STREAM_CUT')
          if (
            !holds &&
            record.outcome === 'completed' &&
            (stage.settlement === 'completed' || stage.settlement === 'drained')
          ) {
            expect(stage.tokens.wasted).toBe(0)
          }
        }
        for (const interrupt of record.interrupts) {
          const sum = interrupt.phases.reduce((total, { ms }) => total + Math.round(ms * 1e6), 0)
          expect(sum).toBe(Math.round((interrupt.toFirstTokenMs ?? 0) * 1e6))
          const fired = events.filter((event) => event.type === 'stage-start' && event.callId === interrupt.toCall)
          expect(fired).toHaveLength(interrupt.toCall === undefined ? 0 : 1)
        }
        // Each call but the first is either the next stage of one that ended by itself, or fired by one interrupt.
        const fired = record.interrupts.flatMap(({ toCall }) => toCall ?? [])
        expect(new Set(fired).size).toBe(fired.length)
        expect(record.outcome === 'failed' || record.outcome === 'cancelled' || record.output !== undefined).toBe(true)
        if (record.outcome === 'cancelled') expect(record.cancelReason).toBe('enough')
      }),
      { numRuns },
    )
  }, 300_000)
})
