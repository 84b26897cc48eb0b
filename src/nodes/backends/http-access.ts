import type { Environment } from '../../core/environment.ts'
import { CaesuraError } from '../../core/errors.ts'
import { headerFault, repeatedNames, secretsOfHeader } from '../request-headers.ts'
import { withoutSecrets } from './http-secrets.ts'

/** How a server over HTTP is reached, beside its URL. */
export interface HttpAccess {
  /**
   * Sent with every request to the server; nothing by default. Their values are in no error, no log and no record. What belongs to the
   * connection or to the request itself (`host`, `content-type`, `traceparent` and others) is refused.
   */
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as `Authorization: Bearer`, unless `headers` has an `authorization`; nothing by default. It is in no error and no record. */
  readonly apiKey?: string
  /** Where `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are looked for; `process.env` by default. */
  readonly environment?: Environment
}

/** What is sent with every request, and how it is kept out of what is told. */
export interface Credentials {
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** The same fault, with nothing of a secret in it. */
  hide<E>(error: E): E | CaesuraError
}

/** Throws `CAESURA_E_CONFIG` for a header or a key that can't be sent, without its value. */
export function credentialsOf({ headers = {}, apiKey }: HttpAccess): Credentials {
  const key = readKey(apiKey)
  for (const name of repeatedNames(Object.keys(headers))) throw noHeader(name, 'stands there twice', 'each header once')
  for (const [name, value] of Object.entries(headers)) {
    const fault = headerFault(name, value)
    if (fault !== undefined) throw noHeader(fault.showName ? name : undefined, fault.message, fault.expected)
  }
  const given = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.trim()] as const)
  const secrets = [...(key === undefined ? [] : [key]), ...given.flatMap(([, value]) => secretsOfHeader(value))]
  return {
    headers: { ...(key !== undefined && { authorization: `Bearer ${key}` }), ...Object.fromEntries(given) },
    hide: (error) => withoutSecrets(error, secrets),
  }
}

const noHeader = (name: string | undefined, fault: string, expected: string) =>
  new CaesuraError('CAESURA_E_CONFIG', name === undefined ? `a header ${fault}` : `the header ${name} ${fault}`, {
    path: name === undefined ? 'headers' : `headers.${name}`,
    expected,
  })

/** A key as a header can carry it; undefined for none. Throws `CAESURA_E_CONFIG`, without the key. */
function readKey(text: string | undefined): string | undefined {
  const key = text?.trim() ?? ''
  if (key === '') return undefined
  if (/^[\x21-\x7e]+$/.test(key)) return key
  throw new CaesuraError('CAESURA_E_CONFIG', 'the API key has a character that no header can carry', {
    expected: 'printable ASCII without spaces',
  })
}
