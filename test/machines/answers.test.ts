import { describe, expect, it } from 'vitest'
import { msToNs } from '../../src/core/clock.ts'
import type { Node } from '../../src/core/ports.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { scriptedRun, speak, twoStages } from '../fixtures/scripted-run.ts'

const ended = { accepted: false, code: 'CAESURA_E_RUN_ENDED', reason: 'the run has ended' }
const long = { tokens: Array(30).fill('w '), firstTokenMs: 50, tokenMs: 10, abortMs: 20 }

describe('who sent a signal is answered', () => {
  it('with what was decided, or that a newer signal took its place before', async () => {
    const { run, clock, finish } = scriptedRun(twoStages({ response: { hold: { confirm: 100 } } }), { script: long })
    await clock.advance(msToNs(75))
    const first = run.interrupt({ input: 'x' })
    await clock.advance(msToNs(10))
    const second = run.interrupt({ input: 'y' })
    await finish()
    expect(await first).toEqual({
      accepted: true,
      decision: 'superseded',
      reason: 'a newer signal took its place',
      superseded: true,
    })
    expect(await second).toEqual({
      accepted: true,
      decision: 'abort',
      reason: 'a second signal confirmed the interrupt',
      superseded: false,
    })
  })

  it('that the run has ended, when it ends before anything is decided', async () => {
    const { run, clock, finish } = scriptedRun(twoStages({ response: { hold: { confirm: 100 } } }), { script: long })
    await clock.advance(msToNs(75))
    const held = run.interrupt({ input: 'x' })
    run.cancel()
    // At once, though the call takes a while to stop.
    expect(await run.interrupt()).toEqual(ended)
    const record = await finish()
    expect(record).toMatchObject({ outcome: 'cancelled', cancelReason: 'cancelled' })
    expect([await held, await run.interrupt()]).toEqual([ended, ended])
  })

  it('that its debounce was cut short by the end of the run', async () => {
    const pipeline = twoStages({ trigger: { signal: null, debounce: 100 } })
    const { run, clock, finish } = scriptedRun(pipeline, { script: long })
    await clock.advance(msToNs(75))
    const waiting = run.interrupt({ input: 'x' })
    await clock.advance(msToNs(10))
    run.cancel('enough')
    await finish()
    expect(await waiting).toEqual(ended)
    expect(clock.pending).toBe(0)
  })

  it('after its debounce, or that a newer one came within it', async () => {
    const pipeline = twoStages({ trigger: { signal: null, debounce: 20 } })
    const { run, clock, finish } = scriptedRun(pipeline, { script: long })
    await clock.advance(msToNs(75))
    const first = run.interrupt({ input: 'x' })
    await clock.advance(msToNs(10))
    const second = run.interrupt({ input: 'y' })
    const record = await finish()
    expect(await first).toEqual({ accepted: false, reason: 'a newer signal came within the debounce of 20 ms' })
    expect(await second).toMatchObject({ accepted: true, decision: 'abort' })
    expect(record.interrupts.map(({ at }) => at)).toEqual([75, 105])
  })

  it('that there have been too many; what was refused does not count', async () => {
    const policy = { trigger: { signal: null, minimum: { words: 1 } }, response: 'abort', then: 'again', limit: 9 }
    const pipeline = pipelineFrom({
      name: 'p',
      maxInterrupts: 1,
      stages: [{ id: 'a', model: 'm', prompt: 'x', policy }],
    })
    const { run, clock, finish } = scriptedRun(pipeline, { script: long })
    await clock.advance(msToNs(10))
    expect(await run.interrupt({})).toMatchObject({ accepted: false })
    expect(await run.interrupt({ input: 'one' })).toMatchObject({ accepted: true })
    await clock.advance(msToNs(100))
    expect(await run.interrupt({ input: 'two' })).toEqual({
      accepted: false,
      reason: 'the run has answered 1 interrupts already',
    })
    expect(await finish()).toMatchObject({
      outcome: 'failed',
      error: {
        code: 'CAESURA_E_TOO_MANY_INTERRUPTS',
        message: 'the run was interrupted more than 1 times (maxInterrupts)',
      },
    })
  })
})

describe('the input of a signal', () => {
  const policy = { response: { grace: 30 }, then: 'again', limit: 9 }
  const inputs = async (...signals: { afterMs: number; input?: string }[]) => {
    const pipeline = pipelineFrom({
      name: 'p',
      stages: [{ id: 'a', model: 'm', prompt: 'x {{ interrupt.input }}', policy }],
    })
    const { finish, prompts } = scriptedRun(pipeline, { signals, script: { ...long, abortMs: 0 } })
    await finish()
    return [...prompts.values()]
  }
  it('stands when a newer signal without one takes the place of the older', async () => {
    expect(await inputs({ afterMs: 75, input: 'first' }, { afterMs: 85 })).toEqual(['x ', 'x first'])
    expect(await inputs({ afterMs: 75, input: 'first' }, { afterMs: 85, input: 'newer' })).toEqual(['x ', 'x newer'])
    expect(await inputs({ afterMs: 75 }, { afterMs: 85 })).toEqual(['x ', 'x '])
  })
  it('is not that of a later interrupt without one', async () => {
    expect(await inputs({ afterMs: 75, input: 'first' }, { afterMs: 200 })).toEqual(['x ', 'x first', 'x '])
  })
})

describe('the filters of a policy', () => {
  const interrupts = async (trigger: object, ...times: number[]) => {
    const signals = times.map((afterMs) => ({ afterMs, input: `${afterMs}` }))
    const pipeline = twoStages({
      trigger: { signal: null, ...trigger },
      response: { grace: 50 },
      then: 'again',
      limit: 9,
    })
    const record = await scriptedRun(pipeline, { signals, script: { ...long, abortMs: 0 } }).finish()
    return record.interrupts.map(({ at, superseded, suppressed = false }) => ({ at, superseded, suppressed }))
  }
  it('cooldown does not refuse a newer signal while an interrupt is handled', async () => {
    expect(await interrupts({ cooldown: 90 }, 75, 95, 150)).toEqual([
      { at: 75, superseded: true, suppressed: false },
      { at: 95, superseded: false, suppressed: false },
      { at: 150, superseded: false, suppressed: true },
    ])
  })
  it('debounce: each signal that no newer one follows in time interrupts', async () => {
    expect(await interrupts({ debounce: 10 }, 65, 140)).toEqual([
      { at: 75, superseded: false, suppressed: false },
      { at: 150, superseded: false, suppressed: false },
    ])
  })
})

describe('a limit', () => {
  it('counts the interrupts of its own boundary', async () => {
    const policy = { trigger: { tokens: 1 }, response: 'abort' }
    const pipeline = pipelineFrom({
      name: 'p',
      stages: [
        { id: 'a', model: 'm', prompt: 'x', policy: { ...policy, then: 'again', limit: 1 } },
        { id: 'b', model: 'm', prompt: 'x', policy: { ...policy, then: 'again', limit: 2 } },
        { id: 'c', model: 'm', prompt: 'x' },
      ],
    })
    const record = await scriptedRun(pipeline, { script: speak('one two') }).finish()
    expect(record.stages.map(({ callId }) => callId)).toEqual(['a.1', 'a.2', 'b.1', 'b.2', 'b.3', 'c.1'])
  })
})

describe('a call that is stopped is told why', () => {
  const reasonsOf = async (policy: object, act?: 'cancel' | 'signal', tokens = long.tokens) => {
    const reasons: string[] = []
    const scripted = scriptedBackend(({ stage }) =>
      stage === 'draft' ? { ...long, tokens } : { ...long, firstTokenMs: 12 },
    )
    const backend: Node['backend'] = {
      ...scripted,
      generate: (request, context) => {
        context.signal.addEventListener('abort', () => {
          reasons.push(`${request.callId}: ${(context.signal.reason as Error).message}`)
        })
        return scripted.generate(request, context)
      },
    }
    const cancelled = new AbortController()
    const { run, clock, finish } = scriptedRun(twoStages(policy), {
      settings: { nodes: [{ name: 'n', backend, slots: 2, pool: 'default' }] },
      signals: [{ afterMs: 75, input: 'x' }],
      signal: cancelled.signal,
    })
    await clock.advance(msToNs(76))
    if (act === 'cancel') run.cancel('enough')
    if (act === 'signal') cancelled.abort('no more')
    await finish()
    return reasons
  }
  it.each<[object, 'cancel' | 'signal' | undefined, string[]]>([
    [{ response: 'abort' }, undefined, ['draft.1: interrupted by signal']],
    [
      { trigger: { tokens: 1 }, response: 'abort' },
      undefined,
      ['draft.1: interrupted by tokens', 'refine.1: interrupted by signal'],
    ],
    [{ response: 'race' }, undefined, ['draft.1: interrupted by signal']],
    [{ response: 'race' }, 'cancel', ['draft.1: enough', 'refine.1: enough']],
    [{ response: 'race' }, 'signal', ['draft.1: no more', 'refine.1: no more']],
    [{ response: 'overlap', then: 'end' }, undefined, ['draft.1: interrupted by signal']],
    [{ response: 'race', then: 'end' }, undefined, ['draft.1: the run is ending']],
  ])('%j, %s', async (policy, act, reasons) => expect(await reasonsOf(policy, act)).toEqual(reasons))
  it('race, lost by the next call', async () => {
    expect(await reasonsOf({ response: 'race' }, undefined, ['w', 'w', 'w', 'w'])).toEqual([
      'refine.1: its answer is not wanted any more',
    ])
  })
})

describe('the signal that cancels a run', () => {
  it('cancels it at once when it was aborted before', async () => {
    const { finish } = scriptedRun(twoStages(), { signal: AbortSignal.abort(new Error('too late')) })
    expect(await finish()).toMatchObject({ outcome: 'cancelled', cancelReason: 'too late', durationMs: 0 })
  })
})
