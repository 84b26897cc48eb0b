import { describe, expect, it } from 'vitest'
import { msToNs } from '../../src/core/clock.ts'
import type { CallEvent } from '../../src/core/policy.ts'
import { catalogue } from '../../src/policies/catalogue.ts'

const started: CallEvent = { type: 'started', at: 0 }
const token = (count: number, ms = count): CallEvent => ({ type: 'token', at: msToNs(ms), count, text: 'x' })
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
})
