import { CaesuraError } from '../../core/errors.ts'
import { present } from '../../core/present.ts'

/** A request that was answered with a redirect. */
export interface Redirected {
  /** For messages. */
  readonly address: string
  /** The URL of the node, and the path that was asked for. */
  readonly url: URL
  readonly path: string
  /** As it stands in the answer; empty for none. */
  readonly location: string
}

export const isRedirect = (status: number): boolean => status >= 300 && status < 400

/** How much of a target is shown, in characters. */
const SHOWN = 200

/**
 * A redirect is not followed: the body may hold what is meant for one server only. The error names the target, without credentials
 * and query, and the URL to write where the same route lies there.
 */
export function redirect(status: number, { address, url, path, location }: Redirected): CaesuraError {
  const answer = `${address} answered ${status}`
  const target = location === '' ? null : URL.parse(location, url.href)
  const refused = (what: string, hint?: string) =>
    new CaesuraError(
      'CAESURA_E_PROTOCOL',
      `${answer} (a redirect${what}, which is not followed)${hint ? `: ${hint}` : ''}`,
      present({ hint }),
    )
  if (target === null || !/^https?:$/.test(target.protocol)) return refused(location === '' ? '' : ' to no http URL')
  const shown = cut(target.origin + target.pathname)
  const base = url.pathname.replace(/\/+$/, '')
  const route = path.slice(base.length)
  const movedTo = target.pathname.endsWith(route) ? target.origin + target.pathname.slice(0, -route.length) : undefined
  if (movedTo === undefined)
    return refused(` to ${shown}`, 'if that is a login, give its node the headers that it asks for')
  // To itself, for instance to set a cookie.
  if (movedTo === url.origin + base) return refused(' to itself')
  return refused(` to ${shown}`, `write ${cut(movedTo)} as the URL of the server`)
}

const cut = (text: string): string => (text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text)
