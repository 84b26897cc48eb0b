const triggerKinds = ['signal', 'after', 'tokens', 'first-token', 'sentence', 'stall', 'any', 'never'] as const
const responseKinds = ['drain', 'abort', 'overlap', 'race', 'grace', 'boundary', 'hold', 'adaptive'] as const
const carries = ['none', 'all', 'sentences', 'delivered'] as const
const placements = ['any', 'same', 'other'] as const
/** `stage`: the id of one of them; `absent`: not written. */
const thens = ['next', 'again', 'stage', 'end', 'absent'] as const

/** One choice of each factor, without its parameters. */
export interface Combination {
  readonly trigger: (typeof triggerKinds)[number]
  readonly response: (typeof responseKinds)[number]
  readonly carry: (typeof carries)[number]
  readonly placement: (typeof placements)[number]
  readonly then: (typeof thens)[number]
}

/** All there are: 8 × 8 × 4 × 3 × 5. */
export const combinations: readonly Combination[] = triggerKinds.flatMap((trigger) =>
  responseKinds.flatMap((response) =>
    carries.flatMap((carry) =>
      placements.flatMap((placement) => thens.map((then) => ({ trigger, response, carry, placement, then }))),
    ),
  ),
)

export const nameOf = (combination: Combination): string => Object.values(combination).join(' × ')

/** Whether a policy of the stage at `index` may start its stage or an earlier one again for ever, all by itself. */
export const isEndless = ({ trigger, then }: Combination, index: number, target: number): boolean =>
  trigger !== 'signal' && trigger !== 'never' && (then === 'again' || (then === 'stage' && target <= index))

/** Whether signals may be ignored: `signal` and, without a trigger that fires by itself, `hold` wait for nothing else. */
export const mayIgnore = ({ trigger, response }: Combination): boolean =>
  trigger !== 'signal' && (trigger !== 'never' || response !== 'hold')

/** A policy as a file writes it. */
export interface WrittenPolicy {
  readonly trigger: unknown
  readonly response: unknown
  readonly carry: string
  readonly placement: unknown
  readonly warm?: string
  readonly then?: string
  readonly limit?: number
}

export interface Parameters {
  /** With its filters. */
  readonly trigger: unknown
  readonly response: unknown
  /** A stage's id, for `then`. */
  readonly target: string
  /** `placement: other` takes any node where there is no other. */
  readonly otherwise?: boolean
  readonly warm?: string
  readonly limit?: number | undefined
}

export function writePolicy({ carry, placement, then }: Combination, parameters: Parameters): WrittenPolicy {
  const { trigger, response, target, otherwise = false, warm, limit } = parameters
  return {
    trigger,
    response,
    carry,
    placement: placement === 'other' && otherwise ? { other: { otherwise: 'any' } } : placement,
    ...(warm !== undefined && { warm }),
    ...(then !== 'absent' && { then: then === 'stage' ? target : then }),
    ...(limit !== undefined && { limit }),
  }
}
