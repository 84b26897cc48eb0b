import { Redis, type RedisOptions } from 'ioredis'
import { CaesuraError } from '../core/errors.ts'
import type { FleetAddress } from '../core/fleet.ts'
import { REDIS_URL, type RedisPlace, readRedisUrl } from '../core/redis-address.ts'
import { DEFAULT_PREFIX } from './keys.ts'
import { slotOwnerOf } from './slot-owner.ts'

/** Reconnects at least every 200 ms; longer pauses made BullMQ's workers slow to come back (facts: 3.2 s against 0.2 s). */
const RETRY_MS = 200

/**
 * A connection that has had no answer for so long is taken for dead and replaced, ms: a link that swallows bytes says nothing. Longer than
 * any blocking read (`BLOCK_MS` of the inbox, BullMQ's `drainDelay`).
 */
const SILENCE_MS = 6000
/** When the system asks a silent link for a sign of life, ms. */
const KEEP_ALIVE_MS = 5000
/** A connection to a Redis that says that another one has its place is replaced at most this often, ms. */
const ELSEWHERE_MS = 1000

type Options = Omit<RedisOptions, 'replyMapping' | 'protocol'>

/** What a Redis says that was the master, and is it no more: whoever asks for the way again may be led to the new one. */
const ELSEWHERE = /\bREADONLY You can't write|^MOVED |access a non local key in a cluster node/

/** Throws `CAESURA_E_REDIS` for what is no address. */
export function placeOf({ url }: FleetAddress): RedisPlace {
  const place = readRedisUrl(url)
  if (place !== undefined) return place
  throw new CaesuraError('CAESURA_E_REDIS', 'this is no address of a Redis', { expected: REDIS_URL })
}

/**
 * Another connection, that leads to whichever Redis is the master now. `maxRetriesPerRequest` null: BullMQ runs a finished job twice where a
 * command gives up. Throws `CAESURA_E_REDIS` for what is no address.
 */
export function connect(address: FleetAddress): Redis {
  const place = placeOf(address)
  const options = { ...optionsFor(place, address), ...sharedOptions() }
  const client = place.kind === 'one' ? new Redis(address.url, options) : new Redis(options)
  // Without a listener ioredis writes each attempt to reconnect to the console.
  client.on('error', () => undefined)
  return client
}

function sharedOptions(): Options {
  let askedAt = Number.NEGATIVE_INFINITY
  return {
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(RETRY_MS, times * 20),
    reconnectOnError: ({ message }) => {
      if (!ELSEWHERE.test(message) || performance.now() - askedAt < ELSEWHERE_MS) return false
      askedAt = performance.now()
      return true
    },
    connectTimeout: 2000,
    // A Redis that loads, or has not found its master yet, is asked again soon.
    maxLoadingRetryTime: RETRY_MS,
    socketTimeout: SILENCE_MS,
    keepAlive: KEEP_ALIVE_MS,
    lazyConnect: true,
  }
}

function optionsFor(place: RedisPlace, { prefix = DEFAULT_PREFIX }: FleetAddress): Options {
  if (place.kind === 'one') return {}
  const { username, password, isTls } = place
  const login = { ...(username !== '' && { username }), ...(password !== '' && { password }) }
  if (place.kind === 'cluster')
    return { ...login, ...(isTls && { tls: {} }), Connector: slotOwnerOf(place, `${prefix}:nodes`) }
  const { endpoints, name, database, sentinelUsername, sentinelPassword } = place
  return {
    ...login,
    ...{ sentinels: endpoints.map((endpoint) => ({ ...endpoint })), name, db: database, role: 'master' },
    ...(sentinelUsername !== '' && { sentinelUsername }),
    ...(sentinelPassword !== '' && { sentinelPassword }),
    ...(isTls && { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true }),
    sentinelRetryStrategy: () => RETRY_MS,
  }
}
