import { CaesuraError, type ErrorCode } from '../../core/errors.ts'
import { quote } from './http-errors.ts'

/** What a server says of a fault. */
export interface ServerWords {
  /** Empty where it has no words. */
  readonly message: string
  /** Its codes, types and statuses, in one text. */
  readonly kind: string
}

type Fields = Readonly<Record<string, unknown>>

/** How deep an error may lie in others. */
const NESTED = 4
const messageNames = ['message', 'msg', 'error', 'detail', 'details', 'description', 'reason', 'title', 'errors']
const kindNames = ['code', 'type', 'status', 'status_code', 'error_type', 'name']

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  value === '' ||
  (typeof value === 'object' && Object.keys(value).length === 0)

/** Whether a field named `error` says that something went wrong. Many servers have an empty one in each line. */
export const isError = (value: unknown): boolean => !isEmpty(value)

/** The words of an error in whatever form it comes: a text, an object, a list, one within another, JSON within a text. */
export function wordsOf(error: unknown, depth = 0): ServerWords {
  if (typeof error === 'string') return inText(error, depth)
  if (typeof error === 'number' || typeof error === 'boolean') return { message: String(error), kind: String(error) }
  if (typeof error !== 'object' || error === null) return { message: '', kind: '' }
  if (depth >= NESTED) return { message: JSON.stringify(error), kind: '' }
  if (Array.isArray(error)) {
    const all = error.map((each) => wordsOf(each, depth + 1))
    return { message: joined(all.map(({ message }) => message)), kind: joined(all.map(({ kind }) => kind)) }
  }
  const fields = error as Fields
  const told = messageNames.map((name) => fields[name]).find((value) => !isEmpty(value))
  const inner = told === undefined ? undefined : wordsOf(told, depth + 1)
  const kinds = kindNames.map((name) => fields[name]).filter((value) => /^(string|number)$/.test(typeof value))
  return {
    message: inner?.message || JSON.stringify(fields),
    kind: joined([...kinds.map(String), inner?.kind ?? '']),
  }
}

/** 0.32 of Ollama quotes its runner's answer as a text. */
function inText(text: string, depth: number): ServerWords {
  if (depth < NESTED && /^\s*\{/.test(text)) {
    try {
      return wordsOf(JSON.parse(text), depth + 1)
    } catch {
      // a text that only begins like JSON
    }
  }
  return { message: text, kind: '' }
}

const joined = (texts: readonly string[]): string => texts.filter((text) => text !== '').join(' ')

const codes: readonly (readonly [ErrorCode, RegExp])[] = [
  [
    'CAESURA_E_CONTEXT_FULL',
    /exceed_context_size|context_length_exceeded|maximum context length|exceeds? the (available )?context/i,
  ],
  [
    'CAESURA_E_SERVER_BUSY',
    /\b(429|503|529)\b|rate.?limit|too many requests|overloaded|server busy|insufficient_system_resource/i,
  ],
  ['CAESURA_E_AUTH', /\b(401|403)\b|authentication_error|permission_(error|denied)|invalid_api_key/i],
  ['CAESURA_E_REQUEST', /\b(400|422)\b|invalid_request/i],
]
/** A number in the words of a fault may be any number; in its code it is a status. */
const inWords: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CAESURA_E_CONTEXT_FULL'])

/** A fault that a server tells of inside an answer whose status was good: by its code where that says more, else `CAESURA_E_MODEL_ERROR`. */
export function faultInAnswer({ message, kind }: ServerWords, begun: boolean): CaesuraError {
  const [code = 'CAESURA_E_MODEL_ERROR'] =
    codes.find(([name, pattern]) => pattern.test(inWords.has(name) ? `${kind} ${message}` : kind)) ?? []
  const words = quote(message)
  const where = begun ? 'in the middle of the answer' : 'before its answer'
  const named = kind !== '' && !message.includes(kind) ? ` (${quote(kind, KIND)})` : ''
  return new CaesuraError(code, `the server failed ${where}: ${words === '' ? 'it gave no reason' : words}${named}`)
}
const KIND = 60
