import type { Context } from 'liquidjs'
import { isRecord } from '../core/problems.ts'
import { type Budget, printed } from './template-budget.ts'

export interface FilterContext {
  readonly context: Context
}

export type OwnFilter = (this: FilterContext, value: unknown, ...args: unknown[]) => unknown

/** A value as a text. */
export const textOf = (value: unknown, budget: Budget): string => printed(value, budget)

/** A value as a list: nothing is an empty one, and what is none is one of itself. */
export const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]

/** What stands at a path such as `value.score`. Undefined where there is nothing. */
export function read(item: unknown, path: readonly string[]): unknown {
  let at = item
  for (const key of path) {
    if (Array.isArray(at)) at = key === 'size' ? at.length : at[Number(key)]
    else if (isRecord(at) && Object.hasOwn(at, key)) at = at[key]
    else return undefined
  }
  return at
}

export const pathOf = (property: unknown, budget: Budget): readonly string[] =>
  property === undefined || property === null ? [] : textOf(property, budget).split('.')
