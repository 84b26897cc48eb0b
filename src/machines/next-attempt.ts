import type { CallEnd } from '../core/call.ts'
import type { ErrorCode } from '../core/errors.ts'
import type { Retry } from '../core/pipeline.ts'

/** The bound of a pause doubles up to this, ms. */
const LONGEST_PAUSE_MS = 30_000
/** A server that asks for a longer wait than this, ms, is not asked again. */
const LONGEST_RETRY_AFTER_MS = 60_000

/**
 * Faults after the first token that may not come again: of the connection, the server or its load. An answer that is too long for its
 * limit, or no protocol, would be so again.
 */
const passing: ReadonlySet<ErrorCode> = new Set([
  'CAESURA_E_CONNECTION',
  'CAESURA_E_STREAM_CUT',
  'CAESURA_E_SERVER',
  'CAESURA_E_SERVER_BUSY',
  'CAESURA_E_MODEL_ERROR',
  'CAESURA_E_TIMEOUT_STALL',
] satisfies ErrorCode[])

/** Faults of the run or of this program: every model and every node would end in them. */
const everywhere: ReadonlySet<ErrorCode> = new Set([
  'CAESURA_E_PROMPT_EMPTY',
  'CAESURA_E_OUTPUT_LIMIT',
  'CAESURA_E_POLICY',
  'CAESURA_E_INTERNAL',
] satisfies ErrorCode[])

/** An answer that came whole and is not what was asked for: that shows at its end alone, so its text is withdrawn in any case. */
const isUnfit = ({ error }: CallEnd): boolean => error?.code === 'CAESURA_E_FORMAT'

/** A call that has seen so many workers die may be what they died of. */
const MOST_WORKERS = 10

/** A call that has failed, and how often its target was tried. */
export interface FailedAttempt {
  readonly end: CallEnd
  /** Pieces that had come. */
  readonly pieces: number
  /** Calls of this target so far, this one included. */
  readonly attempts: number
}

/** Whether the same call is worth another attempt. A backend says so of a fault before the first token. */
export function mayTryAgain({ end, pieces, attempts }: FailedAttempt, retry: Retry): boolean {
  if (end.end !== 'failed') return false
  // That a worker died says nothing of the call, so it is made again without having been asked for.
  if (end.error?.code === 'CAESURA_E_WORKER_LOST' && attempts < MOST_WORKERS) return true
  // The same holds where the model was removed from one node, and another has it.
  if (end.elsewhere === true && attempts < MOST_WORKERS) return true
  if (attempts >= retry.attempts) return false
  if ((end.retryAfterMs ?? 0) > LONGEST_RETRY_AFTER_MS) return false
  if (pieces === 0 || isUnfit(end)) return end.retryable === true
  return retry.afterFirstToken === 'restart' && end.error !== undefined && passing.has(end.error.code)
}

/** Whether another model or node may do better. After the first token only where the stage may start again. */
export function mayFallBack({ end, pieces }: FailedAttempt, retry: Retry): boolean {
  if (end.end !== 'failed' || end.error === undefined || everywhere.has(end.error.code)) return false
  return pieces === 0 || isUnfit(end) || retry.afterFirstToken === 'restart'
}

/** The pause after so many attempts, ms: exponential backoff with full jitter, and at least what the server asked for. */
export function pauseMs({ end, attempts }: FailedAttempt, retry: Retry, random: () => number): number {
  const bound = Math.min(LONGEST_PAUSE_MS, retry.pauseMs * 2 ** (attempts - 1))
  return Math.max(random() * bound, end.retryAfterMs ?? 0)
}
