/** Names of arms, and which of them have a part of their own. */
interface Named {
  readonly arms: readonly { readonly name: string }[]
  readonly baseline: string
  readonly aaArm?: string
}

/** Which arms are compared: all with the baseline, all with each other, or pairs by name. */
export type Compare = 'baseline' | 'all' | readonly (readonly [arm: string, baseline: string])[]

/** The pairs of `all`: those with the baseline first, then the later arm with the earlier one. The A/A arm only with the baseline. */
export function pairsFrom(
  compare: Exclude<Compare, 'baseline'>,
  { arms, baseline, aaArm }: Named,
): readonly (readonly [string, string])[] {
  if (compare !== 'all') return compare
  const others = arms.map(({ name }) => name).filter((name) => name !== baseline)
  return [
    ...others.map((name) => [name, baseline] as const),
    ...others.flatMap((name, index) =>
      name === aaArm
        ? []
        : others.slice(0, index).flatMap((other) => (other === aaArm ? [] : [[name, other] as const])),
    ),
  ]
}
