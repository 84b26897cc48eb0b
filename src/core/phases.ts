import type { ServerDurations } from './call.ts'
import { type Nanoseconds, nsToMs } from './clock.ts'
import type { MarkName } from './ledger.ts'
import { type Phase, type PhaseName, phaseNames } from './record.ts'

/** The marks of one call that phases are read from, by name. Absent: not observed. */
export type MarkReader = (name: MarkName) => Nanoseconds | undefined

/** One interrupt, as far as phases need it. Instants are whole ns on one scale. */
export interface InterruptInstants {
  readonly interruptedAt: Nanoseconds
  /** When the policy's first commands had been given, and had reached the call. */
  readonly decidedAt?: Nanoseconds
  /** The interrupted call. */
  readonly call: MarkReader
  /** The call that followed; it must have a first token. */
  readonly next: MarkReader
  /** The first of its attempts, where that failed. */
  readonly firstTry?: MarkReader
  /** What the server reported of the following call. */
  readonly server?: ServerDurations
}

interface PhaseNs {
  readonly name: PhaseName
  readonly ns: Nanoseconds
  readonly source: Phase['source']
}

/**
 * Splits the time from an interrupt to the next call's first token. `decide` is the engine's own time: to the first commands, and
 * from the settled call to the next one's start (carry, prompt). The lengths are whole ns, none is zero or negative, and
 * they sum exactly to the whole; what neither a mark nor a report explains is one phase, `unattributed`, at the end.
 * Undefined when the next call has no first token.
 */
export function interruptPhasesNs(instants: InterruptInstants): { total: Nanoseconds; phases: PhaseNs[] } | undefined {
  const { interruptedAt, decidedAt, call, next, firstTry = next, server } = instants
  const firstTokenAt = next('first-token')
  if (firstTokenAt === undefined || firstTokenAt < interruptedAt) return undefined
  const phases = new Map<PhaseName, PhaseNs>()
  let cursor = interruptedAt
  let unattributed = 0

  const add = (name: PhaseName, ns: Nanoseconds, source: Phase['source']) => {
    if (ns > 0) phases.set(name, { name, ns: (phases.get(name)?.ns ?? 0) + ns, source })
  }
  /** From the cursor to this instant it was `name`; a missing instant leaves the cursor where it is. */
  const until = (name: PhaseName | undefined, at: Nanoseconds | undefined) => {
    if (at === undefined) return
    const end = Math.min(Math.max(at, cursor), firstTokenAt)
    if (name === undefined) unattributed += end - cursor
    else add(name, end - cursor, 'observed')
    cursor = end
  }

  const startedAt = firstTry('call-start')
  until('decide', earliest(decidedAt, startedAt))
  const settledAt = call('settled')
  // A next call that was fired before the old one had settled did not wait for it.
  if (settledAt !== undefined && startedAt !== undefined && settledAt <= startedAt) {
    const abortAt = call('abort-requested')
    if (abortAt !== undefined && abortAt <= settledAt) until('drain', abortAt)
    until(abortAt === undefined ? 'drain' : 'settle', settledAt)
  }
  until('decide', startedAt)
  until('retry', next('call-start'))
  const queuedAt = next('queued')
  until('decide', queuedAt)
  until(queuedAt === undefined ? 'slot' : 'queue', next('slot-acquired'))
  until('connect', next('connected'))
  until('send', next('request-sent'))
  until(undefined, next('load-start'))
  until('load', next('load-end'))
  until(undefined, next('prefill-start'))
  until('prefill', next('prefill-end'))
  if (next('prefill-end') !== undefined) until('first-token', firstTokenAt)
  else if (server !== undefined && next('request-sent') !== undefined) {
    cursor += inferred(firstTokenAt, firstTokenAt - cursor, next, server, add)
  }
  unattributed += firstTokenAt - cursor
  add('unattributed', unattributed, 'observed')
  const ordered = phaseNames.flatMap((name) => phases.get(name) ?? [])
  return { total: firstTokenAt - interruptedAt, phases: ordered }
}

/**
 * Splits the server's share (request sent → first token) by the durations that it reported, each cut to what is left of `share`.
 * The residual total − load − prefill − decode is the server's own queue (facts: Ollama takes its slot after the load);
 * transport is what the client waited beyond the server's total. A server that reports no total (llama.cpp's) leaves its queue
 * and the transport unknown: neither is guessed. Returns how much it explained, ns.
 */
function inferred(
  firstTokenAt: Nanoseconds,
  share: Nanoseconds,
  next: MarkReader,
  server: ServerDurations,
  add: (name: PhaseName, ns: Nanoseconds, source: 'inferred') => void,
): Nanoseconds {
  let left = share
  const take = (ns: Nanoseconds): Nanoseconds => {
    const taken = Math.min(Math.max(0, Math.round(ns)), left)
    left -= taken
    return taken
  }
  const load = take(server.loadNs ?? 0)
  const prefill = take(server.prefillNs ?? 0)
  const [sentAt, doneAt] = [next('request-sent'), next('done')]
  const known = server.totalNs !== undefined && server.prefillNs !== undefined
  const queue = known ? take(server.totalNs! - (server.loadNs ?? 0) - server.prefillNs! - (server.decodeNs ?? 0)) : 0
  const transport =
    server.totalNs !== undefined && sentAt !== undefined && doneAt !== undefined
      ? take(doneAt - sentAt - server.totalNs)
      : 0
  // What is left of the server's own time lies between prefill and the arrival of the first token: a part of the decode.
  // Without a total it is the part of the decode that the time since the first token has no room for.
  const decode = server.decodeNs ?? 0
  const sinceFirst = server.totalNs === undefined ? (doneAt ?? Number.POSITIVE_INFINITY) - firstTokenAt : 0
  const firstToken = take(decode - Math.max(0, sinceFirst))
  add('server-queue', queue, 'inferred')
  add('load', load, 'inferred')
  add('prefill', prefill, 'inferred')
  add('first-token', firstToken, 'inferred')
  add('transport', transport, 'inferred')
  return share - left
}

const earliest = (a: Nanoseconds | undefined, b: Nanoseconds | undefined): Nanoseconds | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)

/** `interruptPhasesNs` as records give it: ms, exact to the nanosecond. */
export function interruptPhases(instants: InterruptInstants): { toFirstTokenMs: number; phases: Phase[] } | undefined {
  const split = interruptPhasesNs(instants)
  if (split === undefined) return undefined
  return {
    toFirstTokenMs: nsToMs(split.total),
    phases: split.phases.map(({ name, ns, source }) => ({ name, ms: nsToMs(ns), source })),
  }
}
