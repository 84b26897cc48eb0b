import { describe, expect, it } from 'vitest'
import { chiSquareAbove, chiSquareOf } from '../../../src/lab/statistics/chi-square.ts'
import { sequenceRadius, sequenceReach } from '../../../src/lab/statistics/confidence-sequence.ts'
import { intervalOf, meanContrast, pOfNone, quantileContrast } from '../../../src/lab/statistics/contrast.ts'
import { equivalence } from '../../../src/lab/statistics/equivalence.ts'
import { holm } from '../../../src/lab/statistics/holm.ts'
import { normalBelow, normalQuantile } from '../../../src/lab/statistics/normal.ts'
import { paretoFront } from '../../../src/lab/statistics/pareto.ts'
import { differences, permutationTest } from '../../../src/lab/statistics/permutation.ts'
import { detectableDifference, unitsFor } from '../../../src/lab/statistics/power.ts'
import { quantileOf } from '../../../src/lab/statistics/quantile.ts'
import { randomFor } from '../../../src/lab/statistics/random.ts'
import { slopeOf } from '../../../src/lab/statistics/regression.ts'
import { SortedColumn } from '../../../src/lab/statistics/sorted-column.ts'
import { studentBelow, studentQuantile } from '../../../src/lab/statistics/student-t.ts'

// Reference values: Python 3 with SciPy 1.17.1, NumPy 2.4.6, statsmodels 0.15.0. The code stands above each.

const values = [3.1, 1.2, 8.8, 4.4, 15, 2.7, 9.9, 7.3, 6.1, 5.5, 12.4]

/** Units with their values, as a column. */
function columnOf(units: readonly (readonly number[])[]): SortedColumn {
  const clusters = units.flatMap((unit, code) => unit.map(() => code))
  return new SortedColumn(Float64Array.from(units.flat()), Uint32Array.from(clusters), units.length)
}

describe('quantiles of type 7', () => {
  it('are those of NumPy', () => {
    // numpy.quantile(values, [.05, .5, .95, .99])
    const sorted = values.toSorted((a, b) => a - b)
    const ours = [0.05, 0.5, 0.95, 0.99].map((share) => quantileOf(sorted, share))
    for (const [place, reference] of [1.9500000000000002, 6.1, 13.7, 14.74].entries())
      expect(ours[place]).toBeCloseTo(reference, 12)
  })

  it('are infinite where they touch a value that was never reached, and only there', () => {
    expect(quantileOf([1, 2, 3, Infinity], 0.5)).toBe(2.5)
    expect(quantileOf([1, 2, Infinity, Infinity], 0.5)).toBe(Infinity)
    expect(quantileOf([1, Infinity, Infinity], 0.5)).toBe(Infinity)
    // (21 - 1) × 0.95 is 19, whatever rounding makes of it.
    expect(quantileOf([...Array.from({ length: 20 }, (_, index) => index), Infinity], 0.95)).toBe(19)
  })
})

describe('distributions', () => {
  it.each([
    // scipy.stats.chi2.sf(x, df)
    [0.5, 1, 0.47950012218695337],
    [3.841458820694124, 1, 0.04999999999999989],
    [10.828, 1, 0.0009997657195830916],
    [5.991, 2, 0.05001161502657909],
    [13.8, 2, 0.0010077854290485102],
    [7.815, 3, 0.049993902974883875],
    [16.27, 3, 0.0009982232399054186],
    [20, 7, 0.005569683072945574],
    [25, 10, 0.005345505487134069],
  ])('χ² above %f with %i degrees of freedom', (x, freedom, reference) => {
    expect(Math.abs(chiSquareAbove(x, freedom) - reference)).toBeLessThan(3e-7)
  })

  it('Pearson’s χ² is that of scipy.stats.chisquare', () => {
    // scipy.stats.chisquare([520, 480, 560], [390, 390, 780])
    expect(chiSquareOf([520, 480, 560], [0.25, 0.25, 0.5])).toBeCloseTo(126.15384615384616, 10)
  })

  it.each([
    // scipy.stats.t.cdf(t, df)
    [2, 1, 0.8524163823495667],
    [2, 2, 0.908248290463863],
    [-1.5, 5, 0.09695184012123664],
    [2.2, 11, 0.9749569445090979],
    [1.96, 38, 0.9713203822194288],
    [-3, 100, 0.0017039576716647233],
  ])('Student’s t below %f with %i degrees of freedom', (t, freedom, reference) => {
    expect(studentBelow(t, freedom)).toBeCloseTo(reference, 12)
  })

  it.each([
    // scipy.stats.t.ppf(p, df)
    [0.025, 1, -12.706204736174705],
    [0.025, 2, -4.302652729749464],
    [0.05, 11, -1.795884818704044],
    [0.025, 38, -2.02439416391197],
    [0.025, 199, -1.9719565442517537],
  ])('the %f quantile of Student’s t with %i degrees of freedom', (share, freedom, reference) => {
    expect(studentQuantile(share, freedom)).toBeCloseTo(reference, 6)
  })

  it('the normal distribution and its quantiles', () => {
    // scipy.stats.norm.cdf(z), scipy.stats.norm.ppf(p)
    expect(normalBelow(-4)).toBeCloseTo(3.167124183311986e-5, 6)
    expect(normalBelow(0.5)).toBeCloseTo(0.6914624612740131, 6)
    expect(normalQuantile(0.001)).toBeCloseTo(-3.090232306167813, 4)
    expect(normalQuantile(0.2)).toBeCloseTo(-0.8416212335729142, 5)
  })
})

it('Holm is that of statsmodels', () => {
  // statsmodels.stats.multitest.multipletests([0.01, 0.04, 0.03, 0.005, 0.5], method='holm')[1]
  const ours = holm([0.01, 0.04, undefined, 0.03, 0.005, 0.5], 0.05)
  for (const [place, reference] of [0.04, 0.09, undefined, 0.09, 0.025, 0.5].entries())
    if (reference === undefined) expect(ours[place]).toBeUndefined()
    else expect(ours[place]!.p).toBeCloseTo(reference, 12)
  // 0.005 ≤ α/5, then 0.01 ≤ α/4, then 0.03 > α/3: from there on α stays.
  for (const [place, divisor] of [4, 3, undefined, 3, 5, 3].entries())
    if (divisor !== undefined) expect(ours[place]!.alpha).toBeCloseTo(0.05 / divisor, 12)
})

describe('permutation of whole units', () => {
  // All of itertools.combinations(range(8), 4), and of itertools.product([0, 1], repeat=6), counted with NumPy.
  const DRAWS = 20_000
  const within = (p: number) => 4 * Math.sqrt((p * (1 - p)) / DRAWS)

  it('comes to the p of all arrangements, without blocks', () => {
    const column = columnOf([[10, 12], [11], [15, 14, 16], [9, 10], [20, 22], [18], [25, 24, 23], [17, 19]])
    const labels = { arm: Uint16Array.from([1, 1, 1, 0, 0, 0, 1, 0]), blockStarts: [0, 8] }
    const [p50, , , mean] = differences(column, labels)
    const [p] = permutationTest([column], labels, DRAWS, randomFor(1, 'test'))
    expect(mean).toBeCloseTo(0.2380952380952408, 12)
    expect(p50).toBe(-3)
    expect(Math.abs(p![3]! - 0.9714285714285714)).toBeLessThan(within(0.9714285714285714))
    expect(Math.abs(p![0]! - 0.6857142857142857)).toBeLessThan(within(0.6857142857142857))
  })

  it('comes to the p of all arrangements, within pairs', () => {
    const arm = [[10, 12], [11], [15, 14, 16], [9, 10], [20, 22], [30]]
    const baseline = [[12, 13], [15], [14, 18], [12, 14], [25, 21], [29, 35]]
    const column = columnOf(arm.flatMap((unit, block) => [unit, baseline[block]!]))
    const labels = {
      arm: Uint16Array.from(arm.flatMap(() => [1, 0])),
      blockStarts: [...arm.keys(), arm.length].map((block) => 2 * block),
    }
    const [p50, , , mean] = differences(column, labels)
    const [p] = permutationTest([column], labels, DRAWS, randomFor(1, 'test'))
    expect(mean).toBeCloseTo(-3.5454545454545467, 12)
    expect(p50).toBe(-1)
    expect(Math.abs(p![3]! - 0.03125)).toBeLessThan(within(0.03125))
    // Draws that have the same difference of medians are held against each other by their means.
    expect(Math.abs(p![0]! - 0.15625)).toBeLessThan(within(0.15625))
  })
})

describe('differences of whole clusters', () => {
  // [[round(v, 1) for v in 50 + 10 * np.sin(np.arange(1, 4 + i % 3) * 1.7 * (i + 1)) + i] for i in range(15)]
  const clusters = [
    [59.9, 47.4, 40.7],
    [48.4, 55.9, 44.0, 59.6],
    [42.7, 45.0, 56.0, 62.0, 55.6],
    [57.9, 61.6, 63.0],
    [62.0, 44.4, 57.6, 59.3],
    [48.0, 65.0, 47.7, 55.4, 61.7],
    [49.8, 46.3, 46.9],
    [65.6, 65.8, 57.4, 48.6],
    [62.0, 50.7, 67.4, 48.0, 66.9],
    [49.4, 64.3, 65.7],
    [58.5, 57.1, 55.7, 54.4],
    [71.0, 61.4, 51.0, 60.2, 70.9],
    [60.9, 64.2, 58.8],
    [53.3, 58.4, 70.6, 71.1],
    [67.6, 70.7, 72.9, 73.9, 73.6],
  ]
  const values = clusters.flat().sort((a, b) => a - b)

  it('gives the interval of a mean that statsmodels gives with errors by cluster', () => {
    // The other arm is one constant: what is left is the interval of one mean.
    // m = sm.OLS(values, ones).fit(cov_type='cluster', cov_kwds={'groups': g, 'use_correction': False}); m.bse[0] * sqrt(15 / 14)
    const constant = columnOf(clusters.map(() => [50]))
    const contrast = meanContrast(columnOf(clusters), constant, true)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const scores = clusters.map((cluster) => cluster.reduce((sum, value) => sum + value - mean, 0))
    const error = Math.sqrt((scores.reduce((sum, score) => sum + score ** 2, 0) * 15) / 14) / values.length
    const [low, high] = intervalOf(contrast, 0.025)!
    // t.ppf(.975, 14)
    expect(high - low).toBeCloseTo(2 * 2.1447866879169273 * error, 6)
    expect((high + low) / 2).toBeCloseTo(mean - 50, 9)
    // 200,000 draws with NumPy had 1.6019; a linear figure is close to it.
    expect(Math.abs(error / (1.601861111438743 * Math.sqrt(15 / 14)) - 1)).toBeLessThan(0.03)
  })

  it('comes to the interval and the TOST of a paired t test where clusters are pairs of single values', () => {
    // statsmodels 0.15.0: ttost_paired(a, b, -2.5, 2.5)[0]; scipy 1.17.1: t.interval(.95, 11, loc=d.mean(), scale=d.std(ddof=1) / sqrt(12))
    const a = [101.2, 98.4, 110.5, 95.1, 104.8, 99.9, 107.3, 92.6, 103.3, 100.7, 96.2, 105.9]
    const b = [99.8, 99.1, 107.2, 96.4, 102.1, 98, 108.8, 91.1, 101, 101.9, 94.9, 103.2]
    const [ofA, ofB] = [a, b].map((each) => columnOf(each.map((value) => [value])))
    const contrast = meanContrast(ofA!, ofB!, true)
    const [low, high] = intervalOf(contrast, 0.025)!
    expect(contrast.estimate).toBeCloseTo(1.0333333333333339, 10)
    expect(low).toBeCloseTo(-0.07259271582831839, 6)
    expect(high).toBeCloseTo(2.139259382494986, 6)
    const { p, equivalent } = equivalence(contrast, 2.5)!
    expect(p).toBeCloseTo(0.006982195590179572, 6)
    expect(equivalent).toBe(true)
  })

  it('gives the order statistics of a sign test as the interval of a median', () => {
    // 60 values, one a cluster, against a constant: ranks 30.5 ± t.ppf(.975, 59) · √60 / 2 of values 0 to 59.
    const ranks = columnOf(Array.from({ length: 60 }, (_, index) => [index]))
    const constant = columnOf(Array.from({ length: 60 }, () => [0]))
    const [low, high] = intervalOf(quantileContrast(ranks, constant, 0.5, true), 0.025)!
    const half = (2.000995378088268 * Math.sqrt(60)) / 2 / 60
    expect(low).toBeCloseTo(59 * (0.5 - half), 4)
    expect(high).toBeCloseTo(59 * (0.5 + half), 4)
  })

  it('has a p at which the interval just touches 0', () => {
    const other = columnOf(clusters.map((cluster, index) => cluster.map((value) => value - 4 - (index % 5))))
    for (const contrast of [
      quantileContrast(columnOf(clusters), other, 0.5, true),
      quantileContrast(columnOf(clusters), other, 0.5, false),
      meanContrast(columnOf(clusters), other, true),
      meanContrast(columnOf(clusters), other, false),
    ]) {
      const { p } = pOfNone(contrast)
      expect(p).toBeLessThan(0.5)
      expect(intervalOf(contrast, p / 2)![0]).toBeGreaterThan(0)
      expect(intervalOf(contrast, p / 2.02)![0]).toBeLessThan(0.3)
    }
  })

  it('takes out what both arms have of one block', () => {
    const other = columnOf(clusters.map((cluster) => cluster.map((value) => value + 1)))
    const width = (paired: boolean) => {
      const [low, high] = intervalOf(quantileContrast(columnOf(clusters), other, 0.5, paired), 0.025)!
      return high - low
    }
    expect(width(true)).toBeLessThan(width(false) / 3)
  })

  it('finds quantiles under weights as in a sample that is written out', () => {
    const column = columnOf(clusters)
    const weights = Uint16Array.from(clusters, (_, index) => (index * 7) % 4)
    const written = clusters
      .flatMap((cluster, index) => Array.from({ length: weights[index]! }, () => cluster).flat())
      .sort((a, b) => a - b)
    const summary = new Float64Array(4)
    column.summarise(weights, summary)
    const quantiles = new Float64Array(3)
    column.quantilesUnder(weights, [0.5, 0.95, 0.99], quantiles)
    for (const [place, share] of [0.5, 0.95, 0.99].entries()) {
      expect(summary[place]).toBeCloseTo(quantileOf(written, share), 12)
      expect(quantiles[place]).toBeCloseTo(quantileOf(written, share), 12)
    }
    expect(summary[3]).toBeCloseTo(written.reduce((sum, value) => sum + value, 0) / written.length, 12)
  })
})

describe('confidence sequence', () => {
  it('has the radius of Theorem 2.2', () => {
    // rho = sqrt((-2 * log(a) + log(-2 * log(a)) + 1) / m)
    // sqrt(2 * (t * rho**2 + 1) / (t**2 * rho**2) * log(sqrt(t * rho**2 + 1) / a)), with m = 1000
    expect(sequenceRadius(100, 0.05)).toBeCloseTo(0.37632563463841295, 12)
    expect(sequenceRadius(1_000, 0.05)).toBeCloseTo(0.0959892432872041, 12)
    expect(sequenceRadius(20_000, 0.05)).toBeCloseTo(0.023695071055578575, 12)
    expect(sequenceRadius(1_000, 0.025)).toBeCloseTo(0.10370461016413436, 12)
  })

  it('is nearly as narrow at 1,000 as any choice of ρ makes it', () => {
    // scipy.optimize.minimize_scalar over log ρ²
    expect(sequenceRadius(1_000, 0.05) / 0.09597899802596532).toBeLessThan(1.001)
  })

  it('reaches so many standard errors that the count of sessions does not matter otherwise', () => {
    expect(sequenceReach(1_000, 0.05)).toBeCloseTo(Math.sqrt(1_000) * 0.0959892432872041, 12)
  })
})

it('power: 80 % for a two-sided test at 5 %', () => {
  // 2.5 * (norm.ppf(.975) + norm.ppf(.8))
  expect(detectableDifference(2.5)).toBeCloseTo(7.003963045282421, 12)
  expect(unitsFor(5, { units: 40, detectable: 10 })).toBe(160)
})

it('a slope is that of scipy.stats.linregress, and its interval holds it', () => {
  const x = Float64Array.from([10, 20, 30, 40, 50, 60, 70])
  const y = Float64Array.from([95, 92, 81, 70, 66, 52, 47])
  const slope = slopeOf(x, y, Uint32Array.from(x.keys()), 7, randomFor(1, 'test'))!
  // scipy.stats.linregress(x, y)
  expect(slope.value).toBeCloseTo(-0.8535714285714284, 12)
  expect(slope.intercept).toBeCloseTo(106, 10)
  expect(slope.interval![0]).toBeLessThan(slope.value)
  expect(slope.interval![1]).toBeGreaterThan(slope.value)
  expect(slopeOf(x.fill(3, 2), y, Uint32Array.from(x.keys()), 7, randomFor(1, 'test'))?.value).toBeDefined()
  expect(slopeOf(x.fill(3), y, Uint32Array.from(x.keys()), 7, randomFor(1, 'test'))).toBeUndefined()
})

it('the front keeps what nothing else is better than', () => {
  expect(
    paretoFront([
      [1, 5],
      [2, 4],
      [2, 5],
      [1, 5],
      [Infinity, 3],
    ]),
  ).toEqual([true, true, false, true, true])
})
