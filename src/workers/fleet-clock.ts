import { type Clock, type Nanoseconds, nsToMs, systemClock } from '../core/clock.ts'
import type { ProcessRecord } from '../core/record.ts'
import type { FleetRedis } from './redis.ts'

const SAMPLES = 7

/**
 * The clock that all processes of a fleet share: that of their Redis, as far as round trips let it be known. Each process reads its
 * own monotonic clock and adds one offset, so a length of time is exact; only the scale may be off, by half a round trip.
 */
export interface FleetClock extends Clock {
  /** An instant of this process's clock on the fleet's scale: ms since 1970. */
  toFleet(at: Nanoseconds): number
  /** The other way round. */
  fromFleet(ms: number): Nanoseconds
  /** How far off the scale may be, ms. */
  readonly errorMs: number
}

/** A process as records name it, with how far its clocks may be off. */
export const processOf = (service: string, instance: string, clock: FleetClock): ProcessRecord => ({
  service,
  instance,
  clock: { offsetMs: Date.now() - clock.wall(), errorMs: clock.errorMs },
})

/** Estimates the offset from the quickest of a few round trips (Cristian 1989). */
export async function fleetClock({ client }: FleetRedis, base: Clock = systemClock): Promise<FleetClock> {
  let best = { offsetMs: 0, errorMs: Number.POSITIVE_INFINITY }
  for (let sample = 0; sample < SAMPLES; sample++) {
    const before = base.now()
    const [seconds = 0, micros = 0] = (await client.time()).map(Number)
    const after = base.now()
    const errorMs = nsToMs(after - before) / 2
    if (errorMs < best.errorMs) {
      best = { offsetMs: seconds * 1000 + micros / 1000 - nsToMs((before + after) / 2), errorMs }
    }
  }
  const { offsetMs, errorMs } = best
  return {
    ...base,
    wall: () => nsToMs(base.now()) + offsetMs,
    toFleet: (at) => nsToMs(at) + offsetMs,
    fromFleet: (ms) => Math.round((ms - offsetMs) * 1e6),
    errorMs,
  }
}
