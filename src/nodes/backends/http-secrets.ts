import { inspect } from 'node:util'
import { CaesuraError } from '../../core/errors.ts'
import { TryLater } from './http-errors.ts'

/** Shorter beginnings of a secret give nothing away, in characters. */
const TELLING = 6
/** How deep causes are looked into. */
const DEPTH = 20

/**
 * Keeps secrets out of all that is told of a fault: a server may quote them, and a redirect may carry them. What has nothing of them
 * stays as it is; else what caused the fault is left out.
 */
export function withoutSecrets<E>(error: E, secrets: readonly string[]): E | CaesuraError {
  if (secrets.length === 0) return error
  const forms = [...new Set(secrets.flatMap((secret) => [secret, encodeURIComponent(secret)]))]
  // The longest first: one may be the beginning of another.
  forms.sort((a, b) => b.length - a.length)
  const hide = (text: string) => forms.reduce(withoutOne, text)
  if (!(error instanceof Error) || !mentions(error, hide)) return error
  const { code, place } = error instanceof CaesuraError ? error : { code: 'CAESURA_E_INTERNAL' as const, place: {} }
  const texts = Object.entries(place).map(([name, text]) => [name, typeof text === 'string' ? hide(text) : text])
  const hidden = new CaesuraError(code, hide(error.message), Object.fromEntries(texts))
  return error instanceof TryLater ? new TryLater(hidden, error.retryAfterMs) : hidden
}

/** A text without the secret, and without the beginning of it that was left where the text was cut. */
function withoutOne(text: string, secret: string): string {
  let hidden = text.replaceAll(secret, '…')
  if (!hidden.includes('…')) return hidden
  for (let length = secret.length - 1; length >= TELLING; length -= 1)
    hidden = hidden.replaceAll(`${secret.slice(0, length)}…`, '…')
  return hidden
}

/** Whether the error, or anything that hangs on it, has something of a secret: a parser's error keeps what it could not read. */
function mentions(error: Error, hide: (text: string) => string): boolean {
  const places = error instanceof CaesuraError ? Object.values(error.place) : []
  const said = [error.message, ...places, inspect(error, { depth: DEPTH, maxStringLength: null })].join('\n')
  return said !== hide(said)
}
