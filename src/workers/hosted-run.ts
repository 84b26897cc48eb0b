import { endedAnswer, type SignalAnswer } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Journal } from '../core/journal.ts'
import { correlation, type LogFields } from '../core/log.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { Telemetry } from '../core/ports.ts'
import { present } from '../core/present.ts'
import type { ProcessRecord, RunRecord } from '../core/record.ts'
import type { TraceContext } from '../core/trace.ts'
import { aliasesOf, composeRun, type HostParts } from '../machines/host.ts'
import type { HostedRun } from '../machines/start-run.ts'
import type { FleetClock } from './fleet-clock.ts'
import { ownedConversation } from './fleet-sessions.ts'
import type { GroupWriter } from './group-writer.ts'
import { type KeptRun, readKept, readNews, readSignals } from './kept-run.ts'
import type { NewsBatch } from './news.ts'
import type { NodeDirectory } from './node-directory.ts'
import { QueueExecutor } from './queue-executor.ts'
import type { FleetRedis } from './redis.ts'
import { type Retention, RunSession } from './run-session.ts'
import { FLEET_VERSION } from './run-spec.ts'
import type { TicketQueues } from './ticket-queues.ts'
import type { SignalPayload } from './wire.ts'

/** What the runs of one process of a fleet share. */
export interface Host extends HostParts {
  readonly redis: FleetRedis
  /** Writes what the runs have to write. */
  readonly group: GroupWriter
  readonly clock: FleetClock
  readonly directory: NodeDirectory
  readonly tickets: TicketQueues
  readonly retention: Retention
  readonly inbox: string
  process(): ProcessRecord
  readonly telemetry?: Telemetry
  /** What Redis keeps of the record of a run that has ended; all of it by default. */
  asKept?(record: RunRecord): RunRecord
}

/** A run that this process owns: its machine, what it writes, and what it hears. */
export class OwnedRun {
  readonly runId: string
  readonly session: RunSession
  /** What it was asked. */
  readonly input: string
  /** With the policies of its arm. */
  readonly pipeline: Pipeline
  readonly #traceId: string
  readonly #host: Host
  readonly #executor: QueueExecutor
  readonly #run: HostedRun
  readonly #journal: Journal
  /** Who waits to hear what became of a signal, by its number. */
  readonly #tickets: Map<number, (answer: SignalAnswer) => void>
  #hasCrashed: boolean
  #signals: number
  #catchingUp: 'no' | 'yes' | 'again' = 'no'

  /** Goes on with the run, or starts it. Throws `CAESURA_E_STATE` for what it can't read. */
  static async open(host: Host, runId: string, epoch: number, fields: Record<string, string>): Promise<OwnedRun> {
    return new OwnedRun(host, epoch, await readKept(host.redis, runId, fields))
  }

  private constructor(host: Host, epoch: number, kept: KeptRun) {
    const { runId, spec, state, texts, events } = kept
    const { clock, directory, tickets, redis, group } = host
    this.#host = host
    this.runId = runId
    this.input = spec.input
    this.pipeline = spec.pipeline
    this.#traceId = spec.trace.traceId
    this.#signals = state?.signals ?? 0
    this.#hasCrashed = kept.hasCrashed
    this.session = new RunSession(
      group,
      {
        runId,
        submitted: kept.submitted,
        epoch,
        seq: events.length,
        kept: texts.keys(),
        traces: host.telemetry !== undefined,
        // The next run of its session has no ticket yet. What fails here the sweeper does.
        next: (following) => void host.tickets.addRun(following, 0).catch(() => undefined),
        ...(host.asKept !== undefined && { asKept: host.asKept }),
      },
      host.retention,
      clock.wall,
    )
    const conversation = spec.keepsTurns && ownedConversation(this.session, kept.before)
    const planned = new Set(state?.planned ?? spec.signals)
    const {
      journal,
      tickets: waiting,
      start,
    } = composeRun(
      host,
      {
        ...{ runId, pipeline: spec.pipeline, input: spec.input, vars: spec.vars, planned },
        ...present({ experiment: spec.experiment, submittedBy: spec.submittedBy, session: spec.session }),
        ...present({ tags: spec.tags, conversation }),
        tenant: spec.tenant,
        trace: traceOf(host, spec.trace, state?.journal.sampled),
        resolveModel: aliasesOf(spec.models),
      },
      state && { state: state.journal, events, texts },
    )
    this.#journal = journal
    this.#tickets = waiting
    journal.log.noteDelivered(state?.delivered ?? 0)
    this.#executor = new QueueExecutor({
      session: this.session,
      clock,
      directory,
      tickets,
      priority: spec.priority,
      kept: kept.news,
      readNews: (callId) => readNews(redis, runId, callId),
      queueOf: (callId) => kept.queues.get(callId),
      redis,
      hearSignals: () => this.#hearSignals(),
    })
    // Who sent a signal that the owner before took may still wait; the first step may decide it.
    for (const [index, signal] of kept.signals.slice(0, this.#signals).entries()) {
      if (signal[0] === 'interrupt') this.#answerLate(index + 1, signal[2])
    }
    this.session.bind({
      journal,
      state: () => ({
        version: FLEET_VERSION,
        machines: this.#run.persist(),
        planned: [...planned],
        signals: this.#signals,
        delivered: journal.log.deliveredSeq,
      }),
    })
    this.#run = start(this.#executor, undefined, state?.machines)
    this.#run.onStep(() => this.session.touch())
    this.session.touch()
  }

  /** ms since 1970. */
  get startedAt(): number {
    return this.#journal.startedUnixMs
  }

  /** By which lines about it are found. */
  get correlation(): LogFields {
    return correlation(this.runId, this.#traceId)
  }

  /** Takes the signals that came while nobody owned the run. Never rejects: a run whose signals can't be read is lost. */
  async catchUp(): Promise<void> {
    if (this.#catchingUp !== 'no') {
      this.#catchingUp = 'again'
      return
    }
    do {
      this.#catchingUp = 'yes'
      await this.#hearSignals()
    } while ((this.#catchingUp as string) === 'again')
    this.#catchingUp = 'no'
    this.#executor.catchUp()
  }

  /** A signal has come. */
  signal(number: number, signal: SignalPayload): void {
    if (number <= this.#signals) return
    if (number > this.#signals + 1 || this.#catchingUp !== 'no') void this.catchUp()
    else this.#take(number, signal)
  }

  news(callId: string, index: number, batch: NewsBatch | undefined): void {
    this.#executor.feed(callId, index, batch)
  }

  /** Something of it may be gone from Redis. */
  async look(): Promise<void> {
    await this.catchUp()
    await this.#executor.look()
  }

  /** Now and then: whether its calls are still there. Who has come so far with it did not die of it. */
  async check(): Promise<void> {
    await this.#executor.look()
    if (this.#hasCrashed) await this.release(false)
    this.#hasCrashed = false
  }

  /** The worker that was asked to take the call can't. */
  declined(callId: string): void {
    this.#executor.declined(callId)
  }

  delivered(seq: number): void {
    this.#journal.log.noteDelivered(seq)
  }

  review(): void {
    this.#executor.review()
  }

  /** Leaves the run to another owner, with everything so far written. */
  async handOver(): Promise<void> {
    await this.session.flush()
    this.leave('this worker stops')
    await this.release()
  }

  /** Tells the next owner that this one did not die of the run. */
  async release(leaves = true): Promise<void> {
    const { redis, inbox } = this.#host
    await redis.call('releaseRun', this.runId, this.session.epoch, inbox, leaves ? '1' : '0')
  }

  /** Leaves it at once: it is not ours any more. */
  leave(reason: string): void {
    this.session.lose(reason)
    this.#run.abandon()
  }

  async #hearSignals(): Promise<void> {
    try {
      const signals = await readSignals(this.#host.redis, this.runId)
      for (const [index, signal] of signals.entries()) this.#take(index + 1, signal)
    } catch (error) {
      // A connection that was closed ends more than this.
      if (error instanceof CaesuraError) this.session.lose(error.message, true)
    }
  }

  #take(number: number, signal: SignalPayload): void {
    if (number !== this.#signals + 1) return
    this.#signals = number
    if (this.#journal.end !== undefined) {
      if (signal[0] === 'interrupt') this.#answer(signal[2])(endedAnswer)
      return
    }
    if (signal[0] === 'cancel') this.#run.cancel(signal[1])
    else if (signal[0] === 'heard') this.#run.hear(present(signal[1]))
    else {
      this.#tickets.set(number, this.#answer(signal[2]))
      const { input, sentAt, heard, own } = signal[1]
      if (heard !== undefined) this.#run.hear(present(heard))
      // No signal came before it was sent, nor before its run began: that is the error of two clocks.
      const since = sentAt === undefined ? undefined : this.#journal.fromClock(this.#host.clock.fromFleet(sentAt))
      this.#run.signal(number, {
        ...present({ input, own }),
        ...(since !== undefined && { since: Math.min(Math.max(0, since), this.#journal.now()) }),
      })
    }
    this.session.touch()
  }

  #answer({ inbox, id }: { inbox: string; id: string }): (answer: SignalAnswer) => void {
    return (answer) => this.session.order(['answer', inbox, JSON.stringify(['answer', id, answer]), id])
  }

  /** The owner before had taken the signal; its sender may still wait. */
  #answerLate(number: number, sender: { inbox: string; id: string }): void {
    const entry = this.#journal.interrupts.find(({ ticket }) => ticket === number)
    if (entry === undefined) this.#tickets.set(number, this.#answer(sender))
    else if (entry.decision === undefined && !entry.superseded) entry.answer = this.#answer(sender)
  }
}

/** Whether its spans are sent is decided once: by who submitted it, else by its first owner that traces. */
function traceOf({ telemetry }: Host, trace: TraceContext, sampled: boolean | undefined): TraceContext {
  if (trace.sampled !== undefined) return trace
  return sampled === undefined ? (telemetry?.begin(trace) ?? trace) : { ...trace, sampled }
}
