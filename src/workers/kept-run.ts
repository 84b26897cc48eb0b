import type { RunEvent } from '../core/event.ts'
import type { GeneratedText } from '../core/transcript.ts'
import type { Turn } from '../core/turn.ts'
import { turnsBefore } from './fleet-sessions.ts'
import type { NewsBatch } from './news.ts'
import type { FleetRedis } from './redis.ts'
import type { Submitted } from './run-list.ts'
import { type RunSpec, type RunState, readSpec, readState } from './run-spec.ts'
import { asEvent, asNews, readSignal, readStream, readText, type SignalPayload, unreadable } from './wire.ts'

/** What Redis holds of a run for whoever goes on with it. */
export interface KeptRun {
  readonly runId: string
  readonly submitted: Submitted
  readonly spec: RunSpec
  /** Absent where nobody has begun with it. */
  readonly state: RunState | undefined
  /** Of the calls that have settled. */
  readonly texts: ReadonlyMap<string, GeneratedText>
  readonly events: readonly RunEvent[]
  /** Of the calls that have not settled, by call. */
  readonly news: ReadonlyMap<string, readonly (NewsBatch | undefined)[]>
  /** Where those wait, by call. */
  readonly queues: ReadonlyMap<string, string>
  readonly signals: readonly SignalPayload[]
  /** The turns of its session before its own, oldest first. */
  readonly before: readonly Turn[]
  /** An owner before died while it had the run. */
  readonly hasCrashed: boolean
}

/** Reads a run, whose fields are known already. Throws `CAESURA_E_STATE` for what it can't read. */
export async function readKept(redis: FleetRedis, runId: string, fields: Record<string, string>): Promise<KeptRun> {
  const { client, keys } = redis
  const spec = readSpec(runId, fields.spec)
  const state = fields.state === undefined ? undefined : readState(runId, fields.state)
  const texts = new Map<string, GeneratedText>()
  for (const [field, value] of Object.entries(fields)) {
    if (field.startsWith('text:')) texts.set(field.slice(5), readText(runId, value))
  }
  const events = state === undefined ? [] : await readEvents(redis, runId)
  // Else what this owner writes would be refused, and what the next one writes as well.
  if (fields.seq !== String(events.length)) throw unreadable(`the number of events of the run ${runId}`)
  const unsettled = (state?.journal.calls ?? []).filter(({ request }) => !texts.has(request.callId))
  const news = new Map<string, readonly (NewsBatch | undefined)[]>()
  const queues = new Map<string, string>()
  for (const { request } of unsettled) {
    news.set(request.callId, await readNews(redis, runId, request.callId))
    const queue = await client.hget(keys.call(runId, request.callId), 'queue')
    if (queue !== null) queues.set(request.callId, queue)
  }
  const signals = state === undefined ? [] : await readSignals(redis, runId)
  const hasCrashed = Number(fields.crashes ?? 0) > 0
  const submitted = {
    ...{ pipeline: spec.pipeline.name, tenant: spec.tenant, submittedAt: Number(fields.submitted) },
    ...(spec.submittedBy !== undefined && { submittedBy: spec.submittedBy }),
  }
  const before = await turnsBefore(redis, runId, spec)
  return { runId, submitted, spec, state, texts, events, news, queues, signals, before, hasCrashed }
}

/** Throws `CAESURA_E_STATE`. */
export async function readSignals(redis: FleetRedis, runId: string): Promise<SignalPayload[]> {
  const signals = await readStream(redis, redis.keys.signals(runId), `the signals of the run ${runId}`)
  return signals.map(readSignal)
}

/** Throws `CAESURA_E_STATE`. */
async function readEvents(redis: FleetRedis, runId: string): Promise<RunEvent[]> {
  const what = `the events of the run ${runId}`
  const events = await readStream(redis, redis.keys.events(runId), what)
  return events.map((value, index) => {
    const event = asEvent(value)
    if (event?.seq !== index + 1) throw unreadable(what, `event ${index + 1}`)
    return event
  })
}

/** All news of a call so far; undefined in place of a batch that is none. Throws `CAESURA_E_STATE` where they are no stream. */
export async function readNews(redis: FleetRedis, runId: string, callId: string): Promise<(NewsBatch | undefined)[]> {
  const batches = await readStream(redis, redis.keys.news(runId, callId), `the news of the call ${callId}`)
  return batches.map(asNews)
}
