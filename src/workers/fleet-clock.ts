import { type Clock, type Nanoseconds, nsToMs, systemClock } from '../core/clock.ts'
import type { ProcessRecord } from '../core/record.ts'
import type { FleetRedis } from './redis.ts'

const SAMPLES = 7
/** How often the offset is estimated anew, ms. */
const AGAIN_MS = 60_000
/** How fast two clocks may drift apart, ms a ms: more than quartz does. */
const DRIFT = 5e-5

/**
 * The clock that all processes of a fleet share: that of their Redis, as far as round trips let it be known. Each process reads its
 * own monotonic clock and adds one offset, so a length of time is exact; only the scale may be off, by half a round trip. The offset
 * is estimated anew each minute, for clocks drift apart.
 */
export interface FleetClock extends Clock {
  /** An instant of this process's clock on the fleet's scale: ms since 1970. */
  toFleet(at: Nanoseconds): number
  /** The other way round. */
  fromFleet(ms: number): Nanoseconds
  /** How far off the scale may be now, ms. */
  readonly errorMs: number
  /** How far the wall clock of this machine is before the fleet's, ms; negative where it is behind. */
  readonly offsetMs: number
  /** Estimates the offset anew, and takes it where it is better than what is left of the old one. */
  estimate(): Promise<void>
  /** Estimates nothing any more. */
  close(): void
}

/** A process as records name it, with how far its clocks may be off. */
export const processOf = (service: string, instance: string, { offsetMs, errorMs }: FleetClock): ProcessRecord => ({
  service,
  instance,
  clock: { offsetMs, errorMs },
})

interface Estimate {
  /** What is added to this process's clock, ms. */
  readonly shiftMs: number
  readonly errorMs: number
  /** When it was made, ns of this process's clock. */
  readonly at: Nanoseconds
}

/** The clock of this Redis. */
export async function fleetClock(redis: FleetRedis, base: Clock = systemClock): Promise<FleetClock> {
  let best = await quickest(redis, base)
  const errorMs = () => best.errorMs + nsToMs(base.now() - best.at) * DRIFT
  const wall = () => nsToMs(base.now()) + best.shiftMs
  const clock: FleetClock = {
    ...base,
    wall,
    toFleet: (at) => nsToMs(at) + best.shiftMs,
    fromFleet: (ms) => Math.round((ms - best.shiftMs) * 1e6),
    get errorMs() {
      return errorMs()
    },
    get offsetMs() {
      return base.wall() - wall()
    },
    async estimate() {
      const next = await quickest(redis, base)
      // Estimates that exclude each other: the clock itself was set, or Redis is another one.
      const isElsewhere = Math.abs(next.shiftMs - best.shiftMs) > next.errorMs + errorMs()
      if (isElsewhere || next.errorMs <= errorMs()) best = next
    },
    close: () => clearInterval(timer),
  }
  const timer = setInterval(() => void clock.estimate().catch(() => undefined), AGAIN_MS)
  timer.unref()
  return clock
}

/** From the quickest of a few round trips (Cristian 1989). */
async function quickest({ client }: FleetRedis, base: Clock): Promise<Estimate> {
  let best: Estimate = { shiftMs: 0, errorMs: Number.POSITIVE_INFINITY, at: 0 }
  for (let sample = 0; sample < SAMPLES; sample++) {
    const before = base.now()
    const [seconds = 0, micros = 0] = (await client.time()).map(Number)
    const after = base.now()
    const errorMs = nsToMs(after - before) / 2
    if (errorMs >= best.errorMs) continue
    best = { shiftMs: seconds * 1000 + micros / 1000 - nsToMs((before + after) / 2), errorMs, at: after }
  }
  return best
}
