import type { FinishReason } from '../../core/call.ts'

/** The words in which servers say why a model stopped. */
const words: Readonly<Record<FinishReason, readonly string[]>> = {
  stop: ['stop', 'eos', 'eos_token', 'end_turn', 'stop_sequence', 'stop_token', 'complete', 'completed', 'end', 'done'],
  length: ['length', 'max_tokens', 'max_output_tokens', 'max_length', 'limit', 'model_length', 'max_new_tokens'],
  'tool-calls': ['tool_calls', 'tool_call', 'tool_use', 'function_call', 'tools'],
  'content-filter': ['content_filter', 'content_filtered', 'safety', 'refusal', 'blocklist', 'prohibited_content'],
}
/** Not an end of an answer: something went wrong at the server. */
const faults = ['error', 'abort', 'aborted', 'cancelled', 'canceled', 'network_error', 'insufficient_system_resource']

const known: ReadonlyMap<string, FinishReason | 'fault'> = new Map([
  ...Object.entries(words).flatMap(([reason, names]) =>
    names.map((name): [string, FinishReason] => [name, reason as FinishReason]),
  ),
  ...faults.map((name): [string, 'fault'] => [name, 'fault']),
])

/** A server's word for the end of an answer. */
export interface Finish {
  /** Absent for a word that is not known. */
  readonly reason?: FinishReason
  /** The word itself, bounded. */
  readonly said: string
  /** The answer did not end: the server gave it up. */
  readonly isFault: boolean
}

/** How much is kept of a word that is not known, in characters. */
const LONGEST = 64

/** Reads a finish reason; undefined for none: absent, null, empty, no text. */
export function finishOf(value: unknown): Finish | undefined {
  if (typeof value !== 'string' || value.trim() === '') return undefined
  const said = value.trim().slice(0, LONGEST)
  const meant = known.get(said.toLowerCase().replaceAll(/[-\s]/g, '_'))
  if (meant === 'fault') return { said, isFault: true }
  return { ...(meant !== undefined && { reason: meant }), said, isFault: false }
}
