/** What a character is to the search for sentence ends. Numbers, so that a table of bytes can hold them. */
export const kinds = {
  unknown: 0,
  other: 1,
  space: 2,
  /** Ends a paragraph. */
  line: 3,
  lower: 4,
  upper: 5,
  /** Of a script without case. */
  letter: 6,
  digit: 7,
  /** Ends a sentence whatever follows straight behind it: `。`, `।`, `؟`. */
  terminal: 8,
  /** `!` and `?` of ASCII, which also stand inside addresses and code. */
  exclamation: 9,
  /** A full stop, which also stands in numbers and abbreviations. */
  stop: 10,
  /** `…`, and full stops in a row. */
  ellipsis: 11,
  open: 12,
  close: 13,
  /** Opens or closes, by what stands around it. */
  quote: 14,
  /** The sentence goes on behind it, even after a mark. */
  comma: 15,
  /** Belongs to the character before it. */
  extend: 16,
  /** Markdown around a text: stands inside or outside of its marks. */
  emphasis: 17,
  /** A picture or a sign beyond ASCII. */
  symbol: 18,
} as const

export type Kind = (typeof kinds)[keyof typeof kinds]

/** Marks that Unicode does not list as `Sentence_Terminal`, but that end sentences in their script: Greek `;`, Tibetan, Thai. */
const moreTerminals = /[\u037E\u0E5A\u0E5B\u0F0D-\u0F11]/u
/** `SContinue` of Unicode's rules for sentences (UAX 29), with the Arabic semicolon and the Ethiopic commas. */
const commas =
  /[,\-:;\u055D\u060C\u060D\u061B\u07F8\u1363-\u1366\u1802\u1808\u2013\u2014\u3001\uFE10\uFE11\uFE13\uFE14\uFE31\uFE32\uFE50\uFE51\uFE54\uFE55\uFE58\uFE63\uFF0C\uFF0D\uFF1A\uFF1B\uFF64]/u
/** Georgian is lower case by its letters, and begins its sentences with them. */
const georgian = /\p{Script=Georgian}/u

/** The first that matches. */
const tests: readonly (readonly [RegExp, Kind])[] = [
  [/[\n\r\u0085\u2028\u2029]/u, kinds.line],
  [/[.\u2024\uFE52\uFF0E]/u, kinds.stop],
  [/\u2026/u, kinds.ellipsis],
  [/[!?]/u, kinds.exclamation],
  [moreTerminals, kinds.terminal],
  [/\p{Sentence_Terminal}/u, kinds.terminal],
  [commas, kinds.comma],
  [/["'\u2018\u2019\u201A-\u201F\u2039\u203A\u00AB\u00BB]/u, kinds.quote],
  [/[\p{Ps}\p{Pi}\u00A1\u00BF\u2E18]/u, kinds.open],
  [/[\p{Pe}\p{Pf}]/u, kinds.close],
  [/[*_`~]/u, kinds.emphasis],
  [/[\p{Grapheme_Extend}\p{Mc}\p{Cf}]/u, kinds.extend],
  [/\s/u, kinds.space],
  [/\p{N}/u, kinds.digit],
  [georgian, kinds.letter],
  [/\p{Lowercase}/u, kinds.lower],
  [/[\p{Uppercase}\p{Lt}]/u, kinds.upper],
  [/[\p{L}\p{Alphabetic}]/u, kinds.letter],
  [/[^\p{ASCII}\p{P}\p{C}]/u, kinds.symbol],
]

/** By code point; filled when one is first seen. Pages of it that are never touched take no memory. */
const known = new Uint8Array(0x11_0000)

/** The kind of a code point. */
export function kindOf(code: number): Kind {
  const kind = known[code] as Kind
  if (kind !== kinds.unknown) return kind
  const character = String.fromCodePoint(code)
  const found = tests.find(([test]) => test.test(character))?.[1] ?? kinds.other
  known[code] = found
  return found
}

/** By a quotation mark that opens: what may close it. `'` and `’` are apostrophes too often to be followed. */
export const closersOf: Readonly<Record<string, string>> = {
  '"': '"',
  '\u201C': '\u201D',
  '\u201D': '\u201D',
  '\u201A': '\u2018\u2019',
  '\u201E': '\u201C\u201D',
  '\u201F': '\u201D',
  '\u00AB': '\u00BB',
  '\u00BB': '\u00AB\u00BB',
  '\u2039': '\u203A',
  '\u203A': '\u2039\u203A',
}

/** Quotation marks that open wherever they stand, unless one is open that they close. */
export const openingQuotes = '\u201C\u201E\u201F\u201A\u201B\u2018\u00AB\u2039'

/** Whether a code point is a Greek letter: behind one, `;` is a question mark. */
export const isGreek = (code: number): boolean => (code >= 0x370 && code <= 0x3ff) || (code >= 0x1f00 && code <= 0x1fff)
