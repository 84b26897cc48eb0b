import { describe, expect, it } from 'vitest'
import { msToNs } from '../../src/core/clock.ts'
import { recordSchema } from '../../src/core/record.ts'
import { draftText, refineText, scriptedRun, twoStages } from '../fixtures/scripted-run.ts'

describe('a run without an interrupt', () => {
  it('passes the whole output of the first stage on, and records no interrupt', async () => {
    const { finish, prompts, events } = scriptedRun(twoStages())
    const record = await finish()
    expect(recordSchema.parse(record)).toEqual(record)
    expect(record).toMatchObject({ outcome: 'completed', output: refineText, interrupts: [] })
    expect(record.stages.map(({ id, settlement }) => [id, settlement])).toEqual([
      ['draft', 'completed'],
      ['refine', 'completed'],
    ])
    expect(prompts.get('refine.1')).toBe(`Draft: ${draftText}|Change: |Own: `)
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(events.at(0)?.type).toBe('run-start')
    expect(events.at(-1)?.type).toBe('run-end')
  })
})

describe('an interrupt', () => {
  it('aborts the call, waits until it has settled, and goes on with what is carried', async () => {
    const pipeline = twoStages({ trigger: { tokens: 8 }, response: 'abort', carry: 'sentences' })
    const script = scriptedRun(pipeline, {
      script: (r) =>
        r.stage === 'draft'
          ? { tokens: draftText.split(/(?= )/), firstTokenMs: 50, tokenMs: 10, abortMs: 7 }
          : { tokens: ['Hi'], firstTokenMs: 30 },
    })
    const record = await script.finish()
    expect(record.stages.map(({ settlement }) => settlement)).toEqual(['aborted', 'completed'])
    expect(script.prompts.get('refine.1')).toBe('Draft: Fill it with water and vinegar.|Change: |Own: ')
    const [interrupt] = record.interrupts
    expect(interrupt).toMatchObject({
      at: 120,
      from: 'draft',
      to: 'refine',
      trigger: 'tokens',
      decision: 'abort',
      toFirstTokenMs: 37,
    })
    expect(interrupt!.phases).toEqual([
      { name: 'settle', ms: 7, source: 'observed' },
      { name: 'prefill', ms: 30, source: 'observed' },
    ])
    expect(record.stages[0]!.tokens).toEqual({ generated: 8, delivered: 8, wasted: 2, counted: 'server' })
    expect(record.stages[0]).toMatchObject({ slotMs: 127, wastedSlotMs: 27 })
  })

  it('drains: the call ends by itself, nothing is wasted', async () => {
    const { finish } = scriptedRun(twoStages({ trigger: { tokens: 8 }, response: 'drain' }))
    const record = await finish()
    expect(record.stages[0]).toMatchObject({ settlement: 'drained', tokens: { generated: 12, wasted: 0 } })
    expect(record.interrupts[0]!.phases.map(({ name }) => name)).toEqual(['drain', 'prefill'])
    expect(record.cost.wastedTokens).toBe(0)
  })

  it('overlaps: the next call starts at the interrupt itself', async () => {
    const { finish } = scriptedRun(twoStages({ trigger: { tokens: 8 }, response: 'overlap', carry: 'all' }), {
      script: (r) => ({
        tokens: r.stage === 'draft' ? Array(20).fill('a ') : ['b'],
        tokenMs: 10,
        firstTokenMs: 20,
        abortMs: 500,
      }),
    })
    const record = await finish()
    expect(record.stages.map(({ id, startMs, settlement }) => [id, startMs, settlement])).toEqual([
      ['draft', 0, 'aborted'],
      ['refine', 90, 'completed'],
    ])
    expect(record.interrupts[0]).toMatchObject({ toFirstTokenMs: 20 })
    expect(record.durationMs).toBe(590)
  })

  it('reaches a call that waits for a slot, which is then never sent', async () => {
    const { finish, prompts, run, clock } = scriptedRun(twoStages({ response: 'abort' }), {
      slots: 1,
      script: { tokens: ['x'], firstTokenMs: 1000 },
    })
    await clock.advance(msToNs(10))
    const answer = run.interrupt({ input: 'now' })
    const record = await finish()
    expect(await answer).toMatchObject({ accepted: true, decision: 'abort' })
    expect(record.stages[0]).toMatchObject({
      settlement: 'aborted',
      tokens: { generated: 0, wasted: 0 },
      wastedSlotMs: 10,
    })
    expect(prompts.get('refine.1')).toBe('Draft: |Change: now|Own: ')
  })

  it('in the last stage runs it again when it brings input, else ends the run', async () => {
    const again = scriptedRun(twoStages(), { signals: [{ stage: 'refine', afterTokens: 2, input: 'shorter' }] })
    const record = await again.finish()
    expect(record.stages.map(({ callId, settlement }) => [callId, settlement])).toEqual([
      ['draft.1', 'completed'],
      ['refine.1', 'aborted'],
      ['refine.2', 'completed'],
    ])
    expect(again.prompts.get('refine.2')).toContain('Change: shorter|Own: Without vinegar,')
    const end = await scriptedRun(twoStages(), { signals: [{ stage: 'refine', afterTokens: 2 }] }).finish()
    expect(end).toMatchObject({ outcome: 'completed', output: 'Without vinegar,' })
  })

  it('is superseded by a newer signal while the old call settles: the newest input wins', async () => {
    const { finish, prompts, run, clock } = scriptedRun(twoStages({ response: 'abort' }), {
      script: (r) =>
        r.stage === 'draft'
          ? { tokens: Array(50).fill('w '), tokenMs: 10, firstTokenMs: 10, abortMs: 100 }
          : { tokens: ['b'], firstTokenMs: 5 },
    })
    await clock.advance(msToNs(55))
    const first = run.interrupt({ input: 'one' })
    await clock.advance(msToNs(40))
    const second = run.interrupt({ input: 'two' })
    const record = await finish()
    expect([await first, await second]).toMatchObject([{ accepted: true }, { accepted: true, superseded: false }])
    expect(prompts.get('refine.1')).toContain('Change: two')
    expect(
      record.interrupts.map(({ input, superseded, toFirstTokenMs }) => [input, superseded, toFirstTokenMs]),
    ).toEqual([
      ['one', true, undefined],
      ['two', false, 65],
    ])
    expect(record.stages).toHaveLength(2)
  })

  it('after the end of the run is refused', async () => {
    const { finish, run } = scriptedRun(twoStages())
    await finish()
    expect(await run.interrupt({ input: 'late' })).toEqual({
      accepted: false,
      code: 'CAESURA_E_RUN_ENDED',
      reason: 'the run has ended',
    })
  })
})

describe('cancelling a run', () => {
  it('settles the call, then ends the run; later signals are refused', async () => {
    const { finish, run, clock } = scriptedRun(twoStages(), {
      script: { tokens: Array(50).fill('w '), tokenMs: 10, firstTokenMs: 10, abortMs: 30 },
    })
    await clock.advance(msToNs(55))
    run.cancel('enough')
    const refused = run.interrupt({ input: 'late' })
    const record = await finish()
    expect(await refused).toMatchObject({ accepted: false, code: 'CAESURA_E_RUN_ENDED' })
    expect(record).toMatchObject({ outcome: 'cancelled', cancelReason: 'enough', durationMs: 85, output: 'w w w w w ' })
    expect(record.stages).toMatchObject([{ settlement: 'aborted', settledMs: 85, tokens: { generated: 5, wasted: 5 } }])
  })
})

describe('a stage that fails', () => {
  it('ends the run with its code, and keeps what had come', async () => {
    const record = await scriptedRun(twoStages(), {
      script: { tokens: ['a', 'b', 'c'], fail: { code: 'CAESURA_E_STREAM_CUT', message: 'cut', afterTokens: 2 } },
    }).finish()
    expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_STREAM_CUT' }, output: 'ab' })
    expect(record.stages).toMatchObject([{ settlement: 'failed', text: 'ab' }])
  })
})
