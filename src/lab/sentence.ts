import { type MetricName, metrics, type Statistic } from '../core/experiment.ts'
import type { Comparison } from './analysis.ts'

interface Judged {
  readonly name: string
  readonly baseline: string
  /** How an arm is called in a sentence. */
  readonly labelOf: (arm: string) => string
  readonly decision: string
  /** Of the first metric. */
  readonly primary: readonly Comparison[]
  readonly waste: readonly Comparison[]
}

const places: Readonly<Record<Statistic, string>> = {
  p50: 'at the median',
  p95: 'at the 95th percentile',
  p99: 'at the 99th percentile',
  mean: 'on average',
}

/** What an arm does, for metrics that have a plain word for it: behind it comes a length and `less` or `more`. */
const words: Readonly<
  Partial<Record<MetricName, { does: string; lower: string; higher: string; of?: string; per?: string }>>
> = {
  interruptToFirstTokenMs: { does: 'answers an interrupt', lower: 'sooner', higher: 'later' },
  answerMs: { does: 'has its answer', lower: 'sooner', higher: 'later' },
  arrivalToAnswerMs: { does: 'has its answer', lower: 'sooner', higher: 'later' },
  firstTokenMs: { does: 'shows its first token', lower: 'sooner', higher: 'later' },
  wastedTokens: { does: 'wastes', lower: 'less', higher: 'more', per: 'a run' },
  wastedSlotMs: { does: 'wastes', lower: 'less', higher: 'more', of: ' of slot time', per: 'a run' },
  keptTokens: { does: 'keeps', lower: 'less', higher: 'more', per: 'an interrupt' },
}

/** One sentence on one arm against the baseline. */
export function sentenceOf({ name: arm, baseline: other, labelOf, decision, primary, waste }: Judged): string {
  const [name, baseline] = [labelOf(arm), labelOf(other)]
  const found = primary.find(isDifferent) ?? primary.find(({ finding }) => finding !== 'refused') ?? primary[0]
  if (found === undefined || decision === 'none')
    return `No verdict on ${name}${found === undefined ? '' : ` against ${baseline}: ${found.note ?? 'nothing was measured'}`}.`
  const wasted = waste.find((each) => isDifferent(each) && each.statistic === 'mean') ?? waste.find(isDifferent)
  const joined = wasted === undefined ? '' : `${joint(found, wasted)} ${clause(wasted)}`
  if (isDifferent(found)) return `${name} ${clause(found, baseline)}${evidence(found)}${joined}.`
  const what = `${name} and ${baseline}`
  const where = `in ${metrics[found.metric].title} ${places[found.statistic]}`
  const more = joined === '' ? '' : `; ${name} ${clause(wasted!)}`
  if (found.finding === 'equivalent' && found.equivalence !== undefined)
    return `${what} do not differ by more than ${amount(found.metric, found.equivalence.margin)} ${where}${evidence(found)}${more}.`
  const least =
    found.detectable === undefined
      ? ''
      : `; one of ${amount(found.metric, found.detectable)} would be found in 4 of 5 such experiments`
  return `No difference of ${what} was found ${where}${evidence(found)}${least}${more}.`
}

const isDifferent = ({ finding }: Comparison) => finding === 'lower' || finding === 'higher'
const isBetter = ({ metric, finding }: Comparison) => finding === metrics[metric].better
const joint = (first: Comparison, second: Comparison) => (isBetter(first) === isBetter(second) ? ' and' : ' but')

/** Such as `answers an interrupt 41 ms sooner than drain at the median`. */
function clause({ metric, statistic, finding, difference = 0 }: Comparison, baseline?: string): string {
  const direction = finding === 'lower' ? 'lower' : 'higher'
  const than = baseline === undefined ? '' : ` than ${baseline}`
  const word = words[metric]
  const size = amount(metric, Math.abs(difference))
  if (word === undefined) return `has a ${metrics[metric].title} ${size} ${direction}${than} ${places[statistic]}`
  const place = statistic === 'mean' && word.per !== undefined ? word.per : places[statistic]
  return `${word.does} ${size}${word.of ?? ''} ${word[direction]}${than} ${place}`
}

/** The interval with the sign that the sentence before it has. */
function evidence({ metric, finding, interval, pHolm, level }: Comparison): string {
  const ends = interval === undefined ? [] : finding === 'lower' ? [-interval[1], -interval[0]] : [...interval]
  const parts = [
    ...(ends.length === 2
      ? [
          `${Number((100 * level).toPrecision(3))} % interval ${figure(metric, ends[0]!)} to ${amount(metric, ends[1]!)}`,
        ]
      : []),
    ...(pHolm === undefined ? [] : [`p = ${short(pHolm, 2)} after Holm`]),
  ]
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}

const short = (value: number, digits: number) => String(Number(value.toPrecision(digits))).replace('-', '−')
const figure = (metric: MetricName, value: number) => {
  const scaled = metrics[metric].unit === 'share' ? 100 * value : value
  return Math.abs(scaled) >= 100 ? short(Math.round(scaled), 9) : short(scaled, 3)
}
const amount = (metric: MetricName, value: number) =>
  `${figure(metric, value)} ${metrics[metric].unit === 'share' ? 'percentage points' : metrics[metric].unit}`
