import { filters as library } from 'liquidjs'
import { type Budget, budgetOf } from './template-budget.ts'
import { isFound, listFilters } from './template-lists.ts'
import { findAll, findFirst, findLast } from './template-search.ts'
import type { FilterContext, OwnFilter } from './template-values.ts'
import { textOf } from './template-values.ts'

/** ns, by the list of prices. */
interface Price {
  readonly character: number
  readonly entry: number
  readonly call: number
}

const number: Price = { character: 5, entry: 100, call: 1000 }
const text: Price = { character: 10, entry: 100, call: 1000 }
const pattern: Price = { character: 25, entry: 100, call: 1000 }
const code: Price = { character: 60, entry: 100, call: 1000 }
const list: Price = { character: 2, entry: 100, call: 1000 }
/** A name of a time zone costs a formatter. */
const date: Price = { character: 10_000, entry: 100, call: 2_000_000 }
/** They look at one entry, or at none. */
const look: Price = { character: 0, entry: 0, call: 1000 }

/** Filters of the library whose work grows in step with what they are given, each with what that costs. */
const kept: Readonly<Record<string, Price>> = {
  ...of(number, ['abs', 'at_least', 'at_most', 'ceil', 'divided_by', 'floor', 'minus', 'modulo', 'plus', 'round']),
  ...of(number, ['times', 'to_integer']),
  ...of(text, ['append', 'prepend', 'upcase', 'downcase', 'capitalize', 'lstrip', 'rstrip', 'strip', 'slice']),
  ...of(text, ['truncate']),
  ...of(pattern, ['strip_newlines', 'squish', 'normalize_whitespace', 'truncatewords', 'number_of_words']),
  ...of(pattern, ['newline_to_br']),
  ...of(code, ['url_encode', 'url_decode', 'uri_escape', 'cgi_escape', 'base64_encode', 'base64_decode']),
  ...of(code, ['sha256', 'hmac_sha256']),
  ...of(list, ['reverse', 'concat', 'push', 'unshift', 'pop', 'shift', 'compact']),
  ...of(text, ['uniq', 'array_to_sentence_string']),
  ...of(date, ['date', 'date_to_xmlschema', 'date_to_rfc822', 'date_to_string', 'date_to_long_string']),
  ...of(look, ['first', 'last', 'size', 'default', 'raw']),
}

/** A date and its format are short; what is longer is none. */
const LONGEST_DATE = 200

function of(price: Price, names: readonly string[]): Record<string, Price> {
  return Object.fromEntries(names.map((name) => [name, price]))
}

type Handler = (this: unknown, value: unknown, ...args: unknown[]) => unknown

function priced(name: string, price: Price): OwnFilter {
  const found: unknown = library[name as keyof typeof library]
  const handler = (typeof found === 'function' ? found : (value: unknown) => value) as Handler
  return function (value, ...args) {
    const budget = budgetOf(this.context)
    budget.spend(price.call + args.length * price.entry)
    if (price === look) return handler.call(this, value, ...args)
    if (price === date && [value, ...args].some((each) => textOf(each, budget).length > LONGEST_DATE)) return value
    const { characters, entries } = budget.measure(value, ...args)
    budget.spend(characters * price.character + entries * price.entry)
    budget.reserve(price === number ? 0 : Math.max(characters, entries * 8))
    const made = budget.filter(() => handler.call(this, value, ...args))
    if (typeof made === 'string') budget.keep(made.length)
    else if (Array.isArray(made)) budget.keep(made.length * 8)
    return made
  }
}

const escapes: readonly (readonly [string, string])[] = [
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&#34;'],
  ["'", '&#39;'],
]

/** What stands for each pattern is put in its place, one pattern after the other. */
function replaceEach(source: string, pairs: Iterable<readonly [string, string]>, budget: Budget): string {
  let result = source
  for (const [from, to] of pairs) result = replaceAll(result, from, to, budget)
  return result
}

function escaped(value: unknown, budget: Budget): string {
  return replaceEach(textOf(value, budget), escapes, budget)
}

function unescaped(value: unknown, budget: Budget): string {
  // The ampersand last: `&amp;lt;` is `&lt;`.
  const pairs = [...escapes].reverse().map(([to, from]) => [from, to] as const)
  return replaceEach(textOf(value, budget), pairs, budget)
}

function replaceAll(source: string, from: string, to: string, budget: Budget): string {
  let count = 0
  for (const _ of findAll(source, from, budget)) count += 1
  if (from === '') count = Math.max(0, source.length - 1)
  if (count === 0) return source
  budget.spend(count * 60)
  budget.keep(source.length + count * (to.length - from.length))
  return partsOf(source, from, budget).join(to)
}

/** The text between the places of the separator; without a separator each UTF-16 unit. */
function partsOf(source: string, separator: string, budget: Budget): string[] {
  if (separator === '') return source.split('')
  const parts: string[] = []
  let from = 0
  for (const at of findAll(source, separator, budget)) {
    parts.push(source.slice(from, at))
    from = at + separator.length
  }
  parts.push(source.slice(from))
  return parts
}

/** `to` in place of `from`, which stands at `at`; -1: nowhere. */
function spliced(source: string, at: number, { from, to }: { from: string; to: string }, budget: Budget): string {
  if (at === -1) return source
  budget.keep(source.length - from.length + to.length)
  return source.slice(0, at) + to + source.slice(at + from.length)
}

/** Filters of our own: those of the library take longer than in proportion, or make something large before they look. */
const textFilters: Readonly<Record<string, (budget: Budget, value: unknown, ...args: unknown[]) => unknown>> = {
  escape: (budget, value) => escaped(value, budget),
  xml_escape: (budget, value) => escaped(value, budget),
  escape_once: (budget, value) => escaped(unescaped(value, budget), budget),
  replace: (budget, value, from, to) =>
    replaceAll(textOf(value, budget), textOf(from, budget), textOf(to, budget), budget),
  replace_first(budget, value, from, to) {
    const [source, wanted] = [textOf(value, budget), textOf(from, budget)]
    return spliced(source, findFirst(source, wanted, budget), { from: wanted, to: textOf(to, budget) }, budget)
  },
  replace_last(budget, value, from, to) {
    const [source, wanted] = [textOf(value, budget), textOf(from, budget)]
    return spliced(source, findLast(source, wanted, budget), { from: wanted, to: textOf(to, budget) }, budget)
  },
  remove: (budget, value, from) => replaceAll(textOf(value, budget), textOf(from, budget), '', budget),
  remove_first: (budget, value, from) => textFilters.replace_first!(budget, value, from, ''),
  remove_last: (budget, value, from) => textFilters.replace_last!(budget, value, from, ''),
  split(budget, value, by) {
    const [source, separator] = [textOf(value, budget), textOf(by, budget)]
    let count = 1
    if (separator === '') count = source.length
    else for (const _ of findAll(source, separator, budget)) count += 1
    budget.spend(count * 60)
    budget.keep(source.length + count * 8)
    const parts = partsOf(source, separator, budget)
    // As Ruby does it: no empty texts at the end.
    while (parts.at(-1) === '') parts.pop()
    return parts
  },
  json(budget, value, space) {
    const { characters, entries, depth } = budget.measure(value)
    const indent = Math.min(10, Number(space) || 0)
    budget.spend(characters * 20 + entries * 500)
    budget.reserve(characters + entries * (4 + indent * depth))
    const made = JSON.stringify(value, undefined, indent) as string | undefined
    budget.keep(made?.length ?? 0)
    return made
  },
}

/** `contains`, in a condition. */
export function contains(whole: unknown, part: unknown, budget: Budget): boolean {
  if (part === undefined || part === null) return false
  if (typeof whole === 'string') return findFirst(whole, textOf(part, budget), budget) !== -1
  return Array.isArray(whole) && isFound(whole, part, budget)
}

/** All filters that a template may use, by name. */
export const templateFilters: Readonly<Record<string, OwnFilter>> = {
  ...Object.fromEntries(Object.entries(kept).map(([name, price]) => [name, priced(name, price)])),
  ...Object.fromEntries(
    [...Object.entries(textFilters), ...Object.entries(listFilters)].map(([name, make]) => [
      name,
      function (this: FilterContext, value: unknown, ...args: unknown[]) {
        const budget = budgetOf(this.context)
        budget.spend(text.call)
        return make(budget, value, ...args)
      } satisfies OwnFilter,
    ]),
  ),
}
