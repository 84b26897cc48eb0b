/** What a header that a user gives for a node may be, and what of it is a secret. */

/** Headers that belong to a connection, or to a request that is made here. */
const OURS: ReadonlySet<string> = new Set([
  'baggage',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'traceparent',
  'tracestate',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
/** A token of RFC 9110. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]{1,256}$/i
/** Printable ASCII with blanks between. */
const VALUE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/
const LONGEST_VALUE = 8192

/** What is wrong with a header: in words that follow its name, with what is allowed. Never the value. */
export interface HeaderFault {
  readonly message: string
  readonly expected: string
  /** Whether the name itself may be shown: one that is none may be a value in the wrong place. */
  readonly showName: boolean
}

/** Undefined for a header that can be sent with each request of a node. Blanks around the value do not count. */
export function headerFault(name: string, value: unknown): HeaderFault | undefined {
  if (!NAME.test(name))
    return {
      message: 'has a name that no header can have',
      expected: "a header's name, such as x-api-key",
      showName: false,
    }
  const fault = (message: string, expected: string) => ({ message, expected, showName: true })
  if (OURS.has(name.toLowerCase())) return fault('is set by Caesura itself', 'another header')
  if (typeof value !== 'string') return fault('is no text', 'a text in quotes')
  const text = value.trim()
  if (text === '') return fault('is empty', 'a text')
  if (text.length > LONGEST_VALUE) return fault('is too long', `at most ${LONGEST_VALUE} characters`)
  return VALUE.test(text) ? undefined : fault('has a character that no header can carry', 'printable ASCII on one line')
}

/** Names of `headers` that stand there before, whatever their case. */
export const repeatedNames = (names: readonly string[]): string[] =>
  names.filter((name, index) => names.findIndex((other) => other.toLowerCase() === name.toLowerCase()) < index)

/** A secret that is shorter can't be told from an ordinary word. */
const SHORTEST = 4

/**
 * The secrets in the value of a header: all of it, what stands behind a scheme such as `Bearer`, and the user's password of `Basic`.
 */
export function secretsOfHeader(value: string): string[] {
  const text = value.trim()
  const [, scheme = '', token = ''] = /^(\S+)\s+(.+)$/s.exec(text) ?? []
  const secrets = [text, token]
  if (/^basic$/i.test(scheme)) {
    const credentials = Buffer.from(token, 'base64').toString('utf8')
    secrets.push(credentials, credentials.slice(credentials.indexOf(':') + 1))
  }
  return [...new Set(secrets)].filter((secret) => secret.length >= SHORTEST)
}
