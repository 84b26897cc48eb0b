import { Option } from 'commander'
import { withoutPassword } from '../core/address.ts'
import type { Config } from '../core/config-schema.ts'
import { CaesuraError } from '../core/errors.ts'
import type { FleetAddress } from '../fleet.ts'

const DEFAULT_URL = 'redis://127.0.0.1:6379'
const EXPECTED = `a redis or rediss URL, such as ${DEFAULT_URL}`

/** What `--redis` holds: true where it stands without a URL. */
export interface RedisFlag {
  readonly redis?: string | true
}

/** `--redis` of a verb that is always about the fleet. */
export const redisOption = (): Option =>
  new Option('--redis <url>', `the fleet's Redis; REDIS_URL, the configuration or ${DEFAULT_URL} by default`).argParser(
    (url) => checked(url, '--redis'),
  )

/** `--redis` of a verb that is about this machine without it. */
export const fleetOption = (what: string): Option =>
  new Option('--redis [url]', `${what}; the URL of REDIS_URL or the configuration by default`).argParser((url) =>
    checked(url, '--redis'),
  )

/** Where the fleet is: the flag, else `REDIS_URL`, else the configuration, else a Redis on this machine. Throws `CAESURA_E_USAGE`. */
export const fleetAddress = (
  flags: RedisFlag,
  config: Config | undefined,
  env: Readonly<Record<string, string | undefined>>,
): FleetAddress =>
  typeof flags.redis === 'string'
    ? { url: checked(flags.redis, '--redis') }
    : (configuredFleet(config, env) ?? { url: DEFAULT_URL })

/** Where the environment or the configuration say that a fleet is. Throws `CAESURA_E_USAGE`. */
export function configuredFleet(
  config: Config | undefined,
  env: Readonly<Record<string, string | undefined>>,
): FleetAddress | undefined {
  const fromEnv = env.REDIS_URL?.trim()
  if (fromEnv) return { url: checked(fromEnv, 'REDIS_URL') }
  return config?.redis === undefined ? undefined : { url: checked(config.redis, 'redis of the configuration') }
}

function checked(url: string, from: string): string {
  const parsed = URL.parse(url)
  if (parsed !== null && /^rediss?:$/.test(parsed.protocol) && parsed.hostname !== '') return url
  // `--redis PIPELINE`: the word behind the flag was not meant as its value.
  const isWord = from === '--redis' && !url.includes('://')
  throw new CaesuraError('CAESURA_E_USAGE', `${from} is no address of a Redis`, {
    received: withoutPassword(url),
    expected: EXPECTED,
    ...(isWord && { hint: 'Without a URL of its own, --redis comes last.' }),
  })
}
