import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type ParsedNode, Scalar } from 'yaml'
import type { Path } from './problems.ts'

/**
 * The offset in the source of the value at `path`, or of its key. What is not there has the place of the nearest mapping or
 * list around it; a key without a value has its own. `offset` counts into a text value.
 */
export function offsetOf(
  document: Document.Parsed,
  source: string,
  path: Path,
  { key = false, offset }: { key?: boolean; offset?: number },
): number {
  let node: Node | null | undefined = document.contents
  let start = node?.range?.[0] ?? 0
  for (const [depth, step] of path.entries()) {
    const parent: Node | null | undefined = isAlias(node) ? node.resolve(document) : node
    const last = depth === path.length - 1
    if (isMap<Scalar<string>, ParsedNode | null>(parent)) {
      const pair: Pair<Scalar<string>, ParsedNode | null> | undefined = parent.items.find(
        (item) => String(item.key.value) === String(step),
      )
      if (pair === undefined) break
      node = pair.value
      start = (last && key) || !node?.range || isEmpty(node) ? pair.key.range![0] : node.range[0]
    } else if (isSeq<ParsedNode>(parent) && typeof step === 'number') {
      node = parent.items[step]
      if (!node?.range) break
      start = node.range[0]
    } else break
    if (last && offset !== undefined && isScalar(node)) start = offsetInText(node, source, offset)
  }
  return start
}

/** Nothing is written after the key: the key is the better place. */
const isEmpty = (node: Node): boolean => isScalar(node) && node.range![0] === node.range![1]

/** Where the character `offset` of a text value stands in the file; the value's start where that cannot be told (folded, escaped). */
function offsetInText(node: Scalar, text: string, offset: number): number {
  const [start, end] = node.range!
  const value = String(node.value)
  if (node.type === Scalar.BLOCK_LITERAL) {
    const before = value.slice(0, offset).split('\n')
    let line = text.indexOf('\n', start) + 1
    for (let skipped = 1; skipped < before.length; skipped++) line = text.indexOf('\n', line) + 1
    const own = value.split('\n')[before.length - 1]!
    const indent = text.slice(line, text.indexOf('\n', line) >>> 0).indexOf(own)
    return line + Math.max(0, indent) + before.at(-1)!.length
  }
  const quote = node.type === Scalar.PLAIN ? 0 : 1
  return text.slice(start + quote, end - quote) === value ? start + quote + offset : start
}
