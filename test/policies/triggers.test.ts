import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import { msToNs } from '../../src/core/clock.ts'
import type { CallEvent, TriggerDefinition } from '../../src/core/policy.ts'
import { anyOf } from '../../src/policies/triggers/any.ts'

const started: CallEvent = { type: 'started', at: 0 }
const token = (count: number, ms = count): CallEvent => ({ type: 'token', at: msToNs(ms), count, text: 'x' })
const sentenceEnd = (count: number): CallEvent => ({ type: 'sentence-end', at: msToNs(count), count })
const thought = (ms: number): CallEvent => ({ type: 'thinking', at: msToNs(ms) })
const toolCall = (ms: number): CallEvent => ({ type: 'tool-call', at: msToNs(ms) })
const wake = (ms: number): CallEvent => ({ type: 'wake', at: msToNs(ms) })

/** What a trigger answers to each event, until it fires. */
function play(name: string, parameter: unknown, events: CallEvent[]) {
  const trigger = catalogue.triggers.find((candidate) => candidate.name === name)!
  let state = trigger.initial(parameter)
  const answers: (string | number | null)[] = []
  for (const event of events) {
    const step = trigger.step(JSON.parse(JSON.stringify(state)), event, parameter)
    state = step.state
    answers.push(step.interrupt ?? step.wakeAt ?? null)
    if (step.interrupt !== undefined) break
  }
  return answers
}

describe('triggers', () => {
  it.each([
    ['signal', undefined, [started, token(1), wake(9)], [null, null, null]],
    ['never', undefined, [started, token(1), wake(9)], [null, null, null]],
    ['first-token', undefined, [started, wake(1), token(1)], [null, null, 'first-token']],
    ['tokens', 3, [started, token(1), token(2), token(3)], [null, null, null, 'tokens']],
    ['after', 50, [started, token(1), wake(49), wake(50)], [msToNs(50), null, null, 'after']],
    ['after', 50, [started, token(1), token(2, 60)], [msToNs(50), null, 'after']],
    ['after', 0, [started, wake(0)], [0, 'after']],
    // Before the call has started there is nothing to count from.
    ['after', 50, [wake(60), started], [null, msToNs(50)]],
    ['tokens', 2, [started, sentenceEnd(2), token(2)], [null, null, 'tokens']],
    ['sentence', 2, [started, token(2), sentenceEnd(1), sentenceEnd(2)], [null, null, null, 'sentence']],
    ['sentence', 2, [sentenceEnd(3)], ['sentence']],
    ['stall', 20, [started, wake(19), wake(20)], [msToNs(20), null, 'stall']],
    // Each token puts it off, whatever was due.
    [
      'stall',
      20,
      [started, token(1, 30), sentenceEnd(1), wake(49), wake(50)],
      [msToNs(20), msToNs(50), null, null, 'stall'],
    ],
    ['stall', 20, [wake(60), token(1, 70)], [null, msToNs(90)]],
    ['stall', 20, [started, toolCall(15), wake(20), wake(35)], [msToNs(20), msToNs(35), null, 'stall']],
    // From the first piece of thinking, however many follow.
    ['thinking', 20, [started, thought(30), thought(45), wake(50)], [null, msToNs(50), null, 'thinking']],
    ['thinking', 20, [started, thought(30), thought(60)], [null, msToNs(50), 'thinking']],
    ['thinking', 20, [started, wake(90), token(1, 95), thought(96), wake(200)], [null, null, null, null, null]],
    // Text or a tool call ends it, also where the model thinks again; but not when it came too late.
    ['thinking', 20, [started, thought(30), token(1, 49), wake(50)], [null, msToNs(50), null, null]],
    ['thinking', 20, [started, thought(30), toolCall(49), thought(51), wake(90)], [null, msToNs(50), null, null, null]],
    ['thinking', 20, [started, thought(30), token(1, 51)], [null, msToNs(50), 'thinking']],
  ])('%s %s', (name, parameter, events, answers) => expect(play(name, parameter, events)).toEqual(answers))

  it('any fires with the name of the first that does, and asks for the earliest wake', () => {
    const parameter = [
      { name: 'after', parameter: 50 },
      { name: 'after', parameter: 20 },
      { name: 'tokens', parameter: 4 },
    ]
    expect(play('any', parameter, [started, token(1), wake(20)])).toEqual([msToNs(20), msToNs(20), 'after'])
    expect(play('any', parameter, [started, token(1), token(4, 5)])).toEqual([msToNs(20), msToNs(20), 'tokens'])
    expect(play('any', [{ name: 'signal' }], [started, token(1)])).toEqual([null, null])
    expect(play('any', [{ name: 'any', parameter: [{ name: 'tokens', parameter: 1 }] }], [started, token(1)])).toEqual([
      null,
      'tokens',
    ])
  })

  it('any keeps a member’s wish until its instant has come or a newer one replaces it', () => {
    const parameter = [
      { name: 'stall', parameter: 20 },
      { name: 'after', parameter: 50 },
    ]
    expect(play('any', parameter, [started, token(1, 15), token(2, 40), wake(50)])).toEqual([
      msToNs(20),
      msToNs(35),
      msToNs(50),
      'after',
    ])
    expect(play('any', parameter, [started, token(1, 15), wake(35)])).toEqual([msToNs(20), msToNs(35), 'stall'])
    const stale = { name: 'any', parameter: [{ name: 'after', parameter: 5 }] }
    expect(play('any', [stale, { name: 'after', parameter: 9 }], [started, wake(4), wake(5)])).toEqual([
      msToNs(5),
      msToNs(5),
      'after',
    ])
  })

  it('any forgets a wish whose instant has come, also where its trigger does not fire', () => {
    const dull: TriggerDefinition = {
      name: 'dull',
      summary: 's',
      initial: () => null,
      step: (state, { type }) => (type === 'started' ? { state, wakeAt: 7 } : { state }),
    }
    const any = anyOf(() => dull)
    const factors = [{ name: 'dull' }]
    const first = any.step(any.initial(factors), started, factors)
    expect(first).toStrictEqual({ state: [{ state: null, wakeAt: 7 }], wakeAt: 7 })
    const early = any.step(first.state, { type: 'wake', at: 6 }, factors)
    expect(early).toStrictEqual(first)
    expect(any.step(early.state, { type: 'wake', at: 7 }, factors)).toStrictEqual({ state: [{ state: null }] })
  })

  it('any tells the first of two that fire at once', () => {
    const parameter = [{ name: 'signal' }, { name: 'tokens', parameter: 1 }, { name: 'first-token' }]
    expect(play('any', parameter, [started, token(1)])).toEqual([null, 'tokens'])
  })
})
