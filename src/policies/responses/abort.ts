import { cancelCall, fireWhenSettled, type ResponseDefinition } from '../../core/policy.ts'

/** Cancels the call, waits until it has settled and a slot is free, then goes on. Wastes what is not carried. */
export const abort: ResponseDefinition<undefined> = {
  name: 'abort',
  summary: 'Cancels the call, waits until its slot is free, goes on.',
  start: () => [cancelCall, fireWhenSettled],
}
