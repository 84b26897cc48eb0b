import type { MetricName } from '../../core/metric.ts'

/** What of a boundary's policy decides whether it can waste anything. */
export interface WastingPolicy {
  readonly trigger: { readonly name: string }
  readonly response: { readonly name: string }
  readonly carry: string
}

/**
 * What is the same in every trial of an arm because its policies leave nothing to chance: where each boundary lets the call run to its
 * end and carries all of it on, nothing is wasted. A mean of such an arm needs no spread of values to be believed.
 */
export function constantMetrics(policies: readonly WastingPolicy[]): readonly MetricName[] {
  const keepsAll = ({ response, carry }: WastingPolicy) =>
    response.name === 'drain' && (carry === 'all' || carry === 'sentences')
  return policies.length > 0 && policies.every(keepsAll) ? ['wastedTokens', 'wastedSlotMs'] : []
}

/** Of those, the ones that a trial of `ab` can meet: its signals are for the first stage, so others need a trigger that fires by itself. */
export const metByTrials = (policies: readonly WastingPolicy[]): readonly WastingPolicy[] =>
  policies.filter(({ trigger }, stage) => stage === 0 || (trigger.name !== 'signal' && trigger.name !== 'never'))
