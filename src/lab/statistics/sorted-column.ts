import { between, quantileOf, quantileShares, rankOf } from './quantile.ts'

/** p50, p95, p99 and mean of a sample, in this order. */
export type Summary = Float64Array

/** How often each cluster stands in a sample. One type of array throughout: reading two takes twice as long. */
export type Weights = Uint16Array
export const SUMMARY_LENGTH = 4
const shares = Object.values(quantileShares)
/** Its place in a summary. */
export const MEAN = 3

/** So many standard errors of a quantile's rank before it, a weighted quantile is looked for from; below that, from the start. */
const REACH = 4

/**
 * The values of one metric in rising order, each with the cluster that it belongs to, such that its quantiles and its mean under
 * any weights of the clusters cost one pass over the clusters and three short stretches of the values. `Infinity` is a value.
 */
export class SortedColumn {
  readonly size: number
  readonly clusters: number
  /** How many values are `Infinity`. */
  readonly censored: number
  /** Rising. */
  readonly values: Float64Array
  /** Of each value. */
  readonly cluster: Uint32Array
  readonly #sums: Float64Array
  /**
   * Of each cluster: its number of values and, where quantiles are asked for, how many of them lie before each of the three windows
   * in which they are looked for.
   */
  readonly #counts: Int32Array
  readonly #stride: number
  readonly #from = new Uint32Array(shares.length)
  /** Of all values once. */
  readonly #all: Float64Array
  /** Of the last pass: number of values, their sum, and the numbers before the windows. */
  readonly #passed = new Float64Array(2 + shares.length)

  /**
   * `values` have no NaN and come in any order; `cluster[i]` is that of `values[i]`, from 0. `spread`: how much further than under
   * weights of variance 1 the ranks are expected to lie from where they are, 1 by default. Without `quantiles`, summaries have a mean
   * only.
   */
  constructor(values: Float64Array, cluster: Uint32Array, clusters: number, { spread = 1, quantiles = true } = {}) {
    this.size = values.length
    this.clusters = clusters
    this.values = values.slice().sort()
    this.cluster = inOrder(this.values, values, cluster)
    this.#sums = new Float64Array(clusters)
    this.#stride = quantiles ? 1 + shares.length : 1
    this.#counts = new Int32Array(clusters * this.#stride)
    let finite = this.size
    while (finite > 0 && this.values[finite - 1] === Infinity) finite -= 1
    this.censored = this.size - finite
    for (let index = 0; index < this.size; index++) {
      const at = this.cluster[index]!
      this.#counts[at * this.#stride]! += 1
      if (index < finite) this.#sums[at]! += this.values[index]!
    }
    if (quantiles) for (const [which, share] of shares.entries()) this.#openWindow(which, share, spread)
    this.#pass(new Uint16Array(clusters).fill(1))
    this.#all = this.#passed.slice()
  }

  get lowest(): number {
    return this.values[0] ?? Number.NaN
  }
  get highest(): number {
    return this.values[this.size - 1] ?? Number.NaN
  }

  /** NaN for no values, `Infinity` where one is. */
  get mean(): number {
    let sum = 0
    for (const value of this.values) sum += value
    return sum / this.size
  }

  /** How many values lie below the mean, and how many above it. */
  aroundMean(): { readonly below: number; readonly above: number } {
    const { mean, values, size } = this
    let [below, above] = [0, 0]
    while (below < size && values[below]! < mean) below += 1
    while (above < size && values[size - 1 - above]! > mean) above += 1
    return { below, above }
  }

  /** How many clusters have a value at all. */
  get filled(): number {
    let filled = 0
    for (let at = 0; at < this.#counts.length; at += this.#stride) if (this.#counts[at]! > 0) filled += 1
    return filled
  }

  countOf(cluster: number): number {
    return this.#counts[cluster * this.#stride]!
  }

  /** Of the values that are no `Infinity`. */
  sumOf(cluster: number): number {
    return this.#sums[cluster]!
  }

  /** Type 7, of all values as they are. */
  quantile(share: number): number {
    return quantileOf(this.values, share)
  }

  /** Writes the figures of the sample in which each value stands as often as its cluster's weight says. NaN where it is empty. */
  summarise(weights: Weights, into: Summary): void {
    this.#pass(weights)
    this.#read(weights, into)
  }

  /** The same for two samples that are all values together: weights are 0 and 1, and `rest` is 1 where `weights` is 0. */
  summariseBoth(weights: Weights, rest: Weights, into: Summary, restInto: Summary): void {
    const passed = this.#passed
    this.#pass(weights)
    this.#read(weights, into)
    for (let term = 0; term < passed.length; term++) passed[term] = this.#all[term]! - passed[term]!
    this.#read(rest, restInto)
  }

  /** No branch within: weights are as good as random, and a wrong guess of the processor costs more than what it saves. */
  #pass(weights: Weights): void {
    const { clusters } = this
    const counts = this.#counts
    const sums = this.#sums
    const passed = this.#passed
    let sum = 0
    let count = 0
    let before50 = 0
    let before95 = 0
    let before99 = 0
    if (this.#stride === 1)
      for (let cluster = 0; cluster < clusters; cluster++) {
        const weight = weights[cluster]!
        sum += weight * sums[cluster]!
        count += weight * counts[cluster]!
      }
    else
      for (let cluster = 0, at = 0; cluster < clusters; cluster++, at += 4) {
        const weight = weights[cluster]!
        sum += weight * sums[cluster]!
        count += weight * counts[at]!
        before50 += weight * counts[at + 1]!
        before95 += weight * counts[at + 2]!
        before99 += weight * counts[at + 3]!
      }
    passed[0] = count
    passed[1] = sum
    passed[2] = before50
    passed[3] = before95
    passed[4] = before99
  }

  /** What the last pass comes to. */
  #read(weights: Weights, into: Summary): void {
    const count = this.#passed[0]!
    for (let which = 0; which < shares.length; which++)
      into[which] = this.#stride === 1 ? Number.NaN : this.#weighted(which, count, this.#passed[2 + which]!, weights)
    into[MEAN] = count === 0 ? Number.NaN : this.censored > 0 ? Infinity : this.#passed[1]! / count
  }

  /** Writes the quantiles for rising `shares` under these weights: one pass over all values. NaN where the sample is empty. */
  quantilesUnder(weights: Weights, rising: readonly number[], into: Float64Array): void {
    let count = 0
    for (let cluster = 0; cluster < this.clusters; cluster++)
      count += weights[cluster]! * this.#counts[cluster * this.#stride]!
    let [next, seen] = [0, 0]
    for (let which = 0; which < rising.length; which++) {
      const { lower, fraction } = rankOf(count, rising[which]!)
      while (seen <= lower && next < this.size) seen += weights[this.cluster[next++]!]!
      const value = count === 0 ? Number.NaN : this.values[next - 1]!
      let [after, seenAfter] = [next, seen]
      while (fraction > 0 && seenAfter <= lower + 1 && after < this.size) seenAfter += weights[this.cluster[after++]!]!
      into[which] = between(value, this.values[after - 1]!, fraction)
    }
  }

  #weighted(which: number, count: number, before: number, weights: Weights): number {
    if (count === 0) return Number.NaN
    const { lower, fraction } = rankOf(count, shares[which]!)
    const cluster = this.cluster
    const values = this.values
    const isBefore = before > lower
    let next = isBefore ? 0 : this.#from[which]!
    let seen = isBefore ? 0 : before
    while (seen <= lower) seen += weights[cluster[next++]!]!
    const value = values[next - 1]!
    if (fraction === 0 || seen > lower + 1) return value
    while (seen <= lower + 1) seen += weights[cluster[next++]!]!
    return between(value, values[next - 1]!, fraction)
  }

  /** Counts what lies before the stretch in which this quantile is going to be looked for. */
  #openWindow(which: number, share: number, spread: number): void {
    const rank = Math.floor((this.size - 1) * share)
    const below = new Float64Array(this.clusters)
    for (let index = 0; index <= rank; index++) below[this.cluster[index]!]! += 1
    let variance = 0
    for (let cluster = 0; cluster < this.clusters; cluster++)
      variance += (below[cluster]! - share * this.#counts[cluster * this.#stride]!) ** 2
    const from = Math.max(0, Math.floor(rank - REACH * spread * Math.sqrt(variance)))
    this.#from[which] = from
    for (let index = 0; index < from; index++) this.#counts[this.cluster[index]! * this.#stride + 1 + which]! += 1
  }
}

/** `cluster`, in the order in which `sorted` has the `values`. */
function inOrder(sorted: Float64Array, values: Float64Array, cluster: Uint32Array): Uint32Array {
  const ordered = new Uint32Array(values.length)
  const taken = new Uint32Array(values.length)
  for (let index = 0; index < values.length; index++) {
    const first = firstOf(sorted, values[index]!)
    ordered[first + taken[first]!++] = cluster[index]!
  }
  return ordered
}

/** The place of the first value that is not below `value`. */
function firstOf(sorted: Float64Array, value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}
