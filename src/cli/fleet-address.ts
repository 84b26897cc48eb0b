import { readFileSync } from 'node:fs'
import { Option } from 'commander'
import type { FleetAddress } from '../app/fleet.ts'
import { withoutPassword } from '../core/address.ts'
import type { Environment } from '../core/environment.ts'
import { CaesuraError } from '../core/errors.ts'
import { REDIS_URL, readRedisUrl } from '../core/redis-address.ts'
import type { Config } from '../nodes/config-schema.ts'

const DEFAULT_URL = 'redis://127.0.0.1:6379'

/** What `--redis` holds: true where it stands without a URL, or where `--redis-file` stands. */
export interface RedisFlag {
  readonly redis?: string | true
  /** What stands in the file. */
  readonly redisFile?: string
}

/** `--redis` of a verb that is always about the fleet. */
export const redisOption = (): Option =>
  new Option('--redis <url>', `the fleet's Redis; REDIS_URL, the configuration or ${DEFAULT_URL} by default`).argParser(
    (url) => checked(url, '--redis'),
  )

/** A file in place of `--redis`. */
export const redisFileOption = (): Option =>
  new Option('--redis-file <file>', 'a file with the URL of the Redis, for one with a password')
    .argParser(readUrl)
    .implies({ redis: true })

/** `--redis` of a verb that is about this machine without it. */
export const fleetOption = (what: string): Option =>
  new Option('--redis [url]', `${what}; the URL of REDIS_URL or the configuration by default`).argParser((url) =>
    checked(url, '--redis'),
  )

/** The fleet that flags, environment or configuration name; undefined where none of them does. Throws `CAESURA_E_USAGE`. */
export function namedFleet(flags: RedisFlag, config: Config | undefined, env: Environment): FleetAddress | undefined {
  const isAsked = flags.redis !== undefined || flags.redisFile !== undefined
  return isAsked ? fleetAddress(flags, config, env) : configuredFleet(config, env)
}

/** Whoever is on this machine sees the arguments of every process, and nothing takes them back. */
export function tellOfPassword({ redis }: RedisFlag, tell: (sentence: string) => void): void {
  if (typeof redis !== 'string' || !readRedisUrl(redis)?.password) return
  tell('Everybody on this machine can see the password of --redis (ps). Use --redis-file or REDIS_URL.')
}

/** Its first line. Throws `CAESURA_E_FILE`, `CAESURA_E_USAGE`, and never shows what stands there. */
function readUrl(file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CaesuraError('CAESURA_E_FILE', '--redis-file cannot be read', { file, expected: 'a file', cause })
  }
  const [url = '', ...rest] = text.trim().split(/\s+/)
  if (rest.length === 0 && readRedisUrl(url) !== undefined) return url
  throw new CaesuraError('CAESURA_E_USAGE', '--redis-file holds no address of a Redis', {
    file,
    expected: `one line, ${REDIS_URL}`,
  })
}

/** Where the fleet is: the flag or the file, else `REDIS_URL`, else the configuration, else a Redis on this machine. Throws `CAESURA_E_USAGE`. */
export function fleetAddress(
  { redis, redisFile }: RedisFlag,
  config: Config | undefined,
  env: Environment,
): FleetAddress {
  if (typeof redis !== 'string')
    return redisFile === undefined ? (configuredFleet(config, env) ?? { url: DEFAULT_URL }) : { url: redisFile }
  if (redisFile === undefined) return { url: checked(redis, '--redis') }
  throw new CaesuraError('CAESURA_E_USAGE', '--redis and --redis-file exclude each other')
}

/** Where the environment or the configuration say that a fleet is. Throws `CAESURA_E_USAGE`. */
export function configuredFleet(config: Config | undefined, env: Environment): FleetAddress | undefined {
  const fromEnv = env.REDIS_URL?.trim()
  if (fromEnv) return { url: checked(fromEnv, 'REDIS_URL') }
  return config?.redis === undefined ? undefined : { url: checked(config.redis, 'redis of the configuration') }
}

function checked(url: string, from: string): string {
  if (readRedisUrl(url) !== undefined) return url
  // `--redis PIPELINE`: the word behind the flag was not meant as its value.
  const isWord = from === '--redis' && !url.includes('://')
  throw new CaesuraError('CAESURA_E_USAGE', `${from} is no address of a Redis`, {
    received: withoutPassword(url),
    expected: REDIS_URL,
    ...(isWord && { hint: 'Without a URL of its own, --redis comes last.' }),
  })
}
