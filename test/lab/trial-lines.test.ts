import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CaesuraError } from '../../src/core/errors.ts'
import { phaseNames } from '../../src/core/record.ts'
import type { Trial } from '../../src/core/trial.ts'
import { dataRows } from '../../src/lab/data-rows.ts'
import { trialsOfLines } from '../../src/lab/trial-lines.ts'
import { interruptOf, planOf, trialOf } from './trials.ts'

const plan = planOf()
const read = (lines: readonly string[], more: { execution?: string } = {}) => [
  ...trialsOfLines({ file: 't.ndjson', plan, lines, ...more }),
]
const linesOf = (trials: readonly Trial[]) =>
  trials
    .flatMap((trial) => dataRows(trial, { experiment: 'cut-in', execution: 'e1' }))
    .map((row) => JSON.stringify(row))

function faultOf(lines: readonly string[], more: { execution?: string } = {}): CaesuraError {
  try {
    read(lines, more)
  } catch (error) {
    if (error instanceof CaesuraError) return error
  }
  throw new Error('nothing was thrown')
}

describe('lines of trials', () => {
  const ms = fc.double({ min: 0, max: 1e6, noNaN: true })
  const interrupt = fc.record({
    after: fc.oneof(ms, fc.constant('lost' as const)),
    phases: fc.dictionary(fc.constantFrom(...phaseNames), ms, { maxKeys: 4 }),
    settlement: fc.constantFrom('completed' as const, 'drained' as const, 'aborted' as const),
  })
  const trial = fc
    .record({
      arm: fc.constantFrom('drain', 'abort'),
      session: fc.string({ minLength: 1 }),
      interrupts: fc.array(interrupt, { maxLength: 4 }),
      warmUp: fc.boolean(),
      block: fc.option(fc.nat(99), { nil: undefined }),
      nodes: fc.option(fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 2 }), { nil: undefined }),
      lagMs: fc.option(ms, { nil: undefined }),
      counting: fc.option(fc.constant(2), { nil: undefined }),
    })
    .map(
      ({ arm, session, interrupts, warmUp, ...own }): Trial => ({
        ...trialOf(arm, session, []),
        ...(warmUp && { warmUp }),
        ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)),
        interrupts: interrupts.map(({ after, ...rest }) => interruptOf(after, rest)),
      }),
    )

  it('are the trials that were written, whatever they hold', () => {
    fc.assert(
      fc.property(fc.array(trial, { maxLength: 8 }), (trials) => {
        expect(read(linesOf(trials))).toEqual(JSON.parse(JSON.stringify(trials)))
      }),
    )
  })

  it('may be whole trials too, and have empty lines between them', () => {
    const trials = [trialOf('drain', 's1', [10, 20]), trialOf('abort', 's2', ['lost'])]
    expect(read(trials.flatMap((each) => [JSON.stringify(each), '']))).toEqual(trials)
  })

  const good = trialOf('drain', 's1', [10, 20])
  const [first = '', second = ''] = linesOf([good])
  const changed = (line: string, own: object) => JSON.stringify({ ...JSON.parse(line), ...own })
  it.each([
    ['no JSON', [first, second, '{"arm":'], 3, undefined],
    ['no object', ['7'], 1, undefined],
    ['no trial', ['{"a":1}'], 1, 'runId'],
    ['a value of another type', [first, changed(second, { keptTokens: 'three' })], 2, 'interrupts[1].keptTokens'],
    ['another experiment', [changed(first, { experiment: 'other' })], 1, 'experiment'],
    ['another execution', [first, changed(second, { execution: 'e2' })], 2, 'execution'],
    ['an arm of another plan', [first, second, ...linesOf([trialOf('race', 's', [])])], 3, 'arm'],
    ['a trial that stands twice', [first, second, ...linesOf([trialOf('abort', 's', [1])]), first, second], 4, 'runId'],
    ['an interrupt that stands twice', [first, first], 2, 'interrupt'],
    ['a figure of the trial that changes', [first, changed(second, { runMs: 1 })], 2, 'runMs'],
    [
      'a key that is none',
      [changed(first, { tofirstTokenMs: 3 }), changed(second, { tofirstTokenMs: 3 })],
      1,
      'tofirstTokenMs',
    ],
    ['a first token that was not reached', [changed(first, { end: 'lost' })], 1, 'interrupts'],
  ])('tells the line of %s', (_, lines, line, path) => {
    const { code, place } = faultOf(lines)
    expect(code).toBe('CAESURA_E_EXPERIMENT')
    expect(place).toMatchObject({ file: 't.ndjson', line, ...(path !== undefined && { path }) })
    expect(place.expected).toBeTruthy()
  })

  it('must be of the execution that is asked for', () => {
    expect(faultOf([first], { execution: 'e9' }).place).toMatchObject({ line: 1, received: 'e1', expected: 'e9' })
  })
})
