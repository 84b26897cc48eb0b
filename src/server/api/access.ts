import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { CaesuraError, type ErrorPlace } from '../../core/errors.ts'
import { misuse, Refusal } from './problem.ts'
import { type Role, roles, type Token } from './tokens.ts'

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)

/** What a request needs of its token. */
export interface Need {
  readonly role: Role
  /** It is about the whole fleet: no token of one tenant may. */
  readonly isOfFleet: boolean
}

/** Who sends a request: a token, told by its digest, or an address. */
export interface Caller {
  /** For rates and for idempotency keys; not the token itself. */
  readonly id: string
  readonly isAllowed: boolean
  readonly role: Role
  /** Of the token: the records of the runs that it submits have it. */
  readonly name?: string
  /** It sees and touches the runs of this tenant only. */
  readonly tenant?: string
}

/** Tells callers apart. Every token is compared, in a time that does not depend on where they differ. Without tokens everybody may do everything. */
export function callers(
  tokens: readonly (Token | string)[],
): (headers: IncomingHttpHeaders, address: string) => Caller {
  const known = tokens.map((token) => (typeof token === 'string' ? { token, role: 'admin' as const } : token))
  const digests = known.map(({ token }) => digest(token))
  return ({ authorization = '' }, address) => {
    const [, given] = /^bearer +(\S+)$/i.exec(authorization) ?? []
    if (digests.length === 0) return { id: address, isAllowed: true, role: 'admin' }
    if (given === undefined) return { id: address, isAllowed: false, role: 'read' }
    const hash = digest(given)
    const at = digests.map((each) => timingSafeEqual(each, hash)).indexOf(true)
    const found = known[at]
    if (found === undefined) return { id: address, isAllowed: false, role: 'read' }
    const { token: _, ...granted } = found
    return { ...granted, id: hash.toString('hex'), isAllowed: true }
  }
}

/** Node would take the first of them. Throws a `Refusal` (400). */
export function refuseTwoTokens({ headersDistinct }: IncomingMessage): void {
  const { length = 0 } = headersDistinct.authorization ?? []
  if (length > 1) {
    throw misuse(400, 'a request has one Authorization header', { received: `${length}`, expected: '1' })
  }
}

/** Throws a `Refusal` (403) where the token of a caller does not go so far. */
export function refuseBeyond(caller: Caller, { role, isOfFleet }: Need): void {
  const refuse = (message: string, place: ErrorPlace) =>
    new Refusal(403, new CaesuraError('CAESURA_E_AUTH', message, place))
  if (roles.indexOf(caller.role) < roles.indexOf(role)) {
    const expected = roles.slice(roles.indexOf(role)).join(' or ')
    throw refuse('the role of this token does not allow it', { received: caller.role, expected })
  }
  if (isOfFleet && caller.tenant !== undefined) {
    throw refuse('this is of the whole fleet, and the token is of one tenant', { expected: 'a token without a tenant' })
  }
}

/** The tenant that a request is about: the token's own where it has one. Throws a `Refusal` (403) for another. */
export function tenantOf(caller: Caller, asked: string | undefined): string | undefined {
  if (caller.tenant === undefined || asked === undefined || asked === caller.tenant) return caller.tenant ?? asked
  throw new Refusal(
    403,
    new CaesuraError('CAESURA_E_AUTH', 'the token is of another tenant', {
      path: 'tenant',
      received: asked,
      expected: caller.tenant,
    }),
  )
}

export const unauthorized = (): Refusal =>
  new Refusal(
    401,
    new CaesuraError('CAESURA_E_AUTH', 'this needs a token of this server', {
      expected: 'Authorization: Bearer TOKEN',
    }),
    { 'www-authenticate': 'Bearer realm="caesura"' },
  )

/**
 * Without tokens only the loopback interface protects the API, and any page in a browser of this machine can reach that: so a
 * name that is not loopback (DNS rebinding) and a page of another origin are refused. Throws a `Refusal` (403).
 */
export function refusePages({ host = '', origin }: IncomingHttpHeaders, allowed: readonly string[]): void {
  const name = host.replace(/:\d+$/, '')
  if (!isLoopback(name)) {
    throw misuse(403, 'without tokens this server answers to loopback names only', { received: host })
  }
  if (origin !== undefined && origin !== `http://${host}` && !allowed.includes(origin)) {
    throw misuse(403, 'without tokens this server answers no page of another origin', { received: origin })
  }
}
