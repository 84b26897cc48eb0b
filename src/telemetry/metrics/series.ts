import type { Attributes } from '@opentelemetry/api'
import type { Labels } from '../../core/figures.ts'
import { LONGEST_LABEL, MOST_SERIES } from '../metric-table.ts'

const overflow: Attributes = Object.freeze({ 'otel.metric.overflow': true })

/**
 * The series of one metric: the same attributes for the same labels, and no more of them than `MOST_SERIES`. OpenTelemetry's own limit
 * counts from one collection to the next; over the life of a process it bounds nothing.
 */
export class Series {
  readonly #known = new Map<string, Attributes>()

  has(labels: Labels): boolean {
    return this.#known.has(nameOf(labels))
  }

  of(labels: Labels): Attributes {
    const name = nameOf(labels)
    const known = this.#known.get(name)
    if (known !== undefined) return known
    // One place is for what is more.
    if (this.#known.size >= MOST_SERIES - 1) return overflow
    const attributes = shortened(labels)
    this.#known.set(name, attributes)
    return attributes
  }
}

function nameOf(labels: Labels): string {
  let name = ''
  for (const label in labels) name += `${label}\0${labels[label]}\0`
  return name
}

export const shortened = (labels: Labels): Attributes =>
  Object.freeze(Object.fromEntries(Object.entries(labels).map(([label, value]) => [label, short(value)])))

const short = (value: string): string =>
  value.length <= LONGEST_LABEL ? value : `${value.slice(0, LONGEST_LABEL - 1).toWellFormed()}…`
