import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { msToNs } from '../../../src/core/clock.ts'
import { VirtualClock } from '../../../src/lab/simulation/virtual-clock.ts'

describe('virtual time', () => {
  it('fires timers in the order of their instants, then of their setting, and lets chains cascade', async () => {
    const clock = new VirtualClock()
    const log: string[] = []
    const at = (ms: number, name: string, then?: () => void) =>
      clock.schedule(msToNs(ms), () => {
        log.push(`${name} ${clock.now() / 1e6}`)
        then?.()
      })
    at(20, 'late')
    at(10, 'first', () => void Promise.resolve().then(() => at(15, 'chained')))
    at(10, 'second')
    await clock.advance(msToNs(18))
    expect(log).toEqual(['first 10', 'second 10', 'chained 15'])
    expect(clock.now()).toBe(msToNs(18))
    await clock.advance(msToNs(18))
    expect(log.at(-1)).toBe('late 20')
  })

  it('does not fire what was withdrawn, and says when nothing can happen any more', async () => {
    const clock = new VirtualClock()
    const withdraw = clock.schedule(5, () => expect.unreachable())
    withdraw()
    expect(clock.pending).toBe(0)
    await expect(clock.until(new Promise(() => undefined))).rejects.toThrow('virtual time stands still')
    expect(await clock.until(Promise.resolve(7))).toBe(7)
  })

  it('gives the wall clock the same pace', async () => {
    const clock = new VirtualClock(1000)
    await clock.advance(msToNs(250))
    expect(clock.wall()).toBe(1250)
  })

  it('fires whatever was not withdrawn, in order, however many timers there are', async () => {
    const timers = fc.array(fc.record({ at: fc.nat(50), isWithdrawn: fc.boolean() }), { maxLength: 300, size: 'max' })
    await fc.assert(
      fc.asyncProperty(timers, fc.array(fc.nat(20), { minLength: 1, maxLength: 4 }), async (set, steps) => {
        const clock = new VirtualClock()
        const fired: number[] = []
        const withdraw = set.map(({ at }, index) => clock.schedule(at, () => fired.push(index)))
        for (const [index, { isWithdrawn }] of set.entries()) {
          // Twice is once.
          if (isWithdrawn) for (let times = 0; times < 2; times++) withdraw[index]!()
        }
        const wanted = set.flatMap(({ at, isWithdrawn }, index) => (isWithdrawn ? [] : [{ at, index }]))
        expect(clock.pending).toBe(wanted.length)
        const until = steps.reduce((sum, ns) => sum + ns)
        for (const ns of steps) await clock.advance(ns)
        const due = wanted.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at || a.index - b.index)
        expect(fired).toEqual(due.map(({ index }) => index))
        expect(clock.pending).toBe(wanted.length - due.length)
      }),
    )
  })
})
