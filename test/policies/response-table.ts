import { expect } from 'vitest'
import type { BoundaryEvent, BoundaryView, Command, ResponseDefinition } from '../../src/core/policy.ts'

export const view: BoundaryView = {
  now: 0,
  interruptedAt: 0,
  carry: 'all',
  call: { startedAt: 0, tokens: 3, settled: false, complete: false, inSentence: true, wastedMs: 40 },
  expected: { restMs: 100, abortLagMs: 50, basis: '3 answers observed' },
  next: { fired: false },
}
type Change = Omit<Partial<BoundaryView>, 'call'> & { call?: Partial<BoundaryView['call']> }
const seen = (change: Change): BoundaryView => ({ ...view, ...change, call: { ...view.call, ...change.call } })

/** When a response is asked: at the interrupt, or at an event after it. */
export type Moment = 'start' | BoundaryEvent['type']
/** `[response, parameter as a file writes it, what differs in the view, what it orders at each moment that it orders anything]`. */
export type Row = readonly [string, unknown, Change, Partial<Record<Moment, readonly string[]>>]

const moments = [
  'start',
  'token',
  'sentenceEnd',
  'deadline',
  'callSettled',
  'slotFree',
  'nextFirstToken',
  'nextSettled',
  'superseded',
] as const satisfies Moment[]

const restMs = (ms: number): Change => ({ expected: { ...view.expected, restMs: ms } })
const confirmed = ['cancelCall', 'fireWhenSettled', 'decide abort: a second signal confirmed the interrupt']
const dear =
  'decide abort: expected rest 100 ms, expected cost of cancelling 90 ms (50 ms abort lag + 40 ms wasted × 1); 3 answers observed'
const cheap =
  'decide drain: expected rest 100 ms, expected cost of cancelling 100 ms (50 ms abort lag + 40 ms wasted × 1.25); 3 answers observed'
const free = (decision: string, rest: number) =>
  `decide ${decision}: expected rest ${rest} ms, expected cost of cancelling 50 ms (50 ms abort lag + 40 ms wasted × 0); 3 answers observed`

/** What every response orders, at every moment. */
export const rows: readonly Row[] = [
  ['drain', undefined, {}, { start: ['fireWhenSettled'] }],
  ['abort', undefined, {}, { start: ['cancelCall', 'fireWhenSettled'] }],
  ['overlap', undefined, {}, { start: ['cancelCall', 'fireNext'] }],
  ['race', undefined, {}, { start: ['fireNext'], nextFirstToken: ['cancelCall'], nextSettled: ['cancelCall'] }],
  [
    'race',
    { until: 'first-token' },
    { call: { complete: true } },
    {
      start: ['fireNext'],
      nextFirstToken: ['cancelCall'],
      nextSettled: ['cancelCall'],
      callSettled: ['withdrawNext', 'fireNext'],
    },
  ],
  [
    'race',
    undefined,
    { carry: 'none', call: { complete: true } },
    { start: ['fireNext'], nextFirstToken: ['cancelCall'], nextSettled: ['cancelCall'] },
  ],
  ['grace', '300ms', {}, { start: ['setDeadline 300', 'fireWhenSettled'], deadline: ['cancelCall'] }],
  [
    'boundary',
    undefined,
    {},
    { start: ['setDeadline 500', 'fireWhenSettled'], sentenceEnd: ['cancelCall'], deadline: ['cancelCall'] },
  ],
  [
    'boundary',
    { cap: '2s' },
    {},
    { start: ['setDeadline 2000', 'fireWhenSettled'], sentenceEnd: ['cancelCall'], deadline: ['cancelCall'] },
  ],
  [
    'boundary',
    undefined,
    { call: { inSentence: false } },
    { start: ['cancelCall', 'fireWhenSettled'], sentenceEnd: ['cancelCall'], deadline: ['cancelCall'] },
  ],
  [
    'hold',
    undefined,
    {},
    {
      start: ['pauseDelivery', 'setDeadline 600'],
      deadline: ['releaseDelivery', 'decide resume: nothing confirmed the interrupt within 600 ms'],
      superseded: confirmed,
    },
  ],
  [
    'hold',
    { confirm: 50, otherwise: 'abort' },
    {},
    {
      start: ['pauseDelivery', 'setDeadline 50'],
      deadline: ['cancelCall', 'fireWhenSettled', 'decide abort: nothing took the interrupt back within 50 ms'],
      superseded: confirmed,
    },
  ],
  ['adaptive', undefined, {}, { start: ['cancelCall', 'fireWhenSettled', dear] }],
  ['adaptive', { slotPrice: 1.25 }, {}, { start: ['fireWhenSettled', cheap] }],
  ['adaptive', { slotPrice: 0 }, restMs(50), { start: ['fireWhenSettled', free('drain', 50)] }],
  ['adaptive', { slotPrice: 0 }, restMs(51), { start: ['cancelCall', 'fireWhenSettled', free('abort', 51)] }],
]

const text = (command: Command): string =>
  command.type === 'setDeadline'
    ? `setDeadline ${command.ms}`
    : command.type === 'decide'
      ? `decide ${command.decision}: ${command.reason}`
      : command.type

/** Holds a response to its row. */
export function check(response: ResponseDefinition, [, written, change, wanted]: Row): void {
  const parameter = response.parameter?.parse(written)
  const ordered = moments.flatMap((moment) => {
    const react = moment === 'start' ? undefined : response.on?.[moment]
    const commands =
      moment === 'start'
        ? response.start(seen(change), parameter)
        : (react as ((...all: unknown[]) => readonly Command[]) | undefined)?.(seen(change), parameter, {
            type: moment,
          })
    return commands === undefined || commands.length === 0 ? [] : [[moment, commands.map(text)]]
  })
  expect(Object.fromEntries(ordered)).toEqual(wanted)
}
