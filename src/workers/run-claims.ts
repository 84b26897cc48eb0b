import { CaesuraError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { AnswerOf } from './commands.ts'
import { type Host, OwnedRun } from './hosted-run.ts'
import type { OwnedRuns } from './owned-runs.ts'
import { Suspects } from './suspects.ts'
import { unreadable } from './wire.ts'

/**
 * So many owners in a row that died before the run got on make it a suspect, which is taken up alone; so many make it what they died of, and
 * it is put aside. Owners that left it, or came back, do not count.
 */
const SUSPECT_CRASHES = 3
const MOST_CRASHES = 6

/** A run that was taken up, or why it was not. */
export type Claimed =
  | { readonly run: OwnedRun /** Something was sent to it before it was here. */; readonly hasMissed: boolean }
  | { readonly run?: never; readonly outcome: string }

/** Makes runs this process's own: claims them in Redis, the suspects among them one at a time, and reads what is kept of them. */
export class RunClaims {
  readonly #host: Host
  readonly #owned: OwnedRuns
  readonly #log: Log
  readonly #suspects = new Suspects()

  constructor(host: Host, owned: OwnedRuns, log: Log) {
    this.#host = host
    this.#owned = owned
    this.#log = log
  }

  /** Throws for a run that can't be taken up; `OtherVersion` where another worker can. */
  async claim(runId: string, epoch: number): Promise<Claimed> {
    this.#owned.expect(runId)
    try {
      const claimed = await this.#ask(runId, epoch)
      if (claimed[0] === 'deadly') throw deadly(runId, claimed[1])
      if (claimed[0] === 'broken') throw unreadable(`${claimed[1]} of the run ${runId}`)
      if (claimed[0] !== 'ok') return { outcome: claimed[0] }
      const [, fields, signals] = claimed
      const run = await OwnedRun.open(this.#host, runId, epoch, fieldsOf(fields))
      const came = this.#owned.add(runId, run)
      return { run, hasMissed: epoch > 1 || signals > 0 || came }
    } finally {
      this.#owned.expectNoMore(runId)
    }
  }

  /** A suspect waits for its turn. */
  async #ask(runId: string, epoch: number): Promise<AnswerOf<'claimRun'>> {
    const { redis, inbox } = this.#host
    const first = await redis.call('claimRun', runId, epoch, inbox, SUSPECT_CRASHES, MOST_CRASHES, '0')
    if (first[0] !== 'suspect') return first
    this.#log.warn(`run ${runId} is taken up alone: ${first[1]} owners in a row died before it got on`, {
      run_id: runId,
    })
    await this.#suspects.turn()
    return redis.call('claimRun', runId, epoch, inbox, SUSPECT_CRASHES, MOST_CRASHES, '1')
  }
}

const deadly = (runId: string, crashes: number): CaesuraError =>
  new CaesuraError('CAESURA_E_STATE', `${crashes} workers in a row died when they took up the run ${runId}`)

const fieldsOf = (flat: readonly string[]): Record<string, string> => {
  const fields: Record<string, string> = {}
  for (let index = 0; index + 1 < flat.length; index += 2) fields[flat[index]!] = flat[index + 1]!
  return fields
}
