import { closest, distance } from 'fastest-levenshtein'
import type { z } from 'zod'
import { CaesuraError, CaesuraErrors, type ErrorCode, type ErrorPlace } from './errors.ts'
import { present } from './present.ts'
import { visible } from './unsafe-text.ts'

export type Path = readonly PropertyKey[]

/** Where a value came from, so that an error can name the place. `document.ts` makes one for a file. */
export interface Source {
  readonly file?: string
  /** The place of the value at `path`, or of its key; `offset` counts UTF-16 units into a text value. */
  place?(path: Path, at?: { key?: boolean; offset?: number }): { line: number; column: number } | undefined
}

/** Something that is allowed but hardly meant. */
export interface Warning extends ErrorPlace {
  readonly message: string
}

/** What one reading found: the value when there is no error. Errors and warnings in the order of the checks. */
export interface Reading<T> {
  readonly value?: T
  readonly errors: readonly CaesuraError[]
  readonly warnings: readonly Warning[]
}

/** What a `custom` issue carries in `params`. Its message is what the sentence says of the value, such as `is negative`. */
export interface Complaint {
  readonly expected: string
  /** The names that are allowed; the nearest one becomes the hint. */
  readonly allowed?: readonly string[]
  readonly hint?: string
  /** Another code than that of the document. */
  readonly code?: ErrorCode
  /** The place is the key's, not the value's. */
  readonly key?: boolean
  /** Into a text value, for the place. */
  readonly offset?: number
}

/** A problem that a check of our own found; the same shape as zod's `custom` issue. */
export interface Problem {
  readonly path: Path
  readonly message: string
  readonly input?: unknown
  readonly params: Complaint
}

const MOST_PROBLEMS = 100
const MOST_CHARACTERS = 80
/** Up to the last `@`: a password may hold one, and a slash. */
const CREDENTIALS = /\/\/\S*@/g
/** What a text may have to be looked at for credentials, in UTF-16 units: much more than is shown. */
const MOST_LOOKED_AT = 4096
/** Keys whose values are secrets, or hold some. */
const SECRET_KEYS = /^(headers|(proxy-)?authorization|apiKey|password)$/i
const withoutCredentials = (text: string): string => text.slice(0, MOST_LOOKED_AT).replace(CREDENTIALS, '//…@')

function cut(text: string): string {
  // Sliced first: the text may be as long as a file.
  const characters = Array.from(text.slice(0, 2 * MOST_CHARACTERS))
  if (characters.length <= MOST_CHARACTERS && text.length <= 2 * MOST_CHARACTERS) return visible(text)
  return `${visible(characters.slice(0, MOST_CHARACTERS - 1).join(''))}…`
}

function json(value: unknown): string {
  try {
    return JSON.stringify(value, (key, inner: unknown) => (SECRET_KEYS.test(key) ? '…' : inner)) ?? typeof value
  } catch {
    return Array.isArray(value) ? 'a list' : 'a mapping' // it contains itself, or a BigInt
  }
}

/** A value for people: texts as they are, the rest as JSON, at most 80 characters, no credentials of a URL, nothing that a terminal obeys. */
export function show(value: unknown): string {
  if (typeof value === 'string') return value.trim() === '' ? cut(`"${value}"`) : cut(withoutCredentials(value))
  return cut(typeof value === 'number' ? String(value) : withoutCredentials(json(value)))
}

/** `stages[0].policy.response`; keys that are no names are quoted. */
export function pathText(path: Path): string {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else if (/^[\w-]{1,80}$/.test(String(key))) text += `${text === '' ? '' : '.'}${String(key)}`
    else text += `["${cut(String(key))}"]`
  }
  return text
}

/** Whether it is a mapping. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `a`, `a or b`, `a, b or c`. */
export function orList(names: readonly string[]): string {
  return names.length < 2 ? (names[0] ?? 'nothing') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}

/** Did you mean …? Nothing when no name is near. */
export function didYouMean(received: unknown, allowed: readonly string[]): string | undefined {
  if (typeof received !== 'string' || received === '' || received.length > MOST_CHARACTERS || allowed.length === 0)
    return undefined
  const name = closest(received.toLowerCase(), allowed as string[])
  const far = distance(received.toLowerCase(), name.toLowerCase()) > Math.ceil(name.length / 3)
  return far ? undefined : `Did you mean \`${name}\`?`
}

const typeNames: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
}

/** What zod knows only while it reports: it lets an error map return a text, so the map returns an index into this. */
type Detail = { readonly expected: string; readonly allowed?: readonly string[] }
const INDEX = '\u0000'

function detail(issue: z.core.$ZodRawIssue): Detail {
  switch (issue.code) {
    case 'unrecognized_keys': {
      const allowed =
        issue.inst && 'shape' in issue.inst._zod.def ? Object.keys(issue.inst._zod.def.shape as object) : []
      return { expected: orList(allowed), allowed }
    }
    case 'invalid_value': {
      const allowed = issue.values.map(String)
      return { expected: orList(allowed), allowed }
    }
    case 'invalid_union': {
      const options = 'options' in issue && Array.isArray(issue.options) ? issue.options : []
      const allowed = options.map(String)
      return { expected: allowed.length > 0 ? orList(allowed) : 'one of several forms', allowed }
    }
    case 'invalid_type':
      return { expected: typeNames[issue.expected] ?? issue.expected }
    case 'too_small':
      return { expected: issue.origin === 'array' ? `${issue.minimum} or more entries` : `${issue.minimum} or more` }
    case 'too_big':
      return { expected: issue.origin === 'array' ? `at most ${issue.maximum} entries` : `at most ${issue.maximum}` }
    default:
      return { expected: 'another value' }
  }
}

/** Parses `input`; on failure the problems, in one form whatever found them. Never throws. */
export function parseWith<T>(schema: z.ZodType<T>, input: unknown): { value: T } | { problems: Problem[] } {
  const details: Detail[] = []
  const result = schema.safeParse(input, {
    reportInput: true,
    error: (issue) => `${INDEX}${details.push(detail(issue)) - 1}`,
  })
  if (result.success) return { value: result.data }
  return { problems: result.error.issues.flatMap((issue) => toProblems(issue, details)) }
}

function toProblems(issue: z.core.$ZodIssue, details: readonly Detail[]): Problem[] {
  const { path, input, message } = issue
  const known = message.startsWith(INDEX) ? details[Number(message.slice(1))]! : { expected: message }
  if (issue.code === 'custom') {
    const params: Partial<Complaint> = issue.params ?? {}
    return [
      { path, input, message: known.expected, params: { ...params, expected: params.expected ?? 'another value' } },
    ]
  }
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key],
      input: key,
      message: 'is not a known key',
      params: { ...known, key: true },
    }))
  }
  if (issue.code === 'invalid_union') {
    // The branch that has the right type at its root, and the keys that were written, tells more than "one of several forms".
    const branches = issue.errors.filter(
      (issues) => !issues.some((i) => i.code === 'invalid_type' && i.path.length === 0),
    )
    const branch = branches.toSorted((a, b) => unknownKeys(a) - unknownKeys(b))[0]
    if (branch) return branch.flatMap((inner) => toProblems({ ...inner, path: [...path, ...inner.path] }, details))
    // For a discriminated union the path ends at the discriminator, but the input is the whole mapping.
    const discriminator = 'discriminator' in issue ? issue.discriminator : undefined
    if (discriminator !== undefined) return [choice(path, (input as Record<string, unknown>)[discriminator], known)]
  }
  return [choice(path, input, known)]
}

/** How many keys a branch does not know: of two kinds of mappings that with fewer is meant. */
const unknownKeys = (issues: readonly z.core.$ZodIssue[]): number =>
  issues.reduce(
    (sum, issue) => sum + (issue.code === 'unrecognized_keys' && issue.path.length === 0 ? issue.keys.length : 0),
    0,
  )

function choice(path: Path, input: unknown, known: Detail): Problem {
  if (input === undefined) return { path, message: 'is missing', params: known }
  return { path, input, message: `must be ${known.expected}`, params: known }
}

/** One sentence for each problem, in the order of the file where the places are known, with code, place, received, expected and hint. At most 100, and one that counts the rest. */
export function toErrors(problems: readonly Problem[], code: ErrorCode, source: Source = {}): CaesuraError[] {
  const errors = problems.slice(0, MOST_PROBLEMS).map(({ path, message, input, params }) => {
    const text = pathText(path)
    const hint = params.hint ?? didYouMean(input, params.allowed ?? [])
    return new CaesuraError(params.code ?? code, `${text === '' ? 'The value' : text} ${message}.`, {
      ...placeOf(source, path, params),
      ...(text !== '' && { path: text }),
      ...(input !== undefined && { received: show(input) }),
      expected: params.expected,
      ...present({ hint }),
    })
  })
  const line = ({ place }: CaesuraError) => [place.line ?? 0, place.column ?? 0] as const
  errors.sort((a, b) => line(a)[0] - line(b)[0] || line(a)[1] - line(b)[1])
  const rest = problems.length - errors.length
  if (rest > 0) errors.push(new CaesuraError(code, `${rest} more problems are not shown.`, placeOf(source, [], {})))
  return errors
}

/** What to throw for one or several errors. */
export const oneOrMany = (errors: readonly CaesuraError[]): CaesuraError | CaesuraErrors =>
  errors.length === 1 ? errors[0]! : new CaesuraErrors([...errors])

/** File, line and column of a path, as far as they are known. */
export function placeOf(source: Source, path: Path, at: { key?: boolean; offset?: number }): ErrorPlace {
  return { ...present({ file: source.file }), ...source.place?.(path, at) }
}
