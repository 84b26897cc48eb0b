import { extent, range } from 'd3-array'
import { scaleLinear } from 'd3-scale'
import { number, type Unit } from '../figures.ts'

/** An axis in a unit that fits its values. */
export interface Axis {
  readonly type: 'linear' | 'log'
  readonly domain: readonly [number, number]
  /** `ms`, `s`, `minutes`, `tokens`, `%`. */
  readonly unit: string
  /** About so many values that are round in that unit. */
  readonly ticks: (count: number) => number[]
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
  const ticks = (count: number) => scale.ticks(count).map((value) => value * divisor)
  return { type: 'linear', domain, unit: name, ticks, tick }
}

/** A logarithmic one where the largest value is more than `LONG` times the smallest, and none is 0: long tails hide the rest. */
export function axisOfSpread(values: readonly number[], unit: Unit): Axis {
  const [low = 0, high = 0] = extent(values)
  if (low <= 1e-9 || high / low < LONG) return axisOf(values, unit)
  const domain = [low / 1.1, high * 1.1] as const
  const [divisor, name] = scaleOf(unit, domain[1])
  const powers = range(Math.floor(Math.log10(domain[0] / divisor)), Math.ceil(Math.log10(domain[1] / divisor)) + 1)
  const within = (steps: readonly number[]) =>
    powers
      .flatMap((power) => steps.map((step) => step * 10 ** power * divisor))
      .filter((value) => value >= domain[0] && value <= domain[1])
  const ticks = (count: number) => {
    const fine = within([1, 2, 5])
    if (fine.length <= count + 2) return fine
    const coarse = within([1])
    return coarse.filter((_, index) => index % Math.ceil(coarse.length / count) === 0)
  }
  return { type: 'log', domain, unit: `${name}, logarithmic`, ticks, tick: () => (value) => number(value / divisor) }
}

const LONG = 50

const around = (value: number) => (Math.abs(value) < 1e-9 ? 1 : Math.abs(value) / 2)

/** From so many ms on: so many ms are one. */
const lengths = [
  [259_200_000, 86_400_000, 'days'],
  [10_800_000, 3_600_000, 'hours'],
  [600_000, 60_000, 'minutes'],
  [10_000, 1000, 's'],
  [0, 1, 'ms'],
] as const

function scaleOf(unit: Unit, most: number): [divisor: number, name: string] {
  if (unit === 'tokens') return [1, 'tokens']
  if (unit === 'share') return [0.01, '%']
  return lengths.find(([least]) => most >= least)!.slice(1) as [number, string]
}

/** Ticks of an axis of values that goes upwards. */
export const UPWARDS = 4

/** Ticks that have room on so many px. */
export const ticksFor = (width: number): number => Math.min(6, Math.max(2, Math.floor(width / 70)))
