import type { Context } from 'liquidjs'
import { CaesuraError } from '../core/errors.ts'

/** What rendering one template may take. Work is counted, not timed: the same template with the same values always ends alike. */
export const templateLimits = {
  /** What was done, by a list of prices: each is the ns that a slow processor takes for it, so this is 60 ms, in rare cases twice that. */
  work: 60_000_000,
  /** Characters of the texts that filters and captures make, and 8 for each entry of a list. What is given back is not deducted. */
  memory: 4 * 1024 * 1024,
  /** Characters that are printed. */
  output: 1024 * 1024,
  /** Lists within lists. */
  depth: 100,
} as const

/** Prices, ns. */
export const prices = {
  /** A text, an output or a tag that is rendered. */
  node: 4000,
  /** An operand, an operator or an argument of one. */
  operand: 3000,
  /** One turn of a loop. */
  turn: 1000,
  /** A character or an entry that is looked at. */
  look: 10,
} as const

/** How much a value holds. */
export interface Measure {
  readonly characters: number
  /** Of lists and mappings, whatever their depth. */
  readonly entries: number
  readonly depth: number
}

/** The sentence and the allowance of each limit. */
const sentences = {
  work: 'needs more work than the rendering of a prompt may take',
  memory: `makes texts and lists of more than ${templateLimits.memory.toLocaleString('en-US')} characters`,
  output: `renders to more than ${templateLimits.output.toLocaleString('en-US')} characters`,
  depth: `makes lists within lists, more than ${templateLimits.depth} deep`,
} as const

/**
 * Counts what one rendering takes, and ends it when that is too much: every method that takes throws `CAESURA_E_TEMPLATE_LIMIT`.
 * liquidjs asks it in place of its own limits (`use`, `check`), and every filter, tag and operator that is offered.
 */
export class Budget {
  #work = 0
  #memory = 0
  #output = 0
  #isFiltering = false
  /** Why the rendering was ended; liquidjs hides it in an error of its own. */
  passed: CaesuraError | undefined

  /** ns of work so far, by the list of prices. */
  get work(): number {
    return this.#work
  }

  /** Work of so many ns. */
  spend(ns: number): void {
    this.#work += ns
    // Not `>`: what is no number is too much.
    if (!(this.#work <= templateLimits.work)) this.#end('work')
  }

  /** So much is about to be made: throws before it is. */
  reserve(characters: number): void {
    if (!(this.#memory + characters <= templateLimits.memory)) this.#end('memory')
  }

  /** So much was made. */
  keep(characters: number): void {
    this.reserve(characters)
    this.#memory += characters
  }

  print(characters: number): void {
    this.#output += characters
    if (!(this.#output <= templateLimits.output)) this.#end('output')
  }

  /** Looks at all that the values hold. A list that stands in others many times is looked at as often, as every filter would. */
  measure(...values: readonly unknown[]): Measure {
    let characters = 0
    let entries = 0
    let deepest = 0
    const walk = (value: unknown, depth: number): void => {
      if (typeof value === 'string') characters += value.length
      if (typeof value !== 'object' || value === null) return
      if (depth >= templateLimits.depth) this.#end('depth')
      deepest = Math.max(deepest, depth + 1)
      const inside = Array.isArray(value) ? value : Object.entries(value).flat()
      this.spend(inside.length * prices.look)
      entries += inside.length
      for (const each of inside) walk(each, depth + 1)
    }
    for (const value of values) walk(value, 0)
    return { characters, entries, depth: deepest }
  }

  /** liquidjs is about to make a range of so many; within a filter, a text of so many characters. */
  use(count: number): void {
    if (!(count > 0)) return
    this.reserve(this.#isFiltering ? count : count * 8)
    if (!this.#isFiltering) this.spend(count * 4 * prices.look)
  }

  /** Calls a filter of liquidjs that was paid for. */
  filter<T>(call: () => T): T {
    this.#isFiltering = true
    try {
      return call()
    } finally {
      this.#isFiltering = false
    }
  }

  /** liquidjs begins a block, or goes on to the next part of one: also in a loop whose body is empty. */
  check(): void {
    this.spend(prices.turn)
  }

  #end(limit: keyof typeof sentences): never {
    this.passed = new CaesuraError('CAESURA_E_TEMPLATE_LIMIT', `The template ${sentences[limit]}.`, {
      hint: 'Shorten the inputs of the prompt, or loop and filter less.',
    })
    throw this.passed
  }
}

/** The budget of the rendering that a filter, a tag or an operator is called in. */
export const budgetOf = (context: Context): Budget => context.memoryLimit as unknown as Budget

/** A value as liquid prints it. */
export function printed(value: unknown, budget: Budget): string {
  if (typeof value === 'string') return value
  if (typeof value === 'object' && value !== null) {
    const { characters, entries } = budget.measure(value)
    budget.spend(characters * 2 + entries * prices.look)
    budget.keep(characters + entries * 8)
    return flat(value)
  }
  return String(value ?? '')
}

/** The entries of a list one after the other; a mapping, which liquid has no text for, as JSON. */
const flat = (value: unknown): string =>
  Array.isArray(value)
    ? value.map(flat).join('')
    : typeof value === 'object' && value !== null
      ? JSON.stringify(value)
      : String(value ?? '')
