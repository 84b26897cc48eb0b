import { z } from 'zod'
import { durationSchema } from '../../core/duration.ts'
import {
  cancelCall,
  decide,
  fireWhenSettled,
  pauseDelivery,
  type ResponseDefinition,
  releaseDelivery,
  setDeadline,
} from '../../core/policy.ts'

interface Hold {
  /** How long delivery is paused, ms; 600 by default. */
  readonly confirm: number
  /** What happens when nothing confirmed the interrupt by then. */
  readonly otherwise: 'resume' | 'abort'
}

const stop = [cancelCall, fireWhenSettled]

/**
 * Pauses delivery while the call goes on. A second signal confirms the interrupt: the call is cancelled. Without one, what was
 * held is released and the call goes on as if nothing had been: a false interrupt costs nothing.
 */
export const hold: ResponseDefinition<Hold> = {
  name: 'hold',
  summary: 'Pauses delivery; a second signal aborts the call, silence lets it go on.',
  parameter: z
    .strictObject({
      confirm: durationSchema.default(600),
      otherwise: z.enum(['resume', 'abort']).default('resume'),
    })
    .prefault({}),
  parameterHint: 'confirm: how long delivery is paused, 600ms; otherwise: resume or abort',
  start: (_view, { confirm }) => [pauseDelivery, setDeadline(confirm)],
  on: {
    superseded: () => [...stop, decide('abort', 'a second signal confirmed the interrupt')],
    deadline: (_view, { confirm, otherwise }) =>
      otherwise === 'resume'
        ? [releaseDelivery, decide('resume', `nothing confirmed the interrupt within ${confirm} ms`)]
        : [...stop, decide('abort', `nothing took the interrupt back within ${confirm} ms`)],
  },
}
