import { type CaesuraError, summarize } from '../core/errors.ts'
import type { FleetRedis } from './redis.ts'

/** Entries of the list that are kept. */
const MOST_DEAD = 1000

/** Writes down what could not be read, with the reason: it is never tried again. */
export async function putAside({ client, keys }: FleetRedis, what: object, error: CaesuraError): Promise<void> {
  const entry = JSON.stringify({ ...what, at: new Date().toISOString(), error: summarize(error) })
  await client
    .multi()
    .lpush(keys.dead, entry)
    .ltrim(keys.dead, 0, MOST_DEAD - 1)
    .exec()
}

/** Puts a run aside: it has ended without a record. `keepMs`: how long that is known. */
export async function putRunAside(
  redis: FleetRedis,
  runId: string,
  error: CaesuraError,
  keepMs: number,
): Promise<void> {
  const { client, keys } = redis
  const tenant = (await client.hget(keys.run(runId), 'tenant')) ?? ''
  await putAside(redis, { runId }, error)
  await client
    .multi()
    .hset(keys.run(runId), 'status', 'ended', 'dead', error.message)
    .hdel(keys.run(runId), 'owner')
    .pexpire(keys.run(runId), keepMs)
    .pexpire(keys.events(runId), keepMs)
    .del(keys.signals(runId))
    .zrem(keys.live, runId)
    .zrem(keys.liveOf(tenant), runId)
    .hincrby(keys.tenants, tenant, -1)
    .exec()
}
