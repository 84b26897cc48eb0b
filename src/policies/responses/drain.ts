import { fireWhenSettled, type ResponseDefinition } from '../../core/policy.ts'

/** Lets the call run to its end, then goes on. Wastes nothing; the next stage waits for all the rest of the call. */
export const drain: ResponseDefinition<undefined> = {
  name: 'drain',
  summary: 'Lets the call finish, then goes on: nothing wasted, the longest wait.',
  start: () => [fireWhenSettled],
}
