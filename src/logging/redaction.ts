import { readRedisUrl } from '../core/redis-address.ts'
/** What stands in the place of a secret. */
export const HIDDEN = '***'
/** A secret that is shorter can't be told from an ordinary word. */
const SHORTEST = 4

/** `scheme://user:password@host`: up to the last `@` before the path, as URLs are read. */
const urlCredentials = /([a-z][a-z0-9+.-]*:\/\/)[^\s/?#]*@/gi
const authorization =
  /\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|digest|token|negotiate)\s+)?)[^\s"',;]+/gi
const bearer = /\b(bearer\s+)[^\s"',;]+/gi
const named =
  /\b((?:x-)?api[-_]?key|pass(?:word|wd)|client[-_]?secret|access[-_]?token)(["']?\s*[:=]\s*["']?)[^\s"',;&]+/gi
/** As OpenAI and others make them. */
const apiKey = /\bsk-[A-Za-z0-9_-]{16,}/g

/** Takes secrets out of text: those that are `known`, however they are written, and what looks like one. */
export function redactor(known: Iterable<string>): (text: string) => string {
  const ways = [...known].filter((secret) => secret.length >= SHORTEST).flatMap(waysToWrite)
  // The longest first: one may be the beginning of another.
  const forms = [...new Set(ways)].sort((a, b) => b.length - a.length)
  return (text) => {
    let clean = text
    for (const form of forms) clean = clean.replaceAll(form, HIDDEN)
    return clean
      .replace(urlCredentials, `$1${HIDDEN}@`)
      .replace(authorization, `$1${HIDDEN}`)
      .replace(bearer, `$1${HIDDEN}`)
      .replace(named, `$1$2${HIDDEN}`)
      .replace(apiKey, HIDDEN)
  }
}

/** As it is, in a URL, in JSON. */
function waysToWrite(secret: string): string[] {
  const ways = [secret, JSON.stringify(secret).slice(1, -1)]
  // Half of a surrogate pair can't be in a URL.
  if (secret.isWellFormed()) ways.push(encodeURIComponent(secret), encodeURI(secret))
  return ways
}

/** The passwords of a URL, which may lack its scheme: as it stands there, and as it is meant. */
export function passwordsOf(url: string | undefined): string[] {
  const text = url?.trim() ?? ''
  const { password = '', searchParams } = URL.parse(text.includes('://') ? text : `http://${text}`) ?? {}
  // Several hosts, which no URL has.
  const redis = readRedisUrl(text)
  const more = redis === undefined ? [] : [redis.password, redis.kind === 'sentinel' ? redis.sentinelPassword : '']
  const found = [password, ...(searchParams?.getAll('password') ?? []), ...more].filter((each) => each !== '')
  return [...new Set(found.flatMap((each) => [each, decoded(each)]))]
}

/** The values of a list such as `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,name=value`. */
export const valuesOfList = (list: string | undefined): string[] =>
  (list ?? '')
    .split(',')
    .map((pair) => pair.slice(pair.indexOf('=') + 1).trim())
    .flatMap((value) => [value, decoded(value), ...decoded(value).split(/\s+/).slice(1)])

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
