import { CaesuraError } from '../core/errors.ts'
import type { Figures } from '../core/figures.ts'
import type { Log } from '../core/log.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { RunRecord } from '../core/record.ts'
import { tellEnd } from '../core/run-line.ts'
import { putRunAside } from './dead.ts'
import type { Host, OwnedRun } from './hosted-run.ts'
import { Intake } from './intake.ts'
import type { OwnedRuns } from './owned-runs.ts'
import { type Claimed, RunClaims } from './run-claims.ts'
import { OtherVersion } from './run-spec.ts'
import type { TakenTicket } from './taken-ticket.ts'
import { type RunTicket, readRunTicket } from './ticket-queues.ts'
import type { UntoldRuns } from './untold-runs.ts'

/** After so long a run of another version is looked at again, ms: by another worker, if there is one. */
const OTHERS_MS = 1000

/** What runs are taken up with. */
export interface RunTakerParts {
  readonly host: Host
  readonly owned: OwnedRuns
  readonly untold: UntoldRuns
  readonly figures: Figures
  readonly log: Log
  /** Called with the record of each run that ends here, and its pipeline. */
  keep?(record: RunRecord, pipeline: Pipeline): void
}

/** Does what the ticket of a run stands for: has this process own the run until it has ended, or gives it back. */
export class RunTaker {
  readonly #parts: RunTakerParts
  readonly #intake: Intake
  readonly #claims: RunClaims
  /** Runs of other versions that were told of. */
  readonly #told = new Set<string>()
  /** New runs are for other workers. */
  #isDraining = false
  /** So are those that are here. */
  #isStopping = false

  constructor(parts: RunTakerParts) {
    this.#parts = parts
    this.#intake = new Intake(parts.host.redis)
    this.#claims = new RunClaims(parts.host, parts.owned, parts.log)
  }

  /** Takes up no more runs. */
  drain(): void {
    this.#isDraining = true
    this.#intake.close()
  }

  /** From now on a run that is left is handed over, and not lost. */
  stop(): void {
    this.#isStopping = true
    this.#intake.close()
  }

  /** Resolves when the run has ended, or is not this worker's any more. Throws `CAESURA_E_STATE` for what is no ticket. */
  async take(ticket: TakenTicket<RunTicket>): Promise<{ readonly outcome: string }> {
    try {
      // A fetch that was under way when this worker was paused brings one more job.
      if (this.#isLeaving) return await ticket.giveBack()
      const { runId, base } = readRunTicket(ticket.data)
      const epoch = base + ticket.attempts
      // What another owner began is in Redis already.
      if (epoch === 1) await this.#intake.room(runId, ticket.lost)
      if (this.#isLeaving) return await ticket.giveBack()
      const claimed = await this.#claim(ticket, runId, epoch)
      if (claimed.run === undefined) return { outcome: claimed.outcome }
      this.#tellTaken(claimed.run, epoch)
      return await this.#follow(ticket, claimed.run, claimed.hasMissed)
    } finally {
      this.#intake.left(ticket.data?.runId)
    }
  }

  get #isLeaving(): boolean {
    return this.#isStopping || this.#isDraining
  }

  async #claim(ticket: TakenTicket<RunTicket>, runId: string, epoch: number): Promise<Claimed> {
    try {
      return await this.#claims.claim(runId, epoch)
    } catch (error) {
      if (this.#isStopping) return ticket.giveBack()
      if (error instanceof OtherVersion) return this.#leaveToOthers(ticket, runId, epoch, error)
      // Whatever it is, it would be the same for the next owner.
      await this.#bury(runId, error instanceof CaesuraError ? error : unusable(runId, error))
      return { outcome: 'dead' }
    }
  }

  /** A run of another version waits for a worker of that version. */
  async #leaveToOthers(ticket: TakenTicket<RunTicket>, runId: string, epoch: number, error: OtherVersion) {
    const { host, log } = this.#parts
    if (!this.#told.has(runId)) log.warn(`run ${runId} is left to others: ${error.message}`, { run_id: runId })
    this.#told.add(runId)
    await host.redis.call('releaseRun', runId, epoch, host.inbox, '1')
    return ticket.giveBackIn(OTHERS_MS)
  }

  #tellTaken(run: OwnedRun, epoch: number): void {
    const { figures, log } = this.#parts
    if (epoch > 1) {
      figures.count('caesura.worker.takeovers')
      log.info(`run ${run.runId} taken over`, { ...run.correlation, owner: epoch })
    } else if (log.has('debug')) log.debug(`run ${run.runId} claimed`, run.correlation)
  }

  /** Until its end. */
  async #follow(ticket: TakenTicket<RunTicket>, run: OwnedRun, hasMissed: boolean): Promise<{ outcome: string }> {
    const { figures, log, owned } = this.#parts
    const { runId } = run
    let hasLock = true
    const lost = () => {
      hasLock = false
      run.leave('the lock of its job is lost')
    }
    ticket.lost?.addEventListener('abort', lost, { once: true })
    try {
      // What came in between is in the inbox only for a run that was ours already.
      if (hasMissed) await run.catchUp()
      const end = await run.session.end
      if ('record' in end) {
        this.#ended(end.record, run)
        return { outcome: end.record.outcome }
      }
      run.leave(end.lost)
      if (this.#isStopping) {
        figures.count('caesura.worker.handovers')
        if (log.has('debug')) log.debug(`run ${runId} handed back`, run.correlation)
        return await ticket.giveBack()
      }
      if (end.isBroken) {
        await this.#bury(runId, new CaesuraError('CAESURA_E_STATE', end.lost), run)
        return { outcome: 'dead' }
      }
      // It did not die of the run: that it has another owner says nothing against it.
      await run.release()
      if (hasLock) figures.count('caesura.worker.refused_writes')
      log.warn(`run ${runId}: ${end.lost}`, run.correlation)
      return { outcome: 'lost' }
    } finally {
      ticket.lost?.removeEventListener('abort', lost)
      owned.drop(runId, run)
    }
  }

  #ended(record: RunRecord, run: OwnedRun): void {
    const { host, untold, log, keep } = this.#parts
    host.telemetry?.runEnded(record, () => untold.told(run.runId))
    tellEnd(log, record, run.input)
    // The run has ended and is safe in Redis: a file that can't be written is no reason to lose anything else.
    try {
      keep?.(record, run.pipeline)
    } catch (fault) {
      const error = fault as Error
      log.error(`run ${record.runId} is not in the records file: ${error.message}`, { ...run.correlation, error })
    }
  }

  async #bury(runId: string, error: CaesuraError, run?: OwnedRun): Promise<void> {
    const { host, figures, log } = this.#parts
    const { keepMs, keepMost } = host.retention
    const owner = run && { epoch: run.session.epoch, startedAt: run.startedAt }
    if (!(await putRunAside(host.redis, { runId, error, keepMs, keepMost, ...owner }))) return
    figures.count('caesura.worker.dead_runs')
    log.error(`run ${runId}: ${error.message}`, { run_id: runId, code: error.code })
  }
}

const unusable = (runId: string, cause: unknown): CaesuraError =>
  new CaesuraError('CAESURA_E_STATE', `the run ${runId} can't be taken up: ${(cause as Error).message}`, { cause })
