/**
 * What text from outside must not do to a terminal or a page: control characters (C0 and C1, so ANSI sequences too), characters that
 * turn the direction of text round and could show another text than there is, separators of lines and paragraphs, lone surrogates.
 */
const unsafe = /[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029]+/gu

const names: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r' }

/** The text with each run of unsafe characters as `replace` has it. */
export const replaceUnsafe = (text: string, replace: (run: string) => string): string => text.replace(unsafe, replace)

/** Unsafe characters as they would be written in a program: `\n`, `\u202e`. On one line. */
export const visible = (text: string): string => replaceUnsafe(text, (run) => run.split('').map(written).join(''))

const written = (unit: string): string => names[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`

/** The same, with its line breaks. */
export const visibleLines = (text: string): string => text.split('\n').map(visible).join('\n')
