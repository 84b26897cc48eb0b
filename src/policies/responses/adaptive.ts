import { z } from 'zod'
import { cancelCall, decide, fireWhenSettled, type ResponseDefinition } from '../../core/policy.ts'

interface Adaptive {
  /** What a ms of slot time that is thrown away counts, in ms of waiting; 1 by default. */
  readonly slotPrice: number
}

const ms = (value: number) => `${Math.round(value)} ms`

/**
 * Drains when the expected rest of the call is not more than the expected cost of cancelling it: abort lag + what is thrown away ×
 * `slotPrice`. Both come from what was observed of this model on this node, from a probe, or from stated priors.
 */
export const adaptive: ResponseDefinition<Adaptive> = {
  name: 'adaptive',
  summary: 'Drains when the rest of the call is expected to cost less than cancelling it; else aborts.',
  parameter: z.strictObject({ slotPrice: z.number().min(0).max(1000).default(1) }).prefault({}),
  parameterHint: 'slotPrice: what a ms of wasted slot time counts, in ms of waiting; 1',
  start({ expected, call }, { slotPrice }) {
    const { restMs, abortLagMs, basis } = expected
    const cancelMs = abortLagMs + call.wastedMs * slotPrice
    const figures = `expected rest ${ms(restMs)}, expected cost of cancelling ${ms(cancelMs)} (${ms(abortLagMs)} abort lag + ${ms(call.wastedMs)} wasted × ${slotPrice}); ${basis}`
    return restMs <= cancelMs
      ? [fireWhenSettled, decide('drain', figures)]
      : [cancelCall, fireWhenSettled, decide('abort', figures)]
  },
}
