import { LEAST_FOR_95 } from '../statistics/median-interval.ts'
import type { Contrast, Finding, Replication } from './result.ts'

/** It is not HTTP where HTTP is surely less than this share of the wait, and in part where it is surely more. */
const LITTLE = 0.25
/** With fewer blocks than these, whose range holds a median in 7 of 8 cases, nothing is said. */
export const LEAST_BLOCKS = 4
/** Two measures of one wait contradict each other where one is surely so many times the other. */
const TWICE = 2

type Measured = Pick<Contrast, 'ms' | 'interval' | 'n'>
type Runs = Pick<Replication, 'differenceMs' | 'interval' | 'parts' | 'n'>

/** What the answer is made of: the contrasts that the report shows first, and the two runs. */
export interface Grounds {
  readonly transport: Measured | undefined
  readonly drain: Measured | undefined
  /** The same wait as its two marks have it. */
  readonly observed?: Measured | undefined
  readonly runs: Runs
  readonly inProcess?: Runs
  /** In words. */
  readonly server: string
}

export interface Answer {
  readonly finding: Finding
  readonly unknown: readonly string[]
  readonly answer: string
}

/** What an interval is: of few blocks there is none of a median at 95 %. */
export const intervalName = (blocks: number): string =>
  blocks < 2 ? 'no interval' : blocks < LEAST_FOR_95 ? `range of ${blocks} blocks` : '95 % interval'

/** ms as a sentence has it. */
export const said = (ms: number): string => {
  const text = Math.abs(ms) < 9.95 ? ms.toFixed(1) : String(Math.round(ms))
  return text === '-0.0' ? '0.0' : text.replace('-', '−')
}

const between = ([low, high]: readonly [number, number], blocks: number): string =>
  `${intervalName(blocks)} ${said(low)} to ${said(high)}`

const figure = ({ ms = 0, interval, n }: Measured): string =>
  interval === undefined ? `${said(ms)} ms (one block, no interval)` : `${said(ms)} ms (${between(interval, n)})`

/**
 * The answer to "is it HTTP?": what HTTP costs a call beside what waiting for the old call costs. Where that is not known it says why,
 * and what was measured all the same.
 */
export function answerFrom(grounds: Grounds): Answer {
  const { transport, drain, server } = grounds
  const unknown = whyUnknown(grounds)
  const costs = [
    ...(transport?.ms === undefined ? [] : [`HTTP costs ${figure(transport)} a call to ${server}`]),
    ...(drain?.ms === undefined ? [] : [`waiting for the old call (drain) costs ${figure(drain)}`]),
  ].join('; ')
  const runs = aboutRuns(grounds)
  const finding = unknown.length > 0 ? 'not known' : compared(transport!.interval!, drain!.interval!)
  if (finding === 'not known') {
    const why = unknown.length > 0 ? unknown : [WIDE]
    const measured = costs === '' ? '' : ` As measured, ${costs}.`
    return { finding, unknown: why, answer: `Not known: ${why.join('; ')}.${measured}${runs}` }
  }
  const word = finding === 'no' ? 'No' : finding === 'yes' ? 'Yes' : 'In part'
  return { finding, unknown: [], answer: `${word}: ${costs}.${runs}` }
}

const WIDE = 'the intervals are too wide to tell, so the machine was too busy, or the blocks are too few'

function compared([low, high]: readonly [number, number], [least, most]: readonly [number, number]): Finding {
  if (high < LITTLE * least) return 'no'
  if (low > most) return 'yes'
  return low > LITTLE * most ? 'in part' : 'not known'
}

function whyUnknown({ transport, drain, observed, runs }: Grounds): string[] {
  if (transport?.ms === undefined) return ['what HTTP costs was not measured']
  if (drain?.ms === undefined) return ['what waiting for the old call costs was not measured']
  const [cost, wait] = [transport.interval, drain.interval]
  const blocks = Math.min(transport.n, drain.n)
  if (cost === undefined || wait === undefined) return ['one block has no interval']
  if (blocks < LEAST_BLOCKS) return [`${blocks} blocks are too few for an answer, which needs ${LEAST_BLOCKS}`]
  const { differenceMs = 0, interval: apart, parts } = runs
  const inRuns = parts.find(({ name }) => name === 'drain')?.ms ?? 0
  return [
    ...(cost[1] < 0 ? ['HTTP cannot save time, so the machine was too busy'] : []),
    ...(wait[0] <= 0
      ? ['it is not certain that waiting for the old call costs anything, so the machine was too busy']
      : []),
    ...(observed?.interval !== undefined && disagree(observed.interval, wait)
      ? [`the wait as observed, ${figure(observed)}, contradicts what waiting costs`]
      : []),
    ...(apart !== undefined && apart[1] < 0 ? ['of the two runs the one that waits was the faster'] : []),
    ...(apart !== undefined && apart[0] > 0 && inRuns < differenceMs / TWICE
      ? [`of the ${said(differenceMs)} ms between the two runs only ${said(inRuns)} ms are a wait`]
      : []),
  ]
}

const disagree = (a: readonly [number, number], b: readonly [number, number]): boolean =>
  Math.max(0, a[0]) > TWICE * Math.max(0, b[1]) || Math.max(0, b[0]) > TWICE * Math.max(0, a[1])

/** Both of them pay for HTTP: it is not what they differ by. */
function aboutRuns({ runs, inProcess }: Grounds): string {
  const { differenceMs: ms, interval, n } = runs
  if (ms === undefined) return ''
  const isCertain = interval !== undefined && (interval[0] > 0 || interval[1] < 0)
  if (!isCertain)
    return ` The two runs do not differ for certain: by ${figure({ ms, ...(interval && { interval }), n })}.`
  const native =
    inProcess?.differenceMs === undefined
      ? ''
      : `; in-process, without any HTTP, by ${figure({ ...inProcess, ms: inProcess.differenceMs })}`
  return ` The two runs, which both pay for HTTP, differ by ${figure({ ms, interval, n })}${native}.`
}
