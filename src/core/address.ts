/** `scheme://`, and what stands behind it. */
const SCHEME = /^([a-z][a-z0-9+.-]*:\/\/)?(.*)$/is

/**
 * A URL as it may be shown: without user, password and query, which may hold a password too. `sign` takes the place of user and
 * password. Up to the last `@`, for a password may hold one; it need be no URL.
 */
export function withoutPassword(url: string, sign = ''): string {
  const [, scheme = '', rest = ''] = SCHEME.exec(url.trim()) ?? []
  const at = rest.lastIndexOf('@')
  const query = rest.search(/[?#]/)
  // Whether the `@` ends a password or is a part of the query can't be told.
  if (query !== -1 && query < at) return `${scheme}…`
  const shown = query === -1 ? rest.slice(at + 1) : rest.slice(at + 1, query)
  return `${scheme}${at === -1 ? '' : sign}${shown}`
}

/** Addresses that a server may listen on but that no client can dial. */
const dialable: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '[::]': '[::1]' }

/** What `readServerUrl` found: a URL to dial, or what is wrong with the text, in words that follow its name. */
export type ServerUrl =
  | { readonly url: URL; readonly fault?: never; readonly credentials?: never }
  | {
      readonly fault: string
      /** Whether that is a user or a password, or may be one. */
      readonly credentials: boolean
      readonly url?: never
    }

/**
 * Reads the address of an HTTP server to talk to: an http or https URL. An address to listen on (`0.0.0.0`, `[::]`) becomes that of
 * this machine. Query and fragment are dropped. What is no such address: credentials, another scheme, a host that no server can
 * have (`*`, `0.0.0.1`, a multicast address), port 0, blanks.
 */
export function readServerUrl(text: string): ServerUrl {
  const none = (fault: string, credentials = false): ServerUrl => ({ fault, credentials })
  if (text.includes('@')) {
    // A slash in a password makes a path of the rest of it, so an `@` is refused wherever it stands.
    const isPath = /^[a-z][a-z0-9+.-]*:\/\/[^/?#@]+\/[^@]*@/i.test(text)
    return isPath
      ? none('has an @ behind its host: an @ of a path is written %40', true)
      : none('has credentials in it', true)
  }
  if (/[\s\p{Cc}\\]/u.test(text)) return none('has a blank or a backslash in it')
  const url = URL.parse(text)
  if (url === null || !/^https?:\/\//i.test(text)) return none('is no http or https URL')
  if (!isHost(url.hostname)) return none('names no host that a server can have')
  if (url.port === '0') return none('has port 0, where no server listens')
  url.hostname = dialable[url.hostname] ?? url.hostname
  url.search = ''
  url.hash = ''
  return { url }
}

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i
const LONGEST_NAME = 253

/** Whether this is a host as `URL` writes it, and one to talk to. `URL` takes names such as `*`, and `11434` for 0.0.44.170. */
function isHost(hostname: string): boolean {
  if (hostname.startsWith('[')) return !/^\[ff[0-9a-f]{2}:/.test(hostname)
  const [, first] = /^(\d+)\.\d+\.\d+\.\d+$/.exec(hostname) ?? []
  if (first !== undefined) return hostname === '0.0.0.0' || (Number(first) > 0 && Number(first) < 224)
  const name = hostname.replace(/\.$/, '')
  return name.length <= LONGEST_NAME && name.split('.').every((label) => LABEL.test(label))
}
