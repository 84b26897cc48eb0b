import { quantileOf } from './quantile.ts'
import type { SortedColumn } from './sorted-column.ts'

/** What each cluster adds to the error of one figure of an arm. */
export interface Influence {
  readonly figure: number
  /** Of each cluster, less their mean. */
  readonly scores: Float64Array
  /** √Σ of their squares. */
  readonly length: number
  /** `length` ÷ number of values: the standard error; of a quantile in shares of the values, not in its unit. */
  readonly error: number
  /** Clusters that have a value. */
  readonly clusters: number
}

/** Of a quantile: how many of the cluster's values lie below it, less how many should. Values that equal it count in part. */
export function quantileInfluence(column: SortedColumn, share: number): Influence {
  const { values, cluster, size } = column
  const figure = quantileOf(values, share)
  const scores = new Float64Array(column.clusters)
  let below = 0
  while (below < size && values[below]! < figure) scores[cluster[below++]!]! += 1
  let through = below
  while (through < size && values[through] === figure) through += 1
  const part = through === below ? 0 : Math.min(1, Math.max(0, (share * size - below) / (through - below)))
  for (let index = below; index < through; index++) scores[cluster[index]!]! += part
  for (let index = 0; index < column.clusters; index++) scores[index]! -= share * column.countOf(index)
  return influence(column, figure, scores)
}

/** Of a mean: the sum of the cluster's values, less what it would be if each were the mean. */
export function meanInfluence(column: SortedColumn): Influence {
  const figure = column.mean
  const scores = Float64Array.from(
    { length: column.clusters },
    (_, index) => column.sumOf(index) - figure * column.countOf(index),
  )
  return influence(column, figure, scores)
}

function influence(column: SortedColumn, figure: number, scores: Float64Array): Influence {
  const clusters = column.filled
  const mean = scores.reduce((sum, score) => sum + score, 0) / clusters
  let squares = 0
  for (let index = 0; index < scores.length; index++) {
    if (column.countOf(index) > 0) scores[index]! -= mean
    squares += scores[index]! ** 2
  }
  const length = Math.sqrt(squares)
  return { figure, scores, length, error: length / column.size, clusters }
}
