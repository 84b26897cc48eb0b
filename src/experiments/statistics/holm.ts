/** Holm (1979): p values adjusted for all of them together, in the order given. */
export function holm(p: readonly number[]): number[] {
  const adjusted = new Array<number>(p.length)
  let highest = 0
  const rising = p.map((value, index) => ({ value, index })).sort((a, b) => a.value - b.value || a.index - b.index)
  for (const [rank, { value, index }] of rising.entries()) {
    highest = Math.max(highest, Math.min(1, value * (p.length - rank)))
    adjusted[index] = highest
  }
  return adjusted
}
