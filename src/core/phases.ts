import type { Arrival } from './arrival.ts'
import type { ServerDurations } from './call.ts'
import { type Nanoseconds, nsToMs } from './clock.ts'
import type { MarkName } from './ledger.ts'
import { type Phase, type PhaseName, phaseNames } from './record.ts'
import { shareOf } from './server-share.ts'

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
  /** What the server reported of the following call; only where it may be used (`whyUnused`). */
  readonly server?: ServerDurations
  /** How long the following call's prompt is, at least; 0 by default. */
  readonly requestBytes?: number
  /** How its pieces came. */
  readonly arrival?: Arrival
  /** The following call asks no model: a kind of step does its work in this process. */
  readonly isOwn?: boolean
}

interface PhaseNs {
  readonly name: PhaseName
  readonly ns: Nanoseconds
  readonly source: Phase['source']
  readonly candidates?: readonly PhaseName[]
}

/**
 * Splits the time from an interrupt to the next call's first token. `decide` is the engine's own time: to the first commands, and
 * from the settled call to the next one's start (carry, prompt). The lengths are whole ns, none is zero or negative, and
 * they sum exactly to the whole; what could be several things is one phase, `unattributed`, at the end, with their names where they are
 * known.
 * Undefined when the next call has no first token.
 */
export function interruptPhasesNs(instants: InterruptInstants): { total: Nanoseconds; phases: PhaseNs[] } | undefined {
  const { interruptedAt, decidedAt, call, next, firstTry = next } = instants
  const firstTokenAt = next('first-token')
  if (firstTokenAt === undefined || firstTokenAt < interruptedAt) return undefined
  // The server's part ends at the first piece, which may be one of thinking.
  const pieceAt = Math.min(next('first-piece') ?? firstTokenAt, firstTokenAt)
  const phases = new Map<PhaseName, PhaseNs>()
  const candidates = new Set<PhaseName>()
  let cursor = interruptedAt
  let unattributed = 0

  const add = (name: PhaseName, ns: Nanoseconds, source: Phase['source']) => {
    if (ns > 0) phases.set(name, { name, ns: (phases.get(name)?.ns ?? 0) + ns, source })
  }
  /** From the cursor to this instant it was `name`; a missing instant leaves the cursor where it is. */
  const until = (name: PhaseName | undefined, at: Nanoseconds | undefined, latest = pieceAt) => {
    if (at === undefined) return
    const end = Math.max(Math.min(at, latest), cursor)
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
  // A kind that works begins at its mark; one that does not, such as a fixed text, takes the engine's own time.
  until('decide', instants.isOwn ? (next('work-start') ?? pieceAt) : queuedAt)
  if (instants.isOwn) until('tool', pieceAt)
  until(queuedAt === undefined ? 'slot' : 'queue', next('slot-acquired'))
  until('connect', next('connected'))
  if (next('prefill-end') !== undefined) {
    until('send', next('request-sent'))
    until(undefined, next('load-start'))
    until('load', next('load-end'))
    until(undefined, next('prefill-start'))
    until('prefill', next('prefill-end'))
    until('first-token', pieceAt)
  } else if (pieceAt > cursor) {
    const [sentAt, doneAt] = [next('request-sent'), next('done')]
    const { arrival, server, requestBytes = 0 } = instants
    const share = shareOf({ from: cursor, sentAt, pieceAt, server, requestBytes, doneAt, arrival })
    add('send', share.sendNs, 'observed')
    add('server-queue', share.queueNs, 'inferred')
    add('load', share.loadNs, 'inferred')
    add('prefill', share.prefillNs, 'inferred')
    unattributed += share.restNs
    if (share.restNs > 0) for (const name of share.candidates) candidates.add(name)
    cursor = pieceAt
  }
  until('thinking', firstTokenAt, firstTokenAt)
  if (unattributed > 0) {
    const named = phaseNames.filter((name) => candidates.has(name))
    const could = named.length > 0 ? { candidates: named } : {}
    phases.set('unattributed', { name: 'unattributed', ns: unattributed, source: 'observed', ...could })
  }
  const ordered = phaseNames.flatMap((name) => phases.get(name) ?? [])
  return { total: firstTokenAt - interruptedAt, phases: ordered }
}

const earliest = (a: Nanoseconds | undefined, b: Nanoseconds | undefined): Nanoseconds | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)

/** `interruptPhasesNs` as records give it: ms, exact to the nanosecond. */
export function interruptPhases(instants: InterruptInstants): { toFirstTokenMs: number; phases: Phase[] } | undefined {
  const split = interruptPhasesNs(instants)
  if (split === undefined) return undefined
  return {
    toFirstTokenMs: nsToMs(split.total),
    phases: split.phases.map(({ name, ns, source, candidates }) => ({
      name,
      ms: nsToMs(ns),
      source,
      ...(candidates !== undefined && { candidates: [...candidates] }),
    })),
  }
}
