import type { CallEnd } from '../core/call.ts'
import type { MarkName } from '../core/ledger.ts'
import type { CallPlace } from '../core/ports.ts'

/** What the worker of a call tells its run. Instants are ms on the fleet's clock. */
export type NewsItem =
  | readonly ['placed', CallPlace]
  | readonly ['mark', MarkName, number]
  | readonly ['token', number, string]
  | readonly ['end', CallEnd]

/** Items in order; the `index`th batch of its call. */
export type NewsBatch = readonly NewsItem[]
