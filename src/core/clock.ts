/** An instant or a length of time in whole nanoseconds. Instants are monotonic and count from the start of their run. */
export type Nanoseconds = number

export const NS_PER_MS = 1_000_000

/** Whole nanoseconds for a length in milliseconds. */
export const msToNs = (ms: number): Nanoseconds => Math.round(ms * NS_PER_MS)

/** Milliseconds, exact to the nanosecond, as records and reports give them. */
export const nsToMs = (ns: Nanoseconds): number => ns / NS_PER_MS

/** Where every part of the engine reads time and sets timers: real time in production, virtual time in tests and simulations. */
export interface Clock {
  /** Monotonic nanoseconds since an origin of the clock's own. Whole, and exact for 104 days. */
  now(): Nanoseconds
  /** The wall clock: ms since 1970, with fractions; of one piece with `now`, so it does not jump. For people and for other processes; never for a duration. */
  wall(): number
  /** Calls `wake` once, not before `at` (on `now`'s scale). Returns what withdraws the timer. */
  schedule(at: Nanoseconds, wake: () => void): () => void
}

const origin = process.hrtime.bigint()
/** `setTimeout` fires at once for a delay above 2^31-1 ms. */
const LONGEST_TIMEOUT_MS = 2_147_483_647

export const systemClock: Clock = {
  now: () => Number(process.hrtime.bigint() - origin),
  wall: () => performance.timeOrigin + performance.now(),
  schedule(at, wake) {
    let timer: NodeJS.Timeout
    // setTimeout counts whole ms from the event loop's last tick, so it may fire early: look again until the instant has come.
    const arm = () => {
      const left = at - systemClock.now()
      if (left <= 0) wake()
      else timer = setTimeout(arm, Math.min(Math.max(1, Math.ceil(left / NS_PER_MS)), LONGEST_TIMEOUT_MS))
    }
    timer = setTimeout(arm, Math.min(Math.max(1, Math.ceil((at - systemClock.now()) / NS_PER_MS)), LONGEST_TIMEOUT_MS))
    return () => clearTimeout(timer)
  },
}
