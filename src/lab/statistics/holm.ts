export interface Adjusted {
  /** Adjusted for all of them together. */
  readonly p: number
  /** What its own p is held against: α ÷ the number of those that are still open when its turn comes. */
  readonly alpha: number
}

/** Holm (1979), for the p values that are there, in the order given. From the first one that is not found on, none is. */
export function holm(p: readonly (number | undefined)[], alpha: number): (Adjusted | undefined)[] {
  const adjusted = new Array<Adjusted | undefined>(p.length).fill(undefined)
  const rising = p
    .flatMap((value, index) => (value === undefined ? [] : [{ value, index }]))
    .sort((a, b) => a.value - b.value || a.index - b.index)
  let highest = 0
  let open = rising.length
  for (const [rank, { value, index }] of rising.entries()) {
    const left = rising.length - rank
    if (highest <= alpha) open = left
    highest = Math.max(highest, Math.min(1, value * left))
    adjusted[index] = { p: highest, alpha: alpha / open }
  }
  return adjusted
}
