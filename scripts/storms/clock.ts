// Loaded before a worker: its wall clock is wrong by so many ms. Its timers are not.
const shift = Number(process.env.STORM_CLOCK_MS ?? 0)
const Real = Date

class Shifted extends Real {
  constructor(...parts: unknown[]) {
    super(...((parts.length === 0 ? [Real.now() + shift] : parts) as [number]))
  }
  static override now(): number {
    return Real.now() + shift
  }
}

if (shift !== 0) {
  globalThis.Date = Shifted as DateConstructor
  Object.defineProperty(performance, 'timeOrigin', { value: performance.timeOrigin + shift })
}

export {}
