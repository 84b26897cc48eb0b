import { durationSchema } from '../../core/duration.ts'
import { cancelCall, fireWhenSettled, type ResponseDefinition, setDeadline } from '../../core/policy.ts'

/** Lets the call run on for `delay` ms, then cancels it. Delays the next stage by at most `delay`; wastes nothing if the call ends in time. */
export const grace: ResponseDefinition<number> = {
  name: 'grace',
  summary: 'Lets the call run on for some time, then cancels it.',
  parameter: durationSchema,
  parameterHint: 'D: how long the call may run on',
  start: (_view, delay) => [setDeadline(delay), fireWhenSettled],
  on: { deadline: () => [cancelCall] },
}
