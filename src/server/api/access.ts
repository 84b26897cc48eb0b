import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { CaesuraError } from '../../core/errors.ts'
import { misuse, Refusal } from './problem.ts'

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** RFC 6750, and long enough not to be guessed. */
const tokenPattern = /^[A-Za-z0-9\-._~+/]{16,512}=*$/

/** The tokens of a file: one a line, `#` begins a remark. Throws `CAESURA_E_USAGE`, and never shows a token. */
export function readTokens(text: string, file: string): string[] {
  const tokens: string[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const token = line.trim()
    if (token === '' || token.startsWith('#')) continue
    if (!tokenPattern.test(token)) {
      throw new CaesuraError('CAESURA_E_USAGE', 'a line of the tokens file is no token', {
        file,
        line: index + 1,
        expected: '16 to 512 letters, digits or -._~+/ on a line',
        hint: 'Make one: openssl rand -hex 32',
      })
    }
    tokens.push(token)
  }
  if (tokens.length > 0) return tokens
  throw new CaesuraError('CAESURA_E_USAGE', 'the tokens file has no token', {
    file,
    expected: 'one token a line',
    hint: 'Make one: openssl rand -hex 32',
  })
}

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)

/** Who sends a request: a token, told by its digest, or an address. */
export interface Caller {
  /** For rates and for idempotency keys; not the token itself. */
  readonly id: string
  readonly isAllowed: boolean
}

/** Tells callers apart. Every token is compared, in a time that does not depend on where they differ. */
export function callers(tokens: readonly string[]): (headers: IncomingHttpHeaders, address: string) => Caller {
  const digests = tokens.map(digest)
  return ({ authorization = '' }, address) => {
    const [, given] = /^bearer +(\S+)$/i.exec(authorization) ?? []
    if (digests.length === 0) return { id: address, isAllowed: true }
    if (given === undefined) return { id: address, isAllowed: false }
    const hash = digest(given)
    const isAllowed = digests.map((known) => timingSafeEqual(known, hash)).includes(true)
    return { id: isAllowed ? hash.toString('hex') : address, isAllowed }
  }
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
