import type { MetricName } from './metric.ts'
import type { Policy } from './policy.ts'

/**
 * What is the same in every trial of an arm because its policies leave nothing to chance: where each boundary lets the call run to its
 * end and carries all of it on, nothing is wasted. A mean of such an arm needs no spread of values to be believed.
 */
export function constantMetrics(policies: readonly Pick<Policy, 'response' | 'carry'>[]): readonly MetricName[] {
  const keepsAll = policies.every(
    ({ response, carry }) => response.name === 'drain' && (carry === 'all' || carry === 'sentences'),
  )
  return keepsAll ? ['wastedTokens', 'wastedSlotMs'] : []
}
