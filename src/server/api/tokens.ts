import { CaesuraError, type ErrorPlace } from '../../core/errors.ts'

/** What a token may do; each may do what those before it may. */
export const roles = ['read', 'run', 'approve', 'admin'] as const
export type Role = (typeof roles)[number]

/** A line of the tokens file. */
export interface Token {
  readonly token: string
  /** Several may have the same one: a new token beside the one that it replaces. */
  readonly name?: string
  readonly role: Role
  /** It sees and touches the runs of this tenant only. */
  readonly tenant?: string
}

/** RFC 6750, and long enough not to be guessed. */
const tokenPattern = /^[A-Za-z0-9\-._~+/]{16,512}=*$/
/** Of a name, and of a tenant as the API takes it. */
const wordPattern = /^[A-Za-z0-9_.:@-]{1,100}$/
const WORDS = '1 to 100 letters, digits or _.:@-'
const MAKE_ONE = 'Make one: openssl rand -hex 32'

/**
 * The tokens of a file: `TOKEN [name=…] [role=read|run|approve|admin] [tenant=…]` a line, `#` begins a remark. Without a role: `admin`.
 * Throws `CAESURA_E_USAGE` with the line, and never shows what stands there.
 */
export function readTokens(text: string, file: string): Token[] {
  const tokens = new Map<string, { token: Token; line: number }>()
  for (const [index, whole] of text.split(/\r?\n/).entries()) {
    const line = index + 1
    const refuse = (message: string, place: ErrorPlace) =>
      new CaesuraError('CAESURA_E_USAGE', message, { file, line, ...place })
    const words = whole
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/)
    const [word = '', ...rest] = words
    if (word === '') continue
    if (!tokenPattern.test(word)) {
      throw refuse('a line of the tokens file begins with no token', {
        expected: '16 to 512 letters, digits or -._~+/',
        hint: MAKE_ONE,
      })
    }
    const earlier = tokens.get(word)
    if (earlier !== undefined)
      throw refuse(`the token of line ${earlier.line} stands here again`, { expected: 'another' })
    tokens.set(word, { token: { token: word, role: 'admin', ...granted(rest, refuse) }, line })
  }
  if (tokens.size > 0) return [...tokens.values()].map(({ token }) => token)
  throw new CaesuraError('CAESURA_E_USAGE', 'the tokens file has no token', {
    file,
    expected: 'one token a line',
    hint: MAKE_ONE,
  })
}

/** What stands behind a token. */
function granted(
  words: readonly string[],
  refuse: (message: string, place: ErrorPlace) => CaesuraError,
): Partial<Token> {
  const found: { name?: string; role?: Role; tenant?: string } = {}
  for (const word of words) {
    const [, key, value = ''] = /^(name|role|tenant)=(.*)$/.exec(word) ?? []
    if (key === undefined) {
      throw refuse('what stands behind a token cannot be read', { expected: 'name=…, role=… or tenant=…' })
    }
    if (key in found) throw refuse(`a token has two times ${key}=`, { path: key, expected: 'one' })
    if (key === 'role') {
      const role = roles.find((each) => each === value)
      if (role === undefined) throw refuse('a token has a role that is none', { path: key, expected: roles.join(', ') })
      found.role = role
    } else if (wordPattern.test(value)) found[key as 'name' | 'tenant'] = value
    else throw refuse(`the ${key} of a token cannot be used`, { path: key, expected: WORDS })
  }
  return found
}
