import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Experiment, InterruptTimes, Load, OwnTimes } from '../../src/core/experiment.ts'
import { armNames } from '../../src/lab/design/experiment-design.ts'
import { type Cell, cellsOf, type PlannedTrial, trialCount, warmUpsOf } from '../../src/lab/schedule.ts'
import { experimentOf, pipelineWith } from './experiment.ts'

const times: fc.Arbitrary<InterruptTimes> = fc.oneof(
  fc.constant({ kind: 'none' } as const),
  fc.constant({ kind: 'list', atMs: [5, 10, 15] } as const),
  fc.constant({ kind: 'uniform', fromMs: 20, toMs: 200 } as const),
  fc.constant({ kind: 'poisson', meanMs: 50 } as const),
)
const loads: fc.Arbitrary<Load> = fc.oneof(
  fc.constant({ kind: 'closed', users: 1, thinkMs: 0 } as const),
  fc.constant({ kind: 'closed', users: 4, thinkMs: 5 } as const),
  fc.constant({ kind: 'open', perSecond: 20 } as const),
)
const experiments: fc.Arbitrary<Experiment> = fc
  .record({
    arms: fc.integer({ min: 1, max: 5 }),
    blocks: fc.integer({ min: 1, max: 12 }),
    inBlock: fc.integer({ min: 1, max: 4 }),
    turns: fc.integer({ min: 1, max: 3 }),
    seed: fc.nat(2_147_483_647),
    aa: fc.boolean(),
    warmUp: fc.nat(3),
    washoutMs: fc.constantFrom(0, 10),
    nonce: fc.boolean(),
    interrupts: times,
    load: loads,
  })
  .map(({ arms, blocks, inBlock, interrupts, ...own }) =>
    experimentOf({
      ...own,
      arms: Array.from({ length: arms }, (_, index) => ({
        name: `arm-${index}`,
        policy: 'p',
        pipeline: pipelineWith('abort'),
      })),
      baseline: 'arm-0',
      blocks,
      sessions: blocks * inBlock,
      workload: { prompts: ['one', 'two', 'three'], interrupts, vars: {} },
    }),
  )

const all = (experiment: Experiment): Cell[] => [...cellsOf(experiment)]
const trialsOf = (cells: readonly Cell[]): PlannedTrial[] => cells.flatMap(({ sessions }) => sessions.flat())
const count = <T>(items: readonly T[], key: (item: T) => unknown) =>
  [...Map.groupBy(items, key).values()].map(({ length }) => length)
/** Without what is the arm's own. */
const shared = ({ trial: _, arm: __, session, input, ...rest }: PlannedTrial) => ({
  ...rest,
  session: session.split('-')[0],
  input: input.split(' ').at(-1),
})

describe('the schedule of an experiment', () => {
  it('holds every trial once, numbered in its order', () => {
    fc.assert(
      fc.property(experiments, (experiment) => {
        const trials = trialsOf(all(experiment))
        expect(trials.map(({ trial }) => trial)).toEqual(Array.from({ length: trialCount(experiment) }, (_, n) => n))
        const sessions = Map.groupBy(trials, ({ session }) => session)
        expect(sessions.size).toBe(experiment.sessions * armNames(experiment).length)
        for (const runs of sessions.values()) {
          expect(new Set(runs.map(({ arm }) => arm)).size).toBe(1)
          expect(runs.length).toBe(experiment.turns)
        }
      }),
    )
  })

  it('has every arm equally often in each block, and one block after the other', () => {
    fc.assert(
      fc.property(experiments, (experiment) => {
        const cells = all(experiment)
        const trials = trialsOf(cells)
        const each = (experiment.sessions / experiment.blocks) * experiment.turns
        const inBlocks = count(trials, ({ block, arm }) => `${block} ${arm}`)
        expect(inBlocks).toEqual(Array(experiment.blocks * armNames(experiment).length).fill(each))
        const blocks = cells.map(({ block }) => block)
        expect(blocks).toEqual(blocks.toSorted((a, b) => a - b))
      }),
    )
  })

  it('puts every arm into each place equally often, over as many rounds as there are arms', () => {
    fc.assert(
      fc.property(experiments, (experiment) => {
        const arms = armNames(experiment).length
        const cells = all(experiment)
        const whole = cells.slice(0, cells.length - (cells.length % (arms * arms)))
        const places = count(
          whole.map(({ arm }, index) => [arm, index % arms]),
          ([arm, place]) => `${arm} ${place}`,
        )
        expect(new Set(places).size).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('gives the same prompts, seeds, times and arrivals to all arms', () => {
    fc.assert(
      fc.property(experiments, (experiment) => {
        const trials = trialsOf(all(experiment))
        const byArm = armNames(experiment).map((arm) =>
          trials
            .filter((trial) => trial.arm === arm)
            .map(shared)
            .toSorted((a, b) => Number(a.session) - Number(b.session) || a.seed - b.seed),
        )
        for (const own of byArm) expect(own).toEqual(byArm[0])
      }),
    )
  })

  it('is the same for the same seed, and another for another', () => {
    fc.assert(
      fc.property(experiments, (experiment) => {
        expect(all(experiment)).toEqual(all(experiment))
      }),
    )
    const order = (seed: number) => all(experimentOf({ sessions: 40, seed })).map(({ arm }) => arm)
    expect(order(1)).not.toEqual(order(2))
  })

  it('makes a nonce that no other trial has, of one length', () => {
    const trials = trialsOf(all(experimentOf({ sessions: 200, blocks: 200, nonce: true })))
    const nonces = trials.map(({ input }) => input.split(' ')[0] ?? '')
    expect(new Set(nonces).size).toBe(400)
    expect(new Set(nonces.map(({ length }) => length))).toEqual(new Set([8]))
  })

  it('warms every arm up before the first block', () => {
    const experiment = experimentOf({ sessions: 4, blocks: 4, warmUp: 2, washoutMs: 5, aa: true })
    expect(warmUpsOf(experiment).map(({ arm, warmUp, trial }) => [arm, warmUp, trial])).toEqual(
      ['drain', 'drain', 'abort', 'abort', 'drain-again', 'drain-again'].map((arm) => [arm, true, undefined]),
    )
  })

  it('spreads times as their law says: within the range, with the mean, at the rate', () => {
    const timesOf = (interrupts: InterruptTimes) =>
      trialsOf(
        all(experimentOf({ sessions: 2000, blocks: 2000, workload: { prompts: ['a'], interrupts, vars: {} } })),
      ).map(({ interruptMs }) => interruptMs ?? Number.NaN)
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
    const uniform = timesOf({ kind: 'uniform', fromMs: 20, toMs: 200 })
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(20)
    expect(Math.max(...uniform)).toBeLessThan(200)
    expect(mean(uniform)).toBeCloseTo(110, -1)
    // Of 2000 exponential draws the mean lies within 10 % for any seed worth the name.
    const exponential = timesOf({ kind: 'poisson', meanMs: 50 })
    expect(mean(exponential)).toBeGreaterThan(45)
    expect(mean(exponential)).toBeLessThan(55)
    const open = experimentOf({ sessions: 2000, blocks: 1, load: { kind: 'open', perSecond: 100 } })
    const [cell] = all(open)
    const last = cell?.sessions[0]?.at(-1)?.arrivesMs ?? 0
    expect(last).toBeGreaterThan(18_000)
    expect(last).toBeLessThan(22_000)
  })

  it('has the trials of a group follow each other, as often as each arm says, in orders of their own', () => {
    const pipeline = pipelineWith('abort')
    const arm = (name: string, more: object) => ({ name, policy: 'p', pipeline, ...more })
    const experiment = experimentOf({
      arms: [arm('a', { group: 'x', repeat: 2 }), arm('b', { group: 'x', repeat: 2 }), arm('c', { group: 'y' })],
      baseline: 'a',
      ...{ sessions: 40, blocks: 40 },
    })
    const blocks = [...Map.groupBy(trialsOf(all(experiment)), ({ block }) => block).values()]
    expect(trialCount(experiment)).toBe(40 * 5)
    const orders = blocks.map((trials) => trials.map((trial) => trial.arm).join(''))
    for (const order of orders) expect(order).toMatch(/^(?:(?:ab|ba)c?){2}$|^c(?:ab|ba){2}$/)
    expect(new Set(orders).size).toBeGreaterThan(8)
    expect(new Set(blocks.flat().map(({ session }) => session)).size).toBe(40 * 5)
  })

  it('gives an arm its own interrupts and nonces, those of a range one from each of its parts', () => {
    const pipeline = pipelineWith('abort')
    const own = (name: string, interrupts: OwnTimes) =>
      ({ name, policy: 'p', pipeline, interrupts, nonce: true, repeat: 4 }) as const
    const experiment = experimentOf({
      arms: [own('drawn', { kind: 'uniform', fromMs: 0, toMs: 80 }), own('token', { kind: 'tokens', after: 7 })],
      baseline: 'drawn',
      ...{ sessions: 10, blocks: 10, warmUp: 2 },
    })
    const trials = trialsOf(all(experiment))
    for (const ofBlock of Map.groupBy(trials, ({ block }) => block).values()) {
      const drawn = ofBlock.flatMap(({ interruptMs }) => interruptMs ?? []).toSorted((a, b) => a - b)
      expect(drawn.map((ms) => Math.floor(ms / 20))).toEqual([0, 1, 2, 3])
    }
    for (const { arm, interruptTokens } of trials) expect(interruptTokens).toBe(arm === 'token' ? 7 : undefined)
    const nonces = [...trials, ...warmUpsOf(experiment)].map(({ nonce }) => nonce)
    expect(new Set(nonces).size).toBe(10 * 8 + 2 * 2)
  })
})
