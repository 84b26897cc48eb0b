import type { Redis } from 'ioredis'
import { withoutPassword } from '../core/address.ts'
import { CaesuraError } from '../core/errors.ts'
import type { FleetAddress } from '../core/fleet.ts'
import type { RedisPlace } from '../core/redis-address.ts'
import { placeOf } from './connection.ts'
import { DEFAULT_PREFIX } from './keys.ts'
import { isMissingRight, missingRights, refusedUser, rightsNeeded } from './rights.ts'

/** How long a Redis, and each of several addresses, may take to answer at the start, ms. */
const ANSWER_MS = 3000

/**
 * Connects. Throws `CAESURA_E_REDIS` with what to do: no Redis is there, it is older than 6.2 or free to evict keys, the address is not the
 * kind that it asks for, the user may not do what a fleet does.
 */
export async function checkRedis(client: Redis, address: FleetAddress): Promise<void> {
  const { url, prefix = DEFAULT_PREFIX } = address
  const place = placeOf(address)
  const refuse = (message: string, hint: string): CaesuraError => {
    client.disconnect()
    return new CaesuraError('CAESURA_E_REDIS', `${message}: ${withoutPassword(url)}`, { hint })
  }
  const answer = await firstAnswer(client, place)
  const lacks = (missing: readonly string[]) => {
    const user = place.username || 'default'
    const message = `the Redis user ${user} lacks rights that a fleet needs (${missing.join(', ')})`
    return refuse(message, `redis-cli ACL SETUSER ${user} ${rightsNeeded(prefix)}`)
  }
  if (answer instanceof Error) {
    if (isMissingRight(answer)) throw lacks(['info'])
    const [message, hint] = whyUnusable(answer, place)
    throw refuse(message, hint)
  }
  const [, version = '0'] = /redis_version:(\S+)/.exec(answer) ?? []
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 2)) throw refuse(`Redis ${version} is too old`, 'Use 6.2 or newer.')
  const [, mode = ''] = /^(?:redis|server)_mode:(\S+)/m.exec(answer) ?? []
  const misplaced = wrongKind(mode, place, prefix)
  if (misplaced !== undefined) throw refuse(...misplaced)
  const [, policy] = /maxmemory_policy:(\S+)/.exec(answer) ?? []
  if (policy !== undefined && policy !== 'noeviction') {
    throw refuse(`Redis may drop keys (maxmemory-policy ${policy})`, 'redis-cli config set maxmemory-policy noeviction')
  }
  const missing = await missingRights(client, prefix)
  if (missing.length > 0) throw lacks(missing)
}

/** What Redis says of itself, or why it says nothing. */
async function firstAnswer(client: Redis, place: RedisPlace): Promise<string | Error> {
  let fault: Error | undefined
  let isUnknown = false
  // A Sentinel that answers, and has no master of this name.
  client.on('sentinelError', ({ message }: Error) => {
    isUnknown ||= /invalid reply: null|No such master/.test(message)
  })
  const failed = new Promise<Error>((resolve) => {
    client.on('error', (error: Error) => {
      fault = isUnknown ? new Error('the Sentinels know no master of this name') : error
      // A search among several addresses goes on for ever; it has failed once all were tried.
      if (place.kind !== 'one') resolve(fault)
    })
  })
  const addresses = place.kind === 'one' ? 1 : place.endpoints.length
  return Promise.race([
    client
      .connect()
      .then(() => client.info())
      .catch((error: Error) => fault ?? error),
    failed,
    new Promise<Error>((resolve) =>
      setTimeout(() => resolve(fault ?? new Error('no answer')), ANSWER_MS * addresses).unref(),
    ),
  ])
}

const UNKNOWN_CA = /self-signed certificate|unable to verify the first certificate|unable to get (?:local )?issuer/i
const WANTS_CERTIFICATE = /certificate required|bad certificate|handshake failure/i

/** What is wrong, and what helps. */
function whyUnusable(fault: Error, { kind, isTls }: RedisPlace): [message: string, hint: string] {
  const user = refusedUser(fault)
  if (user !== undefined && /sentinels are unreachable/.test(fault.message))
    return [
      'the Sentinels ask for a password of their own, or refuse theirs',
      'Add ?sentinelPassword=PASSWORD to the URL.',
    ]
  if (user !== undefined) return [user, 'Give it as redis://USER:PASSWORD@host in --redis-file or REDIS_URL.']
  // At the start nothing is tried again.
  const message = fault.message.replace(/ Retrying from scratch after \d+ms\./, '')
  if (UNKNOWN_CA.test(message))
    return [
      `Redis's certificate is from an authority that this machine does not know (${message})`,
      'Name the file of its certificate: NODE_EXTRA_CA_CERTS=ca.pem',
    ]
  const passwordInstead = 'Set `tls-auth-clients no`, and let Redis ask for a password.'
  if (WANTS_CERTIFICATE.test(message))
    return ['Redis asks for a client certificate, and none can be given', passwordInstead]
  // It says so on its way out, and often that is not heard.
  if (isTls && /ECONNRESET|EPIPE|closed/.test(message))
    return [
      `Redis has closed the connection (${message}). It may ask for a client certificate: none can be given`,
      passwordInstead,
    ]
  return [
    `Redis can't be used (${message})`,
    kind === 'one' ? 'Start one: redis-server' : 'See whether these addresses are right, and the servers there up.',
  ]
}

/** Whether the address is of another kind than what is there. */
function wrongKind(mode: string, { kind }: RedisPlace, prefix: string): [message: string, hint: string] | undefined {
  if (mode === 'sentinel')
    return [
      'this is a Sentinel, and no Redis',
      'Write redis+sentinel://HOST:PORT,HOST:PORT/NAME with its master’s name.',
    ]
  if (mode !== 'cluster')
    return kind === 'cluster' ? ['this Redis is in no cluster', 'Write redis://HOST:PORT.'] : undefined
  if (kind !== 'cluster')
    return ['this Redis is one of a cluster', 'Write redis+cluster://HOST:PORT,HOST:PORT with some of its nodes.']
  if (!/\{.+\}/.test(prefix))
    return [`a Redis Cluster needs a hash tag in the prefix (${prefix})`, 'Use a prefix such as {caesura}.']
  return undefined
}
