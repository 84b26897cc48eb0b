import { isScalar, LineCounter, parseDocument, visit, type YAMLError } from 'yaml'
import { offsetOf } from './document-place.ts'
import { CaesuraError, type ErrorPlace } from './errors.ts'
import { present } from './present.ts'
import { oneOrMany, type Path, type Source, show } from './problems.ts'

/** The most that a file may hold: 1 MiB. */
export const MOST_BYTES = 1_048_576
/** What aliases may multiply a document by; a bomb has millions. */
const MOST_ALIASES = 100
const MOST_ERRORS = 20

/** A YAML (or JSON) document as plain values, and where they stand. */
export interface Document extends Source {
  readonly value: unknown
  place(path: Path, at?: { key?: boolean; offset?: number }): { line: number; column: number } | undefined
}

const PARSING = {
  stringKeys: true,
  // The parser's own check compares every key with every other: 43 s for 60,000 keys. See duplicateKeys.
  uniqueKeys: false,
  prettyErrors: false,
  logLevel: 'error',
  // Whatever a %YAML directive says: only what JSON has, too.
  schema: 'core',
  resolveKnownTags: false,
  merge: false,
} as const

/** For the codes of the YAML parser that people meet: what is wrong, and what to do. */
const explanations: Record<string, { message: string; hint?: string }> = {
  TAB_AS_INDENT: { message: 'A tab is used as indentation', hint: 'Indent with spaces.' },
  MULTIPLE_DOCS: {
    message: 'The file holds more than one document',
    hint: 'Put each document into a file of its own.',
  },
  NON_STRING_KEY: { message: 'A key is not a text', hint: 'Write it in quotes.' },
  TAG_RESOLVE_FAILED: { message: 'A tag is not known', hint: 'Remove the word that begins with `!`.' },
}

/**
 * Reads one document. Throws `CAESURA_E_FILE_TOO_LARGE`, `CAESURA_E_ENCODING` and `CAESURA_E_YAML` (syntax, tabs,
 * duplicate keys, several documents, nothing at all, aliases that blow up), all that it finds at once.
 */
export function readDocument(content: string | Uint8Array, file?: string): Document {
  const at: ErrorPlace = file === undefined ? {} : { file }
  const text = decodeText(content, at)
  const lines = new LineCounter()
  const document = compose(text, lines, at)
  const position = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  const toPlace = (error: YAMLError) => ({ ...at, ...position(Math.min(error.pos[0], text.length)) })
  // An unresolved tag is only a warning to the parser, but its value would not be what was meant.
  const faults = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0])
  const overflow = faults.find((fault) => /call stack|stack overflow/i.test(fault.message))
  if (overflow) throw tooDeep(toPlace(overflow), overflow)
  const errors = faults.slice(0, MOST_ERRORS).map((fault) => syntaxError(fault, text, toPlace(fault)))
  if (errors.length === 0)
    errors.push(...duplicateKeys(document).map(([key, offset]) => duplicateKey(key, { ...at, ...position(offset) })))
  if (errors.length > 0) throw oneOrMany(errors)
  if (document.contents === null) {
    throw new CaesuraError('CAESURA_E_YAML', 'The file is empty.', { ...at, expected: 'a YAML document' })
  }
  const value = toPlain(() => document.toJS({ maxAliasCount: MOST_ALIASES }), at)
  return {
    ...at,
    value,
    place: (path, where = {}) => position(offsetOf(document, text, path, where)),
  }
}

/** The text of a file of at most 1 MiB. Throws `CAESURA_E_FILE_TOO_LARGE`, `CAESURA_E_ENCODING`. */
export function decodeText(content: string | Uint8Array, at: ErrorPlace): string {
  const bytes = typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength
  if (bytes > MOST_BYTES) throw tooLarge(bytes, at)
  if (typeof content === 'string') return content
  if (content.includes(0)) {
    throw new CaesuraError('CAESURA_E_ENCODING', 'The file is binary, not text.', { ...at, expected: 'UTF-8 text' })
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content) // without its byte order mark
  } catch (cause) {
    const hint = 'Save it as UTF-8.'
    throw new CaesuraError('CAESURA_E_ENCODING', 'The file is not valid UTF-8.', {
      ...at,
      expected: 'UTF-8 text',
      hint,
      cause,
    })
  }
}

/** `CAESURA_E_FILE_TOO_LARGE`, also for whoever knows the size before reading. */
export function tooLarge(bytes: number, at: ErrorPlace): CaesuraError {
  return new CaesuraError('CAESURA_E_FILE_TOO_LARGE', 'The file is too large.', {
    ...at,
    received: `${bytes.toLocaleString('en-US')} bytes`,
    expected: `at most ${MOST_BYTES.toLocaleString('en-US')} bytes`,
  })
}

function compose(text: string, lineCounter: LineCounter, at: ErrorPlace) {
  try {
    return parseDocument(text, { ...PARSING, lineCounter })
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw tooDeep(at, cause)
  }
}

const tooDeep = (at: ErrorPlace, cause: unknown) =>
  new CaesuraError('CAESURA_E_YAML', 'The document is nested too deeply.', {
    ...at,
    expected: 'a few hundred levels at most',
    cause,
  })

function toPlain(convert: () => unknown, at: ErrorPlace): unknown {
  let value: unknown
  try {
    value = convert()
  } catch (cause) {
    if (cause instanceof RangeError) throw tooDeep(at, cause)
    if (!(cause instanceof ReferenceError)) throw cause
    const unresolved = cause.message.startsWith('Unresolved alias')
    const message = unresolved ? 'An alias names no anchor before it.' : 'The document uses too many aliases.'
    throw new CaesuraError('CAESURA_E_YAML', message, { ...at, hint: 'Write the values out.', cause })
  }
  try {
    JSON.stringify(value)
  } catch (cause) {
    if (cause instanceof RangeError) throw tooDeep(at, cause)
    throw new CaesuraError('CAESURA_E_YAML', 'An alias stands inside the value that it names.', { ...at, cause })
  }
  return value
}

/** Keys that stand a second time in their mapping, with their offset; at most 20. */
function duplicateKeys(document: ReturnType<typeof compose>): [string, number][] {
  const found: [string, number][] = []
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<string>()
      for (const { key } of items) {
        if (!isScalar(key)) continue
        const name = String(key.value)
        if (seen.has(name)) found.push([name, key.range?.[0] ?? 0])
        seen.add(name)
      }
    },
  })
  return found.slice(0, MOST_ERRORS)
}

function duplicateKey(key: string, place: ErrorPlace): CaesuraError {
  return new CaesuraError('CAESURA_E_YAML', `The key ${show(key)} stands twice in one mapping.`, {
    ...place,
    received: show(key),
    expected: 'every key once',
    hint: 'Remove or rename one of the two.',
  })
}

function syntaxError(error: YAMLError, text: string, place: ErrorPlace): CaesuraError {
  const { message, hint } = explanations[error.code] ?? { message: show(error.message.replace(/[.:]?$/, '')) }
  const received = text.slice(error.pos[0]).split('\n', 1)[0]!.trim()
  return new CaesuraError('CAESURA_E_YAML', `${message}.`, {
    ...place,
    ...(received !== '' && { received: show(received) }),
    expected: 'YAML 1.2',
    ...present({ hint }),
  })
}
