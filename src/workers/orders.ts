import type { CallTicket } from './ticket-queues.ts'

/** A call that was given to a worker in this term of its lease, under a claim with this number. */
export interface GivenCall {
  readonly ticket: CallTicket
  readonly number: string
  readonly term: number
  readonly request: string
}

/** What is published to a stage worker about one call: stop it; claim it; begin with it at once; tell whether it was ever heard of. */
export type Order =
  | { readonly kind: 'cancel'; readonly ticket: CallTicket }
  | { readonly kind: 'take'; readonly ticket: CallTicket; readonly queue: string }
  | ({ readonly kind: 'begin' } & GivenCall)
  | { readonly kind: 'check'; readonly ticket: CallTicket; readonly number: string }

/** `cancel RUN CALL`, `take RUN CALL QUEUE`, `begin RUN CALL NUMBER TERM REQUEST`, `check RUN CALL NUMBER`; undefined for anything else. */
export function readOrder(message: string): Order | undefined {
  const found = /^(cancel|take|begin|check) (\S+) (\S+)(?: (\S+)(?: (\d+) (.+))?)?$/s.exec(message)
  if (found === null) return undefined
  const [, kind, runId = '', callId = '', word, term, request] = found
  const ticket = { runId, callId }
  if (kind === 'cancel') return { kind, ticket }
  if (word === undefined) return undefined
  if (kind === 'take') return { kind, ticket, queue: word }
  if (kind === 'check') return { kind, ticket, number: word }
  return term === undefined || request === undefined
    ? undefined
    : { kind: 'begin', ticket, number: word, term: Number(term), request }
}
