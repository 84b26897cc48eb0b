import { describe, expect, it } from 'vitest'
import type { BoundaryEvent, BoundaryView, Command } from '../../src/core/policy.ts'
import { catalogue } from '../../src/policies/catalogue.ts'

const view: BoundaryView = {
  now: 0,
  interruptedAt: 0,
  carry: 'all',
  call: { startedAt: 0, tokens: 3, settled: false, complete: false, inSentence: true, wastedMs: 40 },
  expected: { restMs: 100, abortLagMs: 50, basis: '3 answers observed' },
  next: { fired: false },
}
type Change = Omit<Partial<BoundaryView>, 'call'> & { call?: Partial<BoundaryView['call']> }
const seen = (change: Change): BoundaryView => ({ ...view, ...change, call: { ...view.call, ...change.call } })

/** What a response orders at each event, as text. */
function orders(name: string, parameter: unknown, change: Change = {}, ...events: BoundaryEvent['type'][]) {
  const response = catalogue.responses.find((candidate) => candidate.name === name)!
  const parsed = response.parameter ? response.parameter.parse(parameter) : undefined
  const text = (commands: readonly Command[]) =>
    commands.map((command) =>
      command.type === 'setDeadline'
        ? `setDeadline ${command.ms}`
        : command.type === 'decide'
          ? `decide ${command.decision}`
          : command.type,
    )
  const react = (type: BoundaryEvent['type']) =>
    (response.on?.[type] as ((...all: unknown[]) => readonly Command[]) | undefined)?.(seen(change), parsed, {
      type,
    }) ?? []
  return events.length === 0 ? text(response.start(seen(change), parsed)) : events.map((type) => text(react(type)))
}

describe('responses at the interrupt', () => {
  it.each<[string, unknown, Change, string[]]>([
    ['drain', undefined, {}, ['fireWhenSettled']],
    ['abort', undefined, {}, ['cancelCall', 'fireWhenSettled']],
    ['overlap', undefined, {}, ['cancelCall', 'fireNext']],
    ['race', undefined, {}, ['fireNext']],
    ['grace', '300ms', {}, ['setDeadline 300', 'fireWhenSettled']],
    ['boundary', undefined, {}, ['setDeadline 500', 'fireWhenSettled']],
    ['boundary', { cap: '2s' }, {}, ['setDeadline 2000', 'fireWhenSettled']],
    ['boundary', undefined, { call: { inSentence: false } }, ['cancelCall', 'fireWhenSettled']],
    ['hold', undefined, {}, ['pauseDelivery', 'setDeadline 600']],
    ['hold', { confirm: 50 }, {}, ['pauseDelivery', 'setDeadline 50']],
    ['adaptive', undefined, {}, ['cancelCall', 'fireWhenSettled', 'decide abort']],
    ['adaptive', { slotPrice: 1.25 }, {}, ['fireWhenSettled', 'decide drain']],
    ['adaptive', { slotPrice: 0 }, { expected: { ...view.expected, restMs: 50 } }, ['fireWhenSettled', 'decide drain']],
    [
      'adaptive',
      { slotPrice: 0 },
      { expected: { ...view.expected, restMs: 51 } },
      ['cancelCall', 'fireWhenSettled', 'decide abort'],
    ],
  ])('%s %j', (name, parameter, change, commands) => expect(orders(name, parameter, change)).toEqual(commands))

  it('adaptive names both figures and where they come from', () => {
    const adaptive = catalogue.responses.find(({ name }) => name === 'adaptive')!
    const decided = adaptive.start(view, { slotPrice: 1 }).find((command) => command.type === 'decide')
    expect(decided).toMatchObject({
      reason:
        'expected rest 100 ms, expected cost of cancelling 90 ms (50 ms abort lag + 40 ms wasted × 1); 3 answers observed',
    })
  })
})

describe('responses after the interrupt', () => {
  const all = ['deadline', 'sentenceEnd', 'callSettled', 'nextFirstToken', 'superseded'] as const
  it.each<[string, unknown, Change, string[][]]>([
    ['drain', undefined, {}, [[], [], [], [], []]],
    ['abort', undefined, {}, [[], [], [], [], []]],
    ['overlap', undefined, {}, [[], [], [], [], []]],
    ['grace', 300, {}, [['cancelCall'], [], [], [], []]],
    ['boundary', undefined, {}, [['cancelCall'], ['cancelCall'], [], [], []]],
    ['race', undefined, {}, [[], [], [], ['cancelCall'], []]],
    ['race', undefined, { call: { complete: true } }, [[], [], ['withdrawNext', 'fireNext'], ['cancelCall'], []]],
    ['race', undefined, { carry: 'none', call: { complete: true } }, [[], [], [], ['cancelCall'], []]],
    [
      'hold',
      undefined,
      {},
      [['releaseDelivery', 'decide resume'], [], [], [], ['cancelCall', 'fireWhenSettled', 'decide abort']],
    ],
    [
      'hold',
      { otherwise: 'abort' },
      {},
      [
        ['cancelCall', 'fireWhenSettled', 'decide abort'],
        [],
        [],
        [],
        ['cancelCall', 'fireWhenSettled', 'decide abort'],
      ],
    ],
    ['adaptive', undefined, {}, [[], [], [], [], []]],
  ])('%s %j %j', (name, parameter, change, commands) =>
    expect(orders(name, parameter, change, ...all)).toEqual(commands),
  )
})
