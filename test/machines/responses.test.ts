import { describe, expect, it } from 'vitest'
import type { PlannedSignal } from '../../src/core/engine.ts'
import { scriptedRun, speak, twoStages } from '../fixtures/scripted-run.ts'

/** Ten words, one each 10 ms from 50 ms on: the draft ends by itself at 140 ms. */
const ten = 'one two three four five six seven eight nine ten.'
const at = (...signals: [number, string?][]): PlannedSignal[] =>
  signals.map(([afterMs, input]) => ({ afterMs, ...(input !== undefined && { input }) }))

async function run(policy: object, signals: PlannedSignal[], refine = speak('done now', { firstTokenMs: 60 })) {
  const started = scriptedRun(twoStages(policy), {
    signals,
    slots: 3,
    script: (r) => (r.stage === 'draft' ? speak(ten) : refine),
  })
  const record = await started.finish()
  return {
    record,
    prompts: started.prompts,
    calls: record.stages.map(({ callId, settlement, startMs }) => [callId, settlement, startMs]),
    decisions: record.interrupts.map(({ decision }) => decision),
    told: started.events
      .flatMap((event) => (event.type === 'token' && event.stage === 'draft' ? event.text : []))
      .join(''),
  }
}

describe('race', () => {
  it('withdraws the old call at the first token of the next one', async () => {
    const { calls, record } = await run({ response: 'race' }, at([60, 'x']))
    expect(calls).toEqual([
      ['draft.1', 'withdrawn', 0],
      ['refine.1', 'completed', 60],
    ])
    expect(record.interrupts).toMatchObject([{ toFirstTokenMs: 60, phases: [{ name: 'prefill', ms: 60 }] }])
  })

  it('makes the next call again with the whole output when the old call ends first', async () => {
    const { calls, prompts, record } = await run({ response: 'race' }, at([100, 'x']))
    expect(calls).toEqual([
      ['draft.1', 'drained', 0],
      ['refine.1', 'withdrawn', 100],
      ['refine.2', 'completed', 140],
    ])
    expect(prompts.get('refine.1')).toContain('Draft: one two three four five|')
    expect(prompts.get('refine.2')).toContain(`Draft: ${ten}|Change: x`)
    expect(record.interrupts).toMatchObject([{ toCall: 'refine.2', toFirstTokenMs: 100 }])
    expect(record.stages[0]!.tokens.wasted).toBe(0)
  })

  it('goes on with a next call that did not depend on the output', async () => {
    const { calls } = await run({ response: 'race', carry: 'none' }, at([100, 'x']))
    expect(calls).toEqual([
      ['draft.1', 'drained', 0],
      ['refine.1', 'completed', 100],
    ])
  })
})

describe('hold', () => {
  const hold = { response: { hold: { confirm: 50 } }, carry: 'delivered' }

  it('lets a false interrupt cost nothing: all is told, no call is made, and the draft passes as if nothing had been', async () => {
    const { calls, decisions, told, record } = await run(hold, at([75]))
    expect(calls).toEqual([
      ['draft.1', 'completed', 0],
      ['refine.1', 'completed', 140],
    ])
    expect([decisions, told, record.cost.wastedTokens]).toEqual([['resume'], ten, 0])
  })

  it('aborts when a second signal confirms; what was held is never told, and not carried as delivered', async () => {
    const { calls, told, prompts, record } = await run(hold, at([75], [105, 'x']))
    expect(calls.map(([, settlement]) => settlement)).toEqual(['aborted', 'completed'])
    expect(told).toBe('one two three')
    expect(prompts.get('refine.1')).toContain('Draft: one two three|Change: x')
    expect(record.interrupts).toMatchObject([
      { superseded: true },
      { superseded: false, decision: 'abort', input: 'x' },
    ])
  })

  it('waits for the confirmation even when the call ends meanwhile, and releases all of it without one', async () => {
    const { calls, told, decisions } = await run(hold, at([125]))
    expect(calls).toEqual([
      ['draft.1', 'drained', 0],
      ['refine.1', 'completed', 175],
    ])
    expect([told, decisions]).toEqual([ten, ['resume']])
  })

  it('aborts at the end of confirm with otherwise: abort', async () => {
    const { calls, decisions } = await run({ response: { hold: { confirm: 30, otherwise: 'abort' } } }, at([75, 'x']))
    expect(calls).toEqual([
      ['draft.1', 'aborted', 0],
      ['refine.1', 'completed', 105],
    ])
    expect(decisions).toEqual(['abort'])
  })
})

describe('grace and boundary', () => {
  it('grace wastes nothing when the call ends in time', async () => {
    const { calls } = await run({ response: { grace: 100 } }, at([75, 'x']))
    expect(calls).toEqual([
      ['draft.1', 'drained', 0],
      ['refine.1', 'completed', 140],
    ])
  })

  it('boundary cancels at its cap, and at once between two sentences', async () => {
    const capped = await run({ response: { boundary: { cap: 30 } } }, at([75, 'x']))
    expect(capped.calls[1]).toEqual(['refine.1', 'completed', 105])
    const between = await run({ response: 'boundary' }, at([20, 'x']))
    expect(between.calls[1]).toEqual(['refine.1', 'completed', 20])
  })
})

describe('adaptive', () => {
  it('decides by what its engine has observed, and says both figures', async () => {
    // The priors expect 128 tokens of 15 ms: far more than a cancel costs.
    const first = await run({ response: 'adaptive', carry: 'none' }, at([75, 'x']))
    expect(first.decisions).toEqual(['abort'])
    expect(first.record.interrupts[0]!.reason).toMatch(
      /^expected rest \d+ ms, expected cost of cancelling 105 ms \(30 ms abort lag \+ 75 ms wasted × 1\); no longer answer observed/,
    )
    const dear = await run({ response: { adaptive: { slotPrice: 100 } }, carry: 'none' }, at([75, 'x']))
    expect(dear.decisions).toEqual(['drain'])
  })
})
