import type { CellPlan } from './design.ts'
import type { Sample } from './sample.ts'
import { median, medianInterval, roundedPair } from './statistics.ts'

/** One block: the trials of each of its cells. */
export type Block = ReadonlyMap<string, readonly Sample[]>

/** In their order; a block that was not finished is one like the others, as far as it has both cells of a pair. */
export function blocksOf(samples: readonly Sample[]): Block[] {
  const blocks = new Map<number, Map<string, Sample[]>>()
  for (const sample of samples) {
    const block = blocks.get(sample.block) ?? new Map<string, Sample[]>()
    blocks.set(sample.block, block)
    block.set(sample.cell.id, [...(block.get(sample.cell.id) ?? []), sample])
  }
  return [...blocks].sort(([a], [b]) => a - b).map(([, block]) => block)
}

export type Figure = (sample: Sample) => number | undefined

export const firstToken: Figure = ({ firstTokenMs }) => firstTokenMs
export const wholeCall: Figure = ({ callMs }) => callMs
export const phase =
  (name: keyof Sample['phases']): Figure =>
  ({ firstTokenMs, phases }) =>
    firstTokenMs === undefined ? undefined : (phases[name] ?? 0)

/** The median of a figure in one cell of one block. */
export const inBlock = (block: Block, cell: CellPlan['id'], figure: Figure): number | undefined =>
  median((block.get(cell) ?? []).map(figure))

/**
 * One cell less another, in one block: the median of the pairs that were made one after the other, where both have as many trials,
 * else the difference of the medians.
 */
export function differenceInBlock(block: Block, more: string, less: string, figure: Figure): number | undefined {
  const [a, b] = [block.get(more) ?? [], block.get(less) ?? []]
  const minus = (x: number | undefined, y: number | undefined) =>
    x === undefined || y === undefined ? undefined : x - y
  if (a.length !== b.length) return minus(inBlock(block, more, figure), inBlock(block, less, figure))
  return median(a.map((sample, at) => minus(figure(sample), figure(b[at]!))))
}

/** The median over blocks of what each block says, and how sure that is. */
export function overBlocks(
  blocks: readonly Block[],
  say: (block: Block) => number | undefined,
): { readonly ms?: number; readonly interval?: [number, number]; readonly n: number } {
  const said = blocks.map(say).filter((value) => value !== undefined)
  const ms = median(said)
  const interval = medianInterval(said)
  return {
    ...(ms !== undefined && { ms }),
    ...(interval !== undefined && { interval: roundedPair(interval) }),
    n: said.length,
  }
}
