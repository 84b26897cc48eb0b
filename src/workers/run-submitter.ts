import { randomUUID } from 'node:crypto'
import { assign } from '../core/assignment.ts'
import type { PlannedSignal } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import type { FleetLimits, SubmitOptions, TurnOptions } from '../core/fleet.ts'
import { type Pipeline, withPace } from '../core/pipeline.ts'
import { present } from '../core/present.ts'
import { busySession, unknownSession } from '../core/session.ts'
import { newTraceId } from '../core/trace.ts'
import { Admission } from './admission.ts'
import { SESSION_KEEP_MS } from './fleet-sessions.ts'
import type { FleetRedis } from './redis.ts'
import { inSpec } from './run-list.ts'
import { FLEET_VERSION, type RunSpec } from './run-spec.ts'
import type { TicketQueues } from './ticket-queues.ts'
import type { SignalPayload } from './wire.ts'

/** Runs outlive the process that submitted them: only their ids matter. */
const runIdPattern = /^[A-Za-z0-9_-]{1,100}$/

/** Puts runs into a fleet: once each, and only as many as it takes. */
export class RunSubmitter {
  readonly #redis: FleetRedis
  readonly #tickets: TicketQueues
  readonly #admission: Admission

  constructor(redis: FleetRedis, tickets: TicketQueues, limits?: FleetLimits) {
    this.#redis = redis
    this.#tickets = tickets
    this.#admission = new Admission(redis, limits)
  }

  /** Throws `CAESURA_E_USAGE` for an id that is none, `CAESURA_E_EXPERIMENT`, `CAESURA_E_FLEET_FULL`. */
  async submit(asked: Pipeline, options: SubmitOptions): Promise<{ runId: string; traceId: string; isNew: boolean }> {
    const { runId = randomUUID() } = options
    const spec = await this.#specOf(runId, asked, options)
    const isNew = await this.#admission.during(() => this.#submit(runId, spec))
    return { runId, traceId: isNew ? spec.trace.traceId : await this.#traceIdOf(runId), isNew }
  }

  /**
   * Takes an input of a session in, as the run that it is or would become. `signal`: what it is to the live run. Throws as `submit`, and
   * `CAESURA_E_SESSION_BUSY`, `CAESURA_E_SESSION_UNKNOWN`.
   */
  async say(
    asked: Pipeline,
    options: TurnOptions,
    signal: { readonly id: string; payload(own: string): SignalPayload },
  ): Promise<{ became: 'run' | 'signal' | 'queue'; runId: string; traceId: string; live: string }> {
    const { runId = randomUUID(), busy = asked.busy ?? 'interrupt', session } = options
    const { keepsTurns: _, ...spec } = await this.#specOf(runId, asked, options)
    const text = JSON.stringify({ ...spec, keepsTurns: true } satisfies RunSpec)
    const payload = JSON.stringify(signal.payload(runId))
    const [became, with_] = await this.#admission.during(async () => {
      await this.#admission.checkMemory(text.length)
      const run = [runId, text, Date.now(), spec.tenant, spec.pipeline.name, spec.submittedBy ?? ''] as const
      const { mostWaiting } = this.#admission
      return this.#redis.call('say', ...run, mostWaiting, session, SESSION_KEEP_MS, busy, payload, signal.id)
    })
    if (became === 'full') throw this.#admission.tooMany(with_)
    if (became === 'busy') throw busySession(session)
    if (became === 'foreign') throw unknownSession(session)
    if (became === 'exists') {
      throw new CaesuraError('CAESURA_E_USAGE', 'a run has this id already', { received: runId })
    }
    if (became === 'run') await this.#tickets.addRun(runId, placeOf(spec, with_))
    return { became, runId, traceId: spec.trace.traceId, live: String(with_) }
  }

  async #specOf(runId: string, asked: Pipeline, options: SubmitOptions): Promise<RunSpec> {
    const { tenant = '', priority = 0, models = {}, input, vars = {}, signals = [] } = options
    if (!runIdPattern.test(runId)) {
      throw new CaesuraError('CAESURA_E_USAGE', 'a run id of a fleet is 1 to 100 letters, digits, - or _', {
        received: runId,
      })
    }
    const isStopped = asked.experiment !== undefined && (await this.#isStopped(asked.experiment.name))
    const { pipeline, experiment } = assign(withPace(asked, options.pace), { ...options, runId, isStopped })
    const { trace = { traceId: newTraceId() }, fingerprint, submittedBy, session, tags } = options
    return {
      version: FLEET_VERSION,
      pipeline,
      input,
      vars,
      models,
      signals: signals.map((signal): PlannedSignal => ({ ...signal })),
      trace,
      ...present({ experiment, fingerprint, submittedBy, session, tags }),
      ...(session !== undefined && pipeline.history !== undefined && { keepsTurns: true as const }),
      tenant,
      priority,
    }
  }

  /** False where the run was there. Throws `CAESURA_E_FLEET_FULL`. */
  async #submit(runId: string, spec: RunSpec): Promise<boolean> {
    const { tenant, pipeline, submittedBy = '', session = '', keepsTurns } = spec
    const text = JSON.stringify(spec)
    const { mostWaiting } = this.#admission
    try {
      await this.#admission.checkMemory(text.length)
    } catch (error) {
      // Who asks again for a run that is there is answered as before.
      if ((await this.#redis.client.exists(this.#redis.keys.run(runId))) === 0) throw error
    }
    const run = [runId, text, Date.now(), tenant] as const
    const inSession = [keepsTurns ? session : '', SESSION_KEEP_MS] as const
    const [answer, count] = await this.#redis.call(
      'submit',
      ...run,
      pipeline.name,
      submittedBy,
      mostWaiting,
      ...inSession,
    )
    if (answer === 'full') throw this.#admission.tooMany(count)
    if (answer === 'foreign') throw unknownSession(session)
    // Whoever submitted it before may have died before it had a ticket.
    if (answer === 'ok' || (await this.#isWaiting(runId))) await this.#tickets.addRun(runId, placeOf(spec, count))
    return answer === 'ok'
  }

  /** Asked at each run of a pipeline with an experiment, so that a stop counts at once everywhere. */
  async #isStopped(experiment: string): Promise<boolean> {
    return (await this.#redis.client.sismember(this.#redis.keys.stopped, experiment)) === 1
  }

  /** Of a run that was there before. */
  async #traceIdOf(runId: string): Promise<string> {
    const spec = await this.#redis.client.hget(this.#redis.keys.run(runId), 'spec')
    return inSpec(spec, ({ trace }) => trace.traceId)
  }

  async #isWaiting(runId: string): Promise<boolean> {
    const { client, keys } = this.#redis
    const [status, epoch, waits] = await client.hmget(keys.run(runId), 'status', 'epoch', 'waits')
    return status === 'live' && epoch === '0' && waits === null
  }
}

/** The more a tenant has running, the later its next run comes; without a tenant runs are served in their order. */
const placeOf = (
  { tenant, priority }: Pick<RunSpec, 'tenant' | 'priority'>,
  living: number | string | undefined,
): number => (tenant === '' ? priority : priority + Number(living ?? 0))
