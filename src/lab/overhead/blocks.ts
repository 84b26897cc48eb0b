import { medianInterval, medianOf } from '../statistics/median-interval.ts'
import type { Contrast } from './result.ts'
import type { Sample } from './sample.ts'

/** One block: the trials of each of its cells. */
export type Block = ReadonlyMap<string, readonly Sample[]>

/** In their order; a block that was not finished is one like the others, as far as it has both cells of a pair. */
export const blocksOf = (samples: readonly Sample[]): Block[] =>
  [...Map.groupBy(samples, ({ block }) => block)]
    .sort(([a], [b]) => a - b)
    .map(([, ofBlock]) => Map.groupBy(ofBlock, ({ cell }) => cell.id))

export type Figure = (sample: Sample) => number | undefined

export const firstToken: Figure = ({ firstTokenMs }) => firstTokenMs
export const wholeCall: Figure = ({ callMs }) => callMs
export const phase =
  (name: keyof Sample['phases']): Figure =>
  ({ firstTokenMs, phases }) =>
    firstTokenMs === undefined ? undefined : (phases[name] ?? 0)

/** The median of a figure in one cell of one block. */
export const inBlock = (block: Block, cell: string, figure: Figure): number | undefined =>
  medianOf((block.get(cell) ?? []).map(figure))

/**
 * One cell less another, in one block: the median of the pairs that were made one after the other, where both have as many trials,
 * else the difference of the medians.
 */
export function differenceInBlock(
  block: Block,
  [more, less]: readonly [string, string],
  figure: Figure,
): number | undefined {
  const [a, b] = [block.get(more) ?? [], block.get(less) ?? []]
  const minus = (x?: number, y?: number) => (x === undefined || y === undefined ? undefined : x - y)
  if (a.length !== b.length) return minus(inBlock(block, more, figure), inBlock(block, less, figure))
  return medianOf(a.map((sample, at) => minus(figure(sample), figure(b[at]!))))
}

/** The median over blocks of what each block says, and how sure that is. */
export function overBlocks(
  blocks: readonly Block[],
  say: (block: Block) => number | undefined,
): Pick<Contrast, 'ms' | 'interval' | 'level' | 'n'> {
  const said = blocks.map(say).filter((value) => value !== undefined)
  const ms = medianOf(said)
  const interval = medianInterval(said)
  return {
    ...(ms !== undefined && { ms: rounded(ms) }),
    ...(interval !== undefined && { interval: roundedPair(interval.ends), level: interval.level }),
    n: said.length,
  }
}

/** To the microsecond, so that a report has no digits that were not measured. */
export const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000 + 0

export const roundedPair = ([low, high]: readonly [number, number]): [number, number] => [rounded(low), rounded(high)]
