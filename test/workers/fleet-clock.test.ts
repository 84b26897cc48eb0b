import { describe, expect, it } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { fleetClock } from '../../src/workers/fleet-clock.ts'
import type { FleetRedis } from '../../src/workers/redis.ts'

/** A process and a Redis whose clocks go as they are told; a round trip takes `tripMs`, the answer is made in its middle. */
function clocks({ tripMs = 1, wallMs = 5000 } = {}) {
  const state = { ns: 0, tripMs, wallMs, redisMs: 1_000_000, pace: 1 }
  const pass = (ms: number) => {
    state.ns += ms * 1e6
    state.wallMs += ms
    state.redisMs += ms * state.pace
  }
  const base: Clock = { now: () => state.ns, wall: () => state.wallMs, schedule: () => () => undefined }
  const time = async () => {
    pass(state.tripMs / 2)
    const micros = Math.round(state.redisMs * 1000)
    pass(state.tripMs / 2)
    return [Math.floor(micros / 1e6), micros % 1e6]
  }
  return { state, pass, base, redis: { client: { time } } as unknown as FleetRedis }
}

describe('the clock of a fleet', () => {
  it('shows the time of its Redis, says how far off it may be and how far this machine’s clock is before it', async () => {
    const { state, base, redis } = clocks({ tripMs: 2 })
    const clock = await fleetClock(redis, base)
    expect(clock.wall()).toBeCloseTo(state.redisMs, 2)
    expect(clock.fromFleet(clock.toFleet(123_000_000))).toBe(123_000_000)
    expect(clock.errorMs).toBeCloseTo(1, 2)
    expect(clock.offsetMs).toBeCloseTo(state.wallMs - state.redisMs, 2)
    clock.close()
  })

  it('follows a Redis whose clock goes at another pace, and trusts an old estimate less', async () => {
    const { state, pass, base, redis } = clocks()
    const clock = await fleetClock(redis, base)
    state.pace = 1.00002
    pass(24 * 3_600_000)
    expect(Math.abs(clock.wall() - state.redisMs)).toBeGreaterThan(1000)
    expect(clock.errorMs).toBeGreaterThan(Math.abs(clock.wall() - state.redisMs))
    await clock.estimate()
    expect(clock.wall()).toBeCloseTo(state.redisMs, 1)
    expect(clock.errorMs).toBeLessThan(1)
    clock.close()
  })

  it('keeps a good estimate when round trips have become slow, but not one that they exclude', async () => {
    const { state, base, redis } = clocks()
    const clock = await fleetClock(redis, base)
    state.tripMs = 50
    await clock.estimate()
    expect(clock.errorMs).toBeLessThan(1)
    state.redisMs += 3_600_000
    await clock.estimate()
    expect(clock.wall()).toBeCloseTo(state.redisMs, 0)
    expect(clock.errorMs).toBeCloseTo(25, 0)
    clock.close()
  })
})
