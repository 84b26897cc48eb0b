import { describe, expect, it } from 'vitest'
import type { PlannedSignal } from '../../src/core/engine.ts'
import type { CallScript } from '../../src/nodes/backends/scripted.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

/** The first stage speaks at 50, 60, 70 and 80 ms and ends; the second from 90 ms on. */
const script = (r: { stage: string }) => speak('one two three four', r.stage === 'a' ? {} : { firstTokenMs: 10 })
const interruptsOf = async (
  signals: PlannedSignal[],
  more: { calls?: (index: number) => CallScript; policy?: object; stage?: object } = {},
) => {
  const policy = { response: 'drain', then: 'next', ...more.policy }
  const pipeline = pipelineFrom({
    name: 'p',
    stages: [
      { id: 'a', model: 'm', prompt: 'x', policy, ...more.stage },
      { id: 'b', model: 'm', prompt: 'y', policy },
    ],
  })
  let calls = 0
  const { finish, clock } = scriptedRun(pipeline, {
    signals,
    script: more.calls === undefined ? script : () => more.calls!(calls++),
  })
  const record = await finish()
  expect(clock.pending).toBe(0)
  return record.interrupts.map(({ at, fromCall, trigger, input }) => [at, fromCall, trigger, input])
}

describe('a planned signal', () => {
  it.each<[string, PlannedSignal[], unknown[][]]>([
    ['counts from the run’s start', [{ afterMs: 95, input: 'x' }], [[95, 'b.1', 'signal', 'x']]],
    ['may bring no input', [{ afterMs: 65 }], [[65, 'a.1', 'signal', undefined]]],
    [
      'counts from the start of its stage’s call',
      [{ stage: 'b', afterMs: 15, input: 'x' }],
      [[95, 'b.1', 'signal', 'x']],
    ],
    ['counts the tokens of its stage', [{ stage: 'b', afterTokens: 2, input: 'x' }], [[100, 'b.1', 'signal', 'x']]],
    ['counts the tokens of all calls', [{ afterTokens: 6, input: 'x' }], [[100, 'b.1', 'signal', 'x']]],
    [
      'that is due at the last token of a call comes before its end',
      [{ afterTokens: 4 }],
      [[80, 'a.1', 'signal', undefined]],
    ],
    ['comes once', [{ afterTokens: 1 }], [[50, 'a.1', 'signal', undefined]]],
    ['never comes when its stage is over before', [{ stage: 'a', afterMs: 81 }], []],
    ['never comes when there are too few tokens', [{ stage: 'a', afterTokens: 5 }, { afterTokens: 9 }], []],
    [
      'may be one of several at one instant',
      [
        { stage: 'a', afterMs: 55, input: 'x' },
        { stage: 'a', afterMs: 55, input: 'y' },
        { stage: 'a', afterMs: 65 },
      ],
      [
        [55, 'a.1', 'signal', 'x'],
        [55, 'a.1', 'signal', 'y'],
        [65, 'a.1', 'signal', undefined],
      ],
    ],
  ])('%s', async (_, signals, interrupts) => expect(await interruptsOf(signals)).toEqual(interrupts))

  it('of a stage is for its first call, not for another attempt', async () => {
    const fail = { code: 'CAESURA_E_SERVER_BUSY' as const, message: 'busy', afterTokens: 0, retryable: true }
    const calls = (index: number) => (index === 0 ? { tokens: [], firstTokenMs: 5, fail } : speak('one two three'))
    const stage = { retry: { attempts: 2, pause: 0 } }
    const signals: PlannedSignal[] = [
      { stage: 'a', afterMs: 30 },
      { stage: 'a', afterTokens: 2 },
    ]
    expect(await interruptsOf(signals, { calls, stage })).toEqual([])
    expect(await interruptsOf([{ afterTokens: 2 }], { calls, stage })).toEqual([[65, 'a.2', 'signal', undefined]])
  })
})

describe('a trigger', () => {
  const text = ['One. ', 'Two. ', 'Three. ', 'Four']
  const trigger = async (policy: object) =>
    (await interruptsOf([], { policy, calls: () => ({ tokens: text, firstTokenMs: 50, tokenMs: 10 }) })).filter(
      ([, from]) => from === 'a.1',
    )
  it('sentence: fires when the sentence after the N-th begins', async () => {
    expect(await trigger({ trigger: { sentence: 2 } })).toEqual([[70, 'a.1', 'sentence', undefined]])
  })
  it('stall: fires when no token came for so long, and not before', async () => {
    expect(await trigger({ trigger: { stall: 51 } })).toEqual([])
    expect(await trigger({ trigger: { stall: 49 } })).toEqual([[49, 'a.1', 'stall', undefined]])
    expect(await trigger({ trigger: { any: [{ stall: 60 }, { after: 75 }] } })).toEqual([
      [75, 'a.1', 'after', undefined],
    ])
  })
  it('fires at most once, also when its interrupt was a false one', async () => {
    const policy = { trigger: { tokens: 1 }, response: { hold: { confirm: 5 } } }
    expect(await trigger(policy)).toEqual([[50, 'a.1', 'tokens', undefined]])
  })
})
