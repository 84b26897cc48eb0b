import { scaleLinear } from 'd3-scale'
import { number, type Unit } from '../figures.ts'

/** A linear axis in a unit that fits its values. */
export interface Axis {
  readonly domain: readonly [number, number]
  /** `ms`, `s`, `tokens`, `%`. */
  readonly unit: string
  /** Writes a value with as many digits as so many ticks need. */
  readonly tick: (count: number) => (value: number) => string
}

/** Around these values, with a little room; `zero` is always on it where asked. */
export function axisOf(values: Iterable<number>, unit: Unit, { zero = false, room = 0.05 } = {}): Axis {
  let [low, high] = zero ? [0, 0] : [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  if (low > high) [low, high] = [0, 1]
  const spare = (high - low) * room
  // All values the same, or nearer to each other than floating point can divide.
  const same = high - low <= Math.max(Math.abs(low), Math.abs(high), 1) * 1e-9
  const [less, more] = same ? [zero ? 0 : around(low), around(high)] : [spare, spare]
  const domain = [
    zero && low === 0 && high > 0 ? 0 : low - less,
    zero && high === 0 && low < 0 ? 0 : high + more,
  ] as const
  const most = Math.max(Math.abs(domain[0]), Math.abs(domain[1]))
  const [divisor, name] = scaleOf(unit, most)
  const scale = scaleLinear([domain[0] / divisor, domain[1] / divisor], [0, 1])
  const tick = (count: number) => {
    const format = most / divisor < 1e7 ? scale.tickFormat(count) : number
    return (value: number) => format(value / divisor)
  }
  return { domain, unit: name, tick }
}

const around = (value: number) => (Math.abs(value) < 1e-9 ? 1 : Math.abs(value) / 2)

function scaleOf(unit: Unit, most: number): [divisor: number, name: string] {
  if (unit === 'tokens') return [1, 'tokens']
  if (unit === 'share') return [0.01, '%']
  return most >= 600_000 ? [60_000, 'minutes'] : most >= 10_000 ? [1000, 's'] : [1, 'ms']
}

/** Ticks of an axis of values that goes upwards. */
export const UPWARDS = 4

/** Ticks that have room on so many px. */
export const ticksFor = (width: number): number => Math.min(6, Math.max(2, Math.floor(width / 70)))
