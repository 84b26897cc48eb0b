import { replaceUnsafe } from '../core/unsafe-text.ts'

/** Markup that is safe to be put into a page. `html` makes it, and what serialises a drawing: text from outside is always escaped once. */
export class Markup {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }

  toString(): string {
    return this.source
  }
}

type Part = string | number | Markup | undefined | false | readonly Part[]

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Control characters are no HTML, and those that turn the direction of text round could show another text than there is. */
export const printable = (text: string): string =>
  replaceUnsafe(text.toWellFormed(), (run) => run.replace(/[^\n\t]/g, ''))

const escaped = (text: string): string => printable(text).replace(/[&<>"']/g, (character) => entities[character]!)

function sourceOf(part: Part): string {
  if (part === undefined || part === false) return ''
  if (part instanceof Markup) return part.source
  if (typeof part === 'object') return part.map(sourceOf).join('')
  return escaped(String(part))
}

/** HTML or SVG from a template: each value is escaped unless it is markup; lists are joined, `undefined` and `false` are nothing. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(strings.reduce((source, string, index) => source + sourceOf(parts[index - 1]) + string))
}
