import { readServerUrl, withoutPassword } from '../../core/address.ts'
import { CaesuraError } from '../../core/errors.ts'
import { present } from '../../core/present.ts'
import { show } from '../../core/problems.ts'

/** Where an Ollama listens unless it was told otherwise. */
export const DEFAULT_OLLAMA_URL = 'http://127.0.0.1:11434'

/**
 * A URL to dial, from whatever `OLLAMA_HOST` holds: `127.0.0.1:11434`, `0.0.0.0`, `:8080`, `gpu-1`, `https://host/path`.
 * Without a scheme the port is 11434 by default, with one it is the scheme's own, as in Ollama. Ends without a slash.
 * Throws `CAESURA_E_CONFIG`, for credentials in the URL too; they are in no message.
 */
export function ollamaUrl(host: string | undefined): string {
  const text = (host ?? '').trim().replace(/^(["'])(.*)\1$/, '$2')
  if (text === '') return DEFAULT_OLLAMA_URL
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
  const rest = bracketed(/^:\d+/.test(text) ? `127.0.0.1${text}` : text)
  const [place = ''] = /^[^/?#]*/.exec(rest) ?? []
  // `http:/gpu-1` is no host named http.
  const isPlace = /^(\[[^\]]*\]|[^:]*)(:\d+)?$/.test(place)
  const read = readServerUrl(hasScheme ? text : `http://${rest}`)
  if (read.fault !== undefined) throw noAddress(text, read.fault, read.credentials)
  if (!hasScheme && !isPlace) throw noAddress(text, 'names no host that a server can have')
  const { url } = read
  // `URL` drops a port that is the scheme's own, so the text says whether one was given.
  if (!hasScheme && !/:\d+$/.test(place)) url.port = '11434'
  return url.href.replace(/\/+$/, '')
}

function noAddress(text: string, fault: string, credentials = false): CaesuraError {
  const shown = show(withoutPassword(text, '…@'))
  const hint = /^\d+$/.test(text)
    ? `Write a port with a colon: :${text}`
    : credentials
      ? 'Give a key as apiKeyEnv, or other credentials as headers, of a node of the configuration; in the library: apiKey, headers.'
      : undefined
  return new CaesuraError('CAESURA_E_CONFIG', `not an address of an Ollama server: ${shown} ${fault}`, {
    received: shown,
    expected: 'a host, host:port or an http(s) URL without credentials, such as http://127.0.0.1:11434',
    ...present({ hint }),
  })
}

/** A bare IPv6 address needs brackets in a URL. */
const bracketed = (host: string): string => (/^[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*$/i.test(host) ? `[${host}]` : host)
