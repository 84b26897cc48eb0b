import { CaesuraError } from '../core/errors.ts'

/** Where an Ollama listens unless it was told otherwise. */
export const DEFAULT_OLLAMA_URL = 'http://127.0.0.1:11434'

/** Addresses that a server may listen on but that no client can dial. */
const dialable: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '[::]': '[::1]' }

/**
 * A URL to dial, from whatever `OLLAMA_HOST` holds: `127.0.0.1:11434`, `0.0.0.0`, `:8080`, `gpu-1`, `https://host/path`.
 * Without a scheme the port is 11434 by default, with one it is the scheme's own, as in Ollama. Ends without a slash.
 * Throws `CAESURA_E_CONFIG`.
 */
export function ollamaUrl(host: string | undefined): string {
  const text = (host ?? '').trim().replace(/^(["'])(.*)\1$/, '$2')
  if (text === '') return DEFAULT_OLLAMA_URL
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
  const rest = /^:\d+/.test(text) ? `127.0.0.1${text}` : text
  const candidate = hasScheme ? text : `http://${bracketed(rest)}`
  const url = URL.parse(candidate)
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw new CaesuraError('CAESURA_E_CONFIG', `not an address of an Ollama server: ${JSON.stringify(text)}`, {
      received: text,
      expected: 'a host, host:port or an http(s) URL, such as http://127.0.0.1:11434',
    })
  }
  url.hostname = dialable[url.hostname] ?? url.hostname
  // `URL` drops a port that is the scheme's own, so the text says whether one was given.
  if (!hasScheme && !/:\d+$/.test(candidate.slice('http://'.length).replace(/[/?#].*$/, ''))) url.port = '11434'
  url.search = ''
  url.hash = ''
  return url.href.replace(/\/+$/, '')
}

/** A bare IPv6 address needs brackets in a URL. */
const bracketed = (host: string): string => (/^[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*$/i.test(host) ? `[${host}]` : host)
