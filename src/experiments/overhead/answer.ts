import type { Contrast, Replication } from './result.ts'

/** Fewer blocks than these have no interval of a median at 95 %. */
export const FEW_BLOCKS = 6

/** HTTP is not the cause where it is surely less than this share of the difference, and is where it is surely more than `MOST`. */
const LITTLE = 0.25
const MOST = 0.5

/** ms as a sentence has it. */
const said = (ms: number): string => {
  const text = Math.abs(ms) < 9.95 ? ms.toFixed(1) : String(Math.round(ms))
  return text === '-0.0' ? '0.0' : text
}
/** Of fewer blocks there is no interval of a median at 95 %. */
const between = ([low, high]: readonly [number, number], blocks: number): string =>
  `${blocks < FEW_BLOCKS ? `range of ${blocks} blocks` : '95 % interval'} ${said(low)} to ${said(high)}`

/**
 * The answer to "is it HTTP?" in one or two sentences, from what HTTP costs a call (the first contrast of transport), the
 * difference of the two runs over HTTP, and the same difference without HTTP.
 */
export function answerFrom(
  transport: Pick<Contrast, 'ms' | 'interval' | 'n'> | undefined,
  overHttp: Pick<Replication, 'differenceMs' | 'interval' | 'parts' | 'n'>,
  inProcess?: Pick<Replication, 'differenceMs' | 'interval'>,
): string {
  const { differenceMs, interval: range } = overHttp
  if (transport?.ms === undefined || differenceMs === undefined)
    return 'Not known: too little was measured to compare HTTP with the same engine in-process.'
  const costs = `HTTP costs ${said(transport.ms)} ms a call`
  if (transport.interval === undefined || range === undefined)
    return `Not known: ${costs} here, and the two runs differ by ${said(differenceMs)} ms, but one block has no interval.`
  const measured = `${costs} (${between(transport.interval, transport.n)})`
  const [low, high] = transport.interval
  const [least, most] = range
  if (least <= 0)
    return `Not known: the two runs do not differ for certain here (by ${said(differenceMs)} ms, ${between(range, overHttp.n)}), so there is no difference to explain; ${measured}.`
  const what = because(overHttp, inProcess)
  if (high < LITTLE * least) return `No: ${measured}; ${what}`
  if (low > MOST * most) return `Yes: ${measured}, most of the ${said(differenceMs)} ms between the two runs; ${what}`
  if (low > LITTLE * most && high < MOST * least) return `In part: ${measured}; ${what}`
  return `Not known: the intervals are too wide to tell. ${measured}; ${what}`
}

function because(
  overHttp: Pick<Replication, 'differenceMs' | 'parts'>,
  inProcess: Pick<Replication, 'differenceMs' | 'interval'> | undefined,
): string {
  const native = inProcess?.differenceMs
  if (native === undefined) return whatDrained(overHttp)
  const isCertain = inProcess?.interval !== undefined && inProcess.interval[0] > 0
  const without = isCertain
    ? `In-process, without any HTTP, they differ by ${said(native)} ms.`
    : `In-process the difference of ${said(native)} ms is not certain.`
  return `${whatDrained(overHttp)} ${without}`
}

function whatDrained({ differenceMs = 0, parts }: Pick<Replication, 'differenceMs' | 'parts'>): string {
  const drain = parts.find(({ name }) => name === 'drain')?.ms ?? 0
  const rest = 'the rest of the first stage that the drain waited for'
  if (drain <= 0) return `the two runs differ by ${said(differenceMs)} ms, and no wait for the first stage was seen.`
  if (drain <= differenceMs)
    return `of the ${said(differenceMs)} ms between the two runs ${said(drain)} ms are ${rest}.`
  return `the ${said(differenceMs)} ms between the two runs are all of them ${rest} (${said(drain)} ms).`
}
