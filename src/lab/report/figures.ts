import type { MetricName, Statistic } from '../../core/experiment.ts'
import { metrics } from '../../core/experiment.ts'
import { milliseconds } from '../../pages/figures.ts'

export type Unit = (typeof metrics)[MetricName]['unit']

/** Three digits, more for what is above a thousand; beyond 10⁹ a power of ten. */
export function number(value: number): string {
  const size = Math.abs(value)
  const sign = value < 0 ? '−' : ''
  if (size >= 1e9 || (size > 0 && size < 1e-3)) return sign + size.toExponential(1)
  return sign + (size >= 100 ? Math.round(size).toLocaleString('en-US') : String(Number(size.toPrecision(3))))
}

/** `152 ms`, `11.8 tokens`, `3.2 %`. */
export function figure(value: number, unit: Unit): string {
  if (unit === 'ms') return (value < 0 ? '−' : '') + milliseconds(Math.abs(value))
  if (unit === 'tokens') return `${number(value)} ${Math.abs(value) === 1 ? 'token' : 'tokens'}`
  return `${number(value * 100)} %`
}

/** With its sign. A difference of two shares is in points of a hundred: `+1.2 points`. */
export function difference(value: number, unit: Unit): string {
  const plus = value > 0 ? '+' : ''
  return plus + (unit === 'share' ? `${number(value * 100)} points` : figure(value, unit))
}

/** `−125 to −110 ms`: the unit once where both ends have the same. */
export function intervalOf([low, high]: readonly [number, number], unit: Unit): string {
  const [from, to] = [difference(low, unit), difference(high, unit)]
  const [, value, ofFrom] = /^(\S+) (\S+)$/.exec(from) ?? []
  return `${ofFrom !== undefined && to.endsWith(` ${ofFrom}`) ? value : from} to ${to}`
}

/** `−78 %`, a share of the baseline's value. */
/** Undefined beyond 1,000 %: of nearly nothing everything is a great share. */
export const relative = (share: number | undefined): string | undefined =>
  share === undefined || Math.abs(share) > 10 ? undefined : `${share > 0 ? '+' : ''}${number(share * 100)} %`

/** No p of a test by permutation is 0. */
export const pValue = (p: number): string => (p < 0.001 ? '< 0.001' : p.toFixed(3))

export const statisticWords: Record<Statistic, string> = { p50: 'median', p95: 'p95', p99: 'p99', mean: 'mean' }

/** Per what a figure is: `a run`, `an interrupt`. */
export const per = (metric: MetricName): string => (metrics[metric].of === 'trial' ? 'a run' : 'an interrupt')

/** A slope, or another number without a unit, to two places. */
export const places = (value: number): string =>
  Math.abs(value) < 1000
    ? value
        .toFixed(2)
        .replace('-', '−')
        .replace(/^−(0\.00)$/, '$1')
    : number(value)
