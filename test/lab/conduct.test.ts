import { describe, expect, it } from 'vitest'
import { msToNs, nsToMs } from '../../src/core/clock.ts'
import type { Experiment } from '../../src/core/experiment.ts'
import { conduct } from '../../src/lab/conduct.ts'
import { type PlannedTrial, warmUpsOf } from '../../src/lab/schedule.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { experimentOf } from './experiment.ts'

interface Made {
  readonly planned: PlannedTrial
  readonly fromMs: number
  readonly toMs: number
  readonly lagMs: number | undefined
}

/** Trials that take `lengthMs` each; `stopAfter` of them it is stopped. */
async function made(
  experiment: Experiment,
  {
    lengthMs = 100,
    done = new Set<number>(),
    stopAfter = Number.POSITIVE_INFINITY,
    tokens = 10,
    deadlineMs = Number.POSITIVE_INFINITY,
  } = {},
) {
  const clock = new VirtualClock()
  const stop = new AbortController()
  const ended: Made[] = []
  const trial = async (planned: PlannedTrial, lagMs?: number) => {
    const fromMs = nsToMs(clock.now())
    await new Promise<void>((resolve) => clock.schedule(clock.now() + msToNs(lengthMs), resolve))
    if (stop.signal.aborted) return undefined
    ended.push({ planned, fromMs, toMs: nsToMs(clock.now()), lagMs })
    if (ended.length >= stopAfter) stop.abort()
    return tokens
  }
  const how = await clock.until(
    conduct(warmUpsOf(experiment), () => experiment, done, {
      ...{ clock, signal: stop.signal, trial, deadline: msToNs(deadlineMs) },
    }),
  )
  const measured = ended.filter(({ planned }) => planned.trial !== undefined)
  return { how, ended, measured, numbers: measured.map(({ planned }) => planned.trial) }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)
const mostAtOnce = (all: readonly Made[]) =>
  Math.max(...all.map(({ fromMs }) => all.filter((other) => other.fromMs <= fromMs && fromMs < other.toMs).length))

describe('conducting an experiment', () => {
  it('makes the warm-ups, then every trial in order, one after the other', async () => {
    const { how, ended, numbers } = await made(experimentOf())
    expect(how).toBe('complete')
    expect(ended.slice(0, 2).every(({ planned }) => planned.warmUp)).toBe(true)
    expect(numbers).toEqual(range(0, 12))
    expect(mostAtOnce(ended)).toBe(1)
  })

  it('makes only those that are not done', async () => {
    const { numbers } = await made(experimentOf(), { done: new Set([0, 1, 2, 7]) })
    expect(numbers).toEqual([3, 4, 5, 6, 8, 9, 10, 11])
  })

  it('goes on after a stop with what is missing, whenever it came', async () => {
    for (const load of [
      { kind: 'closed', users: 1, thinkMs: 0 },
      { kind: 'closed', users: 3, thinkMs: 10 },
      { kind: 'open', perSecond: 50 },
    ] as const)
      for (const stopAfter of range(1, 14)) {
        const experiment = experimentOf({ blocks: 2, load })
        const first = await made(experiment, { stopAfter })
        expect(first.how).toBe('stopped')
        const second = await made(experiment, { done: new Set(first.numbers as number[]) })
        expect(second.how).toBe('complete')
        expect([...first.numbers, ...second.numbers].toSorted((a, b) => (a ?? 0) - (b ?? 0))).toEqual(range(0, 12))
      }
  })

  it('keeps N users busy within an arm, and no arm beside another', async () => {
    const { measured } = await made(
      experimentOf({ sessions: 12, blocks: 2, load: { kind: 'closed', users: 3, thinkMs: 0 } }),
    )
    expect(mostAtOnce(measured)).toBe(3)
    for (const { fromMs, planned } of measured)
      for (const other of measured.filter((one) => one.fromMs <= fromMs && fromMs < one.toMs))
        expect([other.planned.arm, other.planned.block]).toEqual([planned.arm, planned.block])
  })

  it('lets users think between their trials', async () => {
    const load = { kind: 'closed', users: 2, thinkMs: 30 } as const
    const { measured } = await made(experimentOf({ sessions: 4, blocks: 1, warmUp: 0, load }), { lengthMs: 10 })
    expect(measured.map(({ fromMs }) => fromMs)).toEqual([0, 0, 40, 40, 80, 80, 120, 120])
  })

  it('begins trials of an open load at their instants, however slow the server is', async () => {
    const load = { kind: 'open', perSecond: 100 } as const
    const experiment = experimentOf({ sessions: 50, blocks: 1, warmUp: 0, load })
    const { measured } = await made(experiment, { lengthMs: 10_000 })
    const arm = measured.filter(({ planned }) => planned.arm === measured[0]?.planned.arm)
    const first = arm[0]?.planned.arrivesMs ?? 0
    for (const { planned, fromMs, lagMs } of arm) {
      expect(fromMs).toBeCloseTo((planned.arrivesMs ?? 0) - first, 5)
      expect(lagMs).toBeCloseTo(0, 5)
    }
    expect(mostAtOnce(arm)).toBe(50)
  })

  it('pauses between two arms, and makes nothing between that and the next trial', async () => {
    const { ended } = await made(experimentOf({ sessions: 1, blocks: 1, washoutMs: 500 }))
    expect(ended.map(({ planned, fromMs }) => [planned.warmUp ?? false, fromMs])).toEqual([
      [true, 0],
      [true, 100],
      [false, 200],
      [false, 800],
    ])
  })

  it('lets a user think between two trials of the default design, whatever arms they are of', async () => {
    const load = { kind: 'closed', users: 1, thinkMs: 30 } as const
    const starts = async (own: Partial<Experiment>) =>
      (await made(experimentOf({ sessions: 2, blocks: 2, warmUp: 0, load, ...own }), { lengthMs: 10 })).measured.map(
        ({ fromMs }) => fromMs,
      )
    expect(await starts({})).toEqual([0, 40, 80, 120])
    expect(await starts({ turns: 2 })).toEqual([0, 40, 80, 120, 160, 200, 240, 280])
    // The longer one of both pauses.
    expect(await starts({ washoutMs: 90 })).toEqual([0, 100, 200, 300])
  })

  it('ends with the block in which the budget was used up', async () => {
    // Two warm-ups and two trials a block, 100 ms and 10 tokens each.
    expect(await made(experimentOf({ budget: { timeMs: 450 } }))).toMatchObject({ how: 'time', numbers: range(0, 4) })
    expect(await made(experimentOf({ budget: { tokens: 60 } }))).toMatchObject({ how: 'tokens', numbers: range(0, 4) })
    expect(await made(experimentOf({ budget: { timeMs: 1, tokens: 1 } }))).toMatchObject({ numbers: range(0, 2) })
  })

  it.each(['closed', 'open'] as const)('hands a fault on, with a %s load', async (kind) => {
    const load = kind === 'open' ? { kind, perSecond: 1000 } : { kind, users: 3, thinkMs: 0 }
    const clock = new VirtualClock()
    const trial = async () => {
      await new Promise<void>((resolve) => clock.schedule(clock.now() + msToNs(5), resolve))
      throw new Error('the disk is full')
    }
    const experiment = experimentOf({ blocks: 1, warmUp: 0, load })
    const work = conduct([], () => experiment, new Set(), { clock, signal: new AbortController().signal, trial })
    await expect(clock.until(work)).rejects.toThrow('the disk is full')
  })

  it('begins no block that would end after the deadline, but always the first one', async () => {
    // Two warm-ups, then blocks of two trials: each takes 200 ms.
    expect(await made(experimentOf(), { deadlineMs: 800 })).toMatchObject({ how: 'time', numbers: range(0, 6) })
    expect(await made(experimentOf(), { deadlineMs: 799 })).toMatchObject({ how: 'time', numbers: range(0, 4) })
    expect(await made(experimentOf(), { deadlineMs: 1 })).toMatchObject({ how: 'time', numbers: range(0, 2) })
  })
})
