import type { Budget } from './template-budget.ts'

/** Up to this the search of the language is linear enough; beyond it there are texts for which it takes minutes. */
const SHORT = 16

/** ns, by the list of prices. */
const priceOf = (text: string, pattern: string): number =>
  pattern.length > SHORT ? (text.length + pattern.length) * 15 : text.length * (2 + pattern.length)

/** Where the pattern stands in the text from left to right, without overlaps. The work is in proportion to both. */
export function* findAll(text: string, pattern: string, budget: Budget): Generator<number, void, undefined> {
  budget.spend(priceOf(text, pattern))
  if (pattern.length > SHORT) {
    let free = 0
    for (const at of allOf(text, pattern)) {
      if (at < free) continue
      free = at + pattern.length
      yield at
    }
    return
  }
  const step = Math.max(1, pattern.length)
  for (let at = text.indexOf(pattern); at !== -1 && at < text.length; at = text.indexOf(pattern, at + step)) yield at
}

/** Where it stands first; -1: nowhere. */
export function findFirst(text: string, pattern: string, budget: Budget): number {
  for (const at of findAll(text, pattern, budget)) return at
  return pattern === '' ? 0 : -1
}

/** Where it stands last, overlaps included; -1: nowhere. */
export function findLast(text: string, pattern: string, budget: Budget): number {
  budget.spend(priceOf(text, pattern))
  if (pattern.length <= SHORT) return text.lastIndexOf(pattern)
  let last = -1
  for (const at of allOf(text, pattern)) last = at
  return last
}

/** All places, overlaps included: the search of Knuth, Morris and Pratt, which never goes back in the text. */
function* allOf(text: string, pattern: string): Generator<number, void, undefined> {
  const borders = bordersOf(pattern)
  let matched = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    while (matched > 0 && unit !== pattern.charCodeAt(matched)) matched = borders[matched - 1]!
    if (unit === pattern.charCodeAt(matched)) matched += 1
    if (matched === pattern.length) {
      yield at - matched + 1
      matched = borders[matched - 1]!
    }
  }
}

/** For each beginning of the pattern how much of its own beginning it ends with. */
function bordersOf(pattern: string): Int32Array {
  const borders = new Int32Array(pattern.length)
  let border = 0
  for (let at = 1; at < pattern.length; at++) {
    const unit = pattern.charCodeAt(at)
    while (border > 0 && unit !== pattern.charCodeAt(border)) border = borders[border - 1]!
    if (unit === pattern.charCodeAt(border)) border += 1
    borders[at] = border
  }
  return borders
}
