import { isDeepStrictEqual } from 'node:util'
import { type Budget, prices } from './template-budget.ts'
import { listOf, pathOf, read, textOf } from './template-values.ts'

/** ns for an entry, by the list of prices. */
const ENTRY = 200

type ListFilter = (budget: Budget, value: unknown, ...args: unknown[]) => unknown

/** Each entry beside what stands at the path in it. */
function columns(budget: Budget, value: unknown, property: unknown): { item: unknown; at: unknown }[] {
  const list = listOf(value)
  const path = pathOf(property, budget)
  budget.spend(list.length * (ENTRY + path.length * 20))
  budget.keep(list.length * 8)
  return list.map((item) => ({ item, at: read(item, path) }))
}

/** Whether it is the one that is looked for; without one, whether it is anything at all. */
function isLike(at: unknown, expected: unknown, budget: Budget): boolean {
  if (expected === undefined) return Boolean(at)
  if (typeof at === 'string' && typeof expected === 'string') {
    if (at.length === expected.length) budget.spend(at.length)
    return at === expected
  }
  if (typeof at !== 'object' || typeof expected !== 'object') return at === expected
  const { characters } = budget.measure(at, expected)
  budget.spend(characters)
  return isDeepStrictEqual(at, expected)
}

/** Whether a list has such an entry. */
export function isFound(list: readonly unknown[], entry: unknown, budget: Budget): boolean {
  budget.spend(list.length * ENTRY)
  return list.some((each) => isLike(each, entry, budget))
}

const chosen =
  (wanted: boolean): ListFilter =>
  (budget, value, property, expected) =>
    columns(budget, value, property)
      .filter(({ at }) => isLike(at, expected, budget) === wanted)
      .map(({ item }) => item)

const found = (budget: Budget, value: unknown, property: unknown, expected: unknown): number =>
  columns(budget, value, property).findIndex(({ at }) => isLike(at, expected, budget))

/** Of the texts that stand there themselves. */
const charactersOf = (rows: readonly { readonly at: unknown }[], budget: Budget): number =>
  budget.measure(rows.map(({ at }) => (typeof at === 'string' ? at : undefined))).characters

/** By value, nothing last; as many comparisons are paid for as a sort of so many makes, each with the longest text. */
function sorted(budget: Budget, value: unknown, property: unknown, keyOf: (at: unknown) => unknown): unknown[] {
  const rows = columns(budget, value, property)
  const characters = charactersOf(rows, budget)
  const rounds = Math.ceil(Math.log2(rows.length + 1))
  budget.spend(rounds * (rows.length * ENTRY + characters) + characters * prices.look)
  const keyed = rows.map(({ item, at }) => ({ item, key: at === undefined || at === null ? undefined : keyOf(at) }))
  return keyed.sort((a, b) => compare(a.key, b.key)).map(({ item }) => item)
}

function compare(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined)
  // Texts and numbers; what cannot be compared is equal.
  return Number((a as string) > (b as string)) - Number((a as string) < (b as string))
}

/** What can be compared as it is; a list or a mapping is no key. */
const plainKey = (at: unknown): unknown => (typeof at === 'object' ? undefined : at)

/** Filters of lists. `property` is a path such as `value.score`; absent: the entry itself. */
export const listFilters: Readonly<Record<string, ListFilter>> = {
  join(budget, value, by) {
    const separator = by === undefined || by === null ? ' ' : textOf(by, budget)
    const list = listOf(value)
    const { characters, entries } = budget.measure(list)
    budget.spend(characters * 2 + entries * ENTRY)
    budget.reserve(characters + list.length * separator.length)
    const made = list.map((entry) => textOf(entry, budget)).join(separator)
    budget.keep(made.length)
    return made
  },
  map: (budget, value, property) => columns(budget, value, property).map(({ at }) => at),
  where: chosen(true),
  reject: chosen(false),
  has: (budget, value, property, expected) => found(budget, value, property, expected) !== -1,
  find: (budget, value, property, expected) => listOf(value)[found(budget, value, property, expected)],
  find_index(budget, value, property, expected) {
    const at = found(budget, value, property, expected)
    return at === -1 ? undefined : at
  },
  sort: (budget, value, property) => sorted(budget, value, property, plainKey),
  sort_natural: (budget, value, property) =>
    sorted(budget, value, property, (at) => String(plainKey(at) ?? '').toLowerCase()),
  sum(budget, value, property) {
    const rows = columns(budget, value, property)
    budget.spend(charactersOf(rows, budget) * prices.look)
    return rows.reduce((total, { at }) => total + (Number(plainKey(at)) || 0), 0)
  },
}
