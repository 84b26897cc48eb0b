import type { OwnedRun } from './hosted-run.ts'
import type { FleetRedis } from './redis.ts'

/** How often a worker looks whether its runs are as it left them, ms. */
const LOOK_MS = 5000

/**
 * Leaves runs that Redis does not hold as they were written: it has come back with less than it had. An owner that has nothing to write
 * would not notice, and wait for ever for calls that are gone.
 */
export class Ownership {
  readonly #timer: NodeJS.Timeout

  constructor(redis: FleetRedis, owned: ReadonlyMap<string, OwnedRun>) {
    this.#timer = setInterval(() => void look(redis, owned).catch(() => undefined), LOOK_MS)
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

async function look({ client, keys }: FleetRedis, owned: ReadonlyMap<string, OwnedRun>): Promise<void> {
  // A call that is gone, or an owner that was thought dead, is nobody else's to notice.
  for (const run of owned.values()) run.check().catch(() => undefined)
  const runs = [...owned].filter(([, { session }]) => !session.isWriting)
  if (runs.length === 0) return
  const seqs = runs.map(([, { session }]) => session.seq)
  const rows = await client.pipeline(runs.map(([runId]) => ['hmget', keys.run(runId), 'epoch', 'seq'])).exec()
  for (const [index, [, run]] of runs.entries()) {
    const { session } = run
    // What was written meanwhile is checked there.
    if (session.isWriting || session.isOver || session.seq !== seqs[index]) continue
    const [epoch, seq] = (rows?.[index]?.[1] ?? []) as (string | null)[]
    if (Number(epoch) > session.epoch) session.lose('another worker has taken the run over')
    else if (Number(epoch ?? -1) !== session.epoch || Number(seq) !== session.seq)
      session.lose('Redis has lost what was written')
  }
}
