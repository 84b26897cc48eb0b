import type { CallEnd, ToolCallSeen } from '../core/call.ts'
import type { MarkName } from '../core/ledger.ts'
import type { CallPlace } from '../core/ports.ts'

/** What the worker of a call tells its run. Instants are ms on the fleet's clock. */
export type NewsItem =
  | readonly ['placed', CallPlace, worker: string]
  | readonly ['mark', MarkName, number]
  | readonly ['token', number, string]
  | readonly ['thinking', number, string]
  | readonly ['tool-call', number, ToolCallSeen]
  /** ns. */
  | readonly ['late', number]
  | readonly ['end', CallEnd]

/** Items in order; the `index`th batch of its call. */
export type NewsBatch = readonly NewsItem[]

/** What ends a call whose worker is gone. */
export const lostNews: string = JSON.stringify([
  [
    'end',
    {
      end: 'failed',
      retryable: true,
      error: { code: 'CAESURA_E_WORKER_LOST', message: 'the worker of the call is gone' },
    },
  ],
] satisfies NewsBatch)
