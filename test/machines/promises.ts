import type { CallRecord, InterruptRecord } from '../../src/core/record.ts'
import { eventsOf, must, type Played } from './played.ts'

/** One interrupt and the two calls of its boundary. */
interface Boundary {
  /** When the first of its signals came: the response's clock started there. */
  readonly at: number
  /** When the last of them came. */
  readonly newest: number
  readonly old: CallRecord
  /** When the old call was told to stop. */
  readonly stoppedAt?: number
  readonly next: CallRecord
  readonly decision: string
  readonly carry: string
  /** The response's parameter, as the scenario has it. */
  readonly parameter: unknown
}

/** When the stage of a call was over: it had settled, and its text was handed out or stopped. */
const over = ({ settledMs, spokenMs = 0 }: CallRecord) => Math.max(settledMs, spokenMs)

const number = (parameter: unknown, key?: string): number =>
  Number(key === undefined ? parameter : (parameter as Readonly<Record<string, unknown>>)[key])

/** What each response says of when the old call stops and when the next one starts. In virtual time it holds to the nanosecond. */
const promises: Readonly<Record<string, (boundary: Boundary) => boolean>> = {
  drain: ({ old, next, stoppedAt }) => stoppedAt === undefined && next.startMs === over(old),
  abort: ({ at, old, next, stoppedAt }) => stoppedAt === at && next.startMs === over(old),
  overlap: ({ at, next, stoppedAt }) => stoppedAt === at && next.startMs === at,
  race({ newest, next, old, stoppedAt, carry }) {
    const { firstTokenMs = Number.POSITIVE_INFINITY } = next
    const wonAt = Math.min(firstTokenMs, over(next))
    // The whole answer counts once it is there: only a call that did not look at it goes on.
    if (old.settlement === 'drained') return carry === 'none' || next.startMs === over(old) || wonAt === over(old)
    return next.startMs === newest && (over(old) < wonAt || stoppedAt === undefined || stoppedAt === wonAt)
  },
  grace({ at, old, next, stoppedAt = over(old), parameter }) {
    const isInTime =
      old.settlement === 'drained' ? stoppedAt <= at + number(parameter) : stoppedAt === at + number(parameter)
    return isInTime && next.startMs === over(old)
  },
  boundary: ({ at, old, next, stoppedAt = over(old), parameter }) =>
    stoppedAt <= at + number(parameter, 'cap') && next.startMs === over(old),
  hold: ({ at, old, next, stoppedAt = over(old), parameter }) =>
    stoppedAt <= at + number(parameter, 'confirm') && next.startMs >= over(old),
  adaptive: ({ at, old, next, stoppedAt, decision }) =>
    stoppedAt === (decision === 'abort' ? at : undefined) && next.startMs === over(old),
}

/** Each interrupt did what its response promises. Calls that failed, or were retried, are left out: their faults come in between. */
export function checkPromises(played: Played): void {
  const { record, scenario } = played
  const handled = record.interrupts.filter(({ suppressed }) => !suppressed)
  for (const [index, interrupt] of handled.entries()) {
    const { from, toCall, response, decision, carry } = interrupt
    const old = record.stages.find(({ callId }) => callId === interrupt.fromCall)!
    const next = record.stages.find(({ callId }) => callId === toCall)
    if (response === 'hold') checkHeld(played, old, interrupt)
    const isCalm = scenario.stages.every(({ retry, timeout }) => retry === undefined && timeout === undefined)
    if (next === undefined || !isCalm || old.settlement === 'failed') continue
    // A cancelled run stops its calls whenever it likes.
    const endedAt = Math.min(record.durationMs, scenario.cancelAtMs ?? Number.POSITIVE_INFINITY)
    if (record.outcome !== 'completed' && over(old) >= endedAt) continue
    let first = index
    while (handled[first - 1]?.superseded) first -= 1
    const isStopped = old.settlement === 'aborted' || old.settlement === 'withdrawn'
    const stoppedAt =
      old.marks.find(({ name }) => name === 'abort-requested')?.ms ?? (isStopped ? old.spokenMs : undefined)
    const written = scenario.stages['abc'.indexOf(from)]!.policy.response
    const boundary: Boundary = {
      at: handled[first]!.at,
      newest: interrupt.at,
      old,
      ...(stoppedAt !== undefined && { stoppedAt }),
      next,
      decision,
      carry,
      parameter: typeof written === 'string' ? undefined : Object(written)[response],
    }
    must(promises[response]!(boundary), response, 'does not do what it promises', boundary)
  }
}

/** While nothing resumes the call, nothing of it is told; an aborted one is never told on. */
function checkHeld({ events }: Played, { callId }: CallRecord, { at, decision }: InterruptRecord): void {
  const resumed = events.find(
    (event) =>
      event.type === 'interrupt-decide' && event.decision === 'resume' && event.callId === callId && event.ms >= at,
  )
  const until = decision === 'resume' ? resumed!.ms : Number.POSITIVE_INFINITY
  const told = eventsOf(events, callId).filter(({ type, ms }) => type === 'token' && ms > at && ms < until)
  must(told.length === 0, callId, 'is told on', told, 'though it is held from', at, 'to', until)
}
