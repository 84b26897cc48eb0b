/** A host and a port. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

interface Login {
  /** Empty where there is none, as is the password. */
  readonly username: string
  readonly password: string
  /** Whether every connection is TLS. */
  readonly isTls: boolean
}

/** One Redis, or a proxy before several. */
export interface OneRedis extends Login {
  readonly kind: 'one'
}

/** The master that Sentinels know by a name. */
export interface SentinelRedis extends Login {
  readonly kind: 'sentinel'
  readonly endpoints: readonly Endpoint[]
  readonly name: string
  readonly database: number
  /** What the Sentinels themselves ask for; empty where they ask for nothing. */
  readonly sentinelUsername: string
  readonly sentinelPassword: string
}

/** Some of the nodes of a Redis Cluster: each of them tells which one holds a key. */
export interface ClusterRedis extends Login {
  readonly kind: 'cluster'
  readonly endpoints: readonly Endpoint[]
}

export type RedisPlace = OneRedis | SentinelRedis | ClusterRedis

/** What an address of a Redis may be, in words that follow `expected`. */
export const REDIS_URL =
  'a redis or rediss URL, such as redis://127.0.0.1:6379; redis+sentinel://HOST:PORT,HOST:PORT/NAME or redis+cluster://HOST:PORT,HOST:PORT'

/** Scheme, kind, user and password up to the last `@`, hosts, and the rest. */
const SEVERAL = /^(rediss?)\+(sentinel|cluster):\/\/(?:([^/?#]*)@)?([^/?#@]+)([/?#].*)?$/i
const SENTINEL_PORT = 26379
const REDIS_PORT = 6379
const MASTER = /^\/([^/]+)(?:\/(\d{1,5}))?$/

/**
 * Reads the address of a fleet's Redis; undefined where it is none. `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]` is one Redis.
 * `redis+sentinel://[USER:PASSWORD@]HOST[:PORT],…/NAME[/DATABASE]` is the master NAME of these Sentinels; `?sentinelPassword=` and
 * `?sentinelUsername=` are for them. `redis+cluster://[USER:PASSWORD@]HOST[:PORT],…` is a cluster. `rediss` in place of `redis`: TLS.
 */
export function readRedisUrl(url: string): RedisPlace | undefined {
  const [, scheme, kind, login, hosts, rest = ''] = SEVERAL.exec(url) ?? []
  if (scheme === undefined || kind === undefined || hosts === undefined) return one(url)
  const isSentinel = kind.toLowerCase() === 'sentinel'
  const endpoints = hosts.split(',').map((host) => endpointOf(host, isSentinel ? SENTINEL_PORT : REDIS_PORT))
  const parsed = URL.parse(`${scheme}://${login === undefined ? '' : `${login}@`}host${rest}`)
  if (parsed === null || !endpoints.every((endpoint) => endpoint !== undefined)) return undefined
  const shared = { ...loginOf(parsed), endpoints }
  if (!isSentinel) return /^\/?0?$/.test(parsed.pathname) ? { kind: 'cluster', ...shared } : undefined
  const [, name, database = '0'] = MASTER.exec(parsed.pathname) ?? []
  if (name === undefined) return undefined
  return {
    ...{ kind: 'sentinel', ...shared, name: decoded(name), database: Number(database) },
    sentinelUsername: parsed.searchParams.get('sentinelUsername') ?? '',
    sentinelPassword: parsed.searchParams.get('sentinelPassword') ?? '',
  }
}

function one(url: string): OneRedis | undefined {
  const parsed = URL.parse(url)
  if (parsed === null || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === '') return undefined
  return { kind: 'one', ...loginOf(parsed) }
}

const loginOf = ({ username, password, protocol }: URL): Login => ({
  username: decoded(username),
  password: decoded(password),
  isTls: protocol === 'rediss:',
})

function endpointOf(text: string, otherwise: number): Endpoint | undefined {
  const parsed = URL.parse(`redis://${text}`)
  if (parsed === null || parsed.hostname === '' || parsed.port === '0') return undefined
  return { host: parsed.hostname.replace(/^\[|\]$/g, ''), port: parsed.port === '' ? otherwise : Number(parsed.port) }
}

/** As it is where it isn't percent-encoded well. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
