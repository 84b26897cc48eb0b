import type { MetricPlan } from '../../src/core/experiment.ts'
import { byArm } from '../../src/lab/arm-summaries.ts'
import { quantileOf, quantileShares } from '../../src/lab/statistics/quantile.ts'
import { tableOf } from '../../src/lab/trial-table.ts'
import type { Looked } from './looks.ts'
import { type Batch, keyOf, type Measured, type Tally, tallyOf } from './measure.ts'
import { arms, type Design, planOf, simulatedTrials } from './simulated.ts'
import type { Done, Task } from './tasks.ts'

/** One figure that the simulation gives, and what it must be within. */
export interface Row {
  readonly what:
    | 'false positives'
    | 'family-wise'
    | 'coverage'
    | 'false equivalence'
    | 'ever wrong'
    | 'power'
    | 'false verdicts'
    | 'wrong sign'
    | 'disagreement'
  readonly design: string
  /** Sessions of each arm, or blocks. */
  readonly units: number
  /** The true effect: the second arm's figures are so much of the first's. */
  readonly factor: number
  readonly figure: string
  readonly experiments: number
  readonly share: number
  /** Of power rows: what analysis says it finds in 80 % of experiments, over the true difference. */
  readonly detectable?: number
  readonly bounds?: readonly [number, number]
}

export interface StudyOptions {
  readonly experiments: number
  readonly seed: number
  /** The sizes of the null experiments of each design: sessions of each arm, or blocks. */
  readonly sizes: Readonly<Record<Design, readonly number[]>>
  readonly powerSizes: Readonly<Record<Design, readonly number[]>>
  /** Sessions of a live experiment. */
  readonly looks: number
  readonly ignoreSessions?: boolean
}

/** Bounds are those of the 2,000 experiments that are asked for; fewer have wider ones, as their binomial error is. */
const ASKED = 2_000
/** Experiments of one task of a thread. */
const CHUNK = 25
/** A figure that was refused more often is not reported for this size: what is left is a selection. */
const LEAST_TESTED = 0.9
const POWER_FACTOR = 0.8
/** What has no bounds as tight is simulated less often. */
const POWER_PART = 4
const LOOK_PART = 4
const BORDER_PART = 2
const BORDER_FACTOR = 1.1
/** Interrupts of the sample that true differences are read from: about eight times this many sessions. */
const TRUTH_UNITS: Readonly<Record<Design, number>> = { sessions: 60_000, pairs: 60_000, cells: 20_000 }

const metrics: readonly MetricPlan[] = [
  { metric: 'interruptToFirstTokenMs', statistics: ['p50', 'p95', 'p99', 'mean'] },
  { metric: 'wastedTokens', statistics: ['mean'] },
  { metric: 'wastedSlotMs', statistics: ['p50', 'mean'] },
  { metric: 'keptTokens', statistics: ['mean'] },
]
const designs = ['sessions', 'pairs', 'cells'] as const

interface Planned {
  readonly kind: 'null' | 'power' | 'border' | 'looks'
  readonly batch: Batch
}

/** Everything that is simulated, cut into tasks; `read` makes the rows from their results. */
export function study(options: StudyOptions): {
  readonly tasks: readonly Task[]
  readonly read: (results: readonly Done[]) => Row[]
} {
  const { experiments, seed, looks, ignoreSessions = false } = options
  const planned: Planned[] = designs.flatMap((design) => {
    const reference = options.powerSizes[design].length === 0 ? {} : differencesAt(design, seed)
    const batch = { design, seed, from: 0, to: experiments, metrics, ignoreSessions }
    return [
      ...options.sizes[design].map((units) => ({
        kind: 'null' as const,
        batch: { ...batch, units, factor: 1, truth: {} },
      })),
      ...options.powerSizes[design].map((units) => ({
        kind: 'power' as const,
        batch: {
          ...batch,
          units,
          factor: POWER_FACTOR,
          truth: scaled(reference, POWER_FACTOR - 1),
          seed: seed + 1,
          to: Math.ceil(experiments / POWER_PART),
        },
      })),
      ...options.powerSizes[design].slice(-1).map((units) => ({
        kind: 'border' as const,
        batch: {
          ...batch,
          units,
          factor: BORDER_FACTOR,
          truth: scaled(reference, BORDER_FACTOR - 1),
          seed: seed + 2,
          to: Math.ceil(experiments / BORDER_PART),
          metrics: withMargins(reference),
        },
      })),
    ]
  })
  const cut = (to: number) =>
    Array.from({ length: Math.ceil(to / CHUNK) }, (_, chunk) => ({
      from: chunk * CHUNK,
      to: Math.min(to, (chunk + 1) * CHUNK),
    }))
  const groups: Task[][] = [
    ...planned.map(({ batch }) =>
      cut(batch.to).map((part) => ({ kind: 'measure' as const, batch: { ...batch, ...part } })),
    ),
    ...[1, POWER_FACTOR].map((factor) =>
      cut(Math.ceil(experiments / LOOK_PART)).map((part) => ({
        kind: 'looks' as const,
        looks: { seed, ...part, sessions: looks, factor },
      })),
    ),
  ]
  return {
    tasks: groups.flat(),
    read: (results) => {
      const rest = [...results]
      const taken = groups.map(({ length }) => rest.splice(0, length))
      return [
        ...planned.flatMap((each, place) => rowsOf(each, added(taken[place] as Measured[]))),
        ...[1, POWER_FACTOR].flatMap((factor, place) =>
          lookRows(taken[planned.length + place] as Looked[], factor, looks),
        ),
      ]
    },
  }
}

/** Figures of the first arm over very many sessions: a true difference is a share of them. */
function differencesAt(design: Design, seed: number): Record<string, number> {
  const world = { design, units: TRUTH_UNITS[design], factor: 1, seed: seed + 3 }
  const table = tableOf(planOf(world, metrics), simulatedTrials(world))
  return Object.fromEntries(
    metrics.flatMap(({ metric, statistics }) => {
      // Both arms are the same here.
      const values = byArm(table, metric, arms.length).flatMap((each) => [...each])
      const sorted = Float64Array.from(values).sort()
      const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length
      return statistics.map((statistic) => [
        keyOf({ metric, statistic }),
        metric === 'keptTokens' ? 0 : statistic === 'mean' ? mean : quantileOf(sorted, quantileShares[statistic]),
      ])
    }),
  )
}

const scaled = (figures: Readonly<Record<string, number>>, by: number) =>
  Object.fromEntries(Object.entries(figures).map(([key, figure]) => [key, figure * by]))

/** One metric for each figure, with the margin that its true difference just reaches. */
const withMargins = (reference: Readonly<Record<string, number>>): MetricPlan[] =>
  metrics.flatMap(({ metric, statistics }) =>
    statistics.flatMap((statistic) => {
      const absolute = (BORDER_FACTOR - 1) * reference[keyOf({ metric, statistic })]!
      return absolute === 0 || statistic === 'p99' ? [] : [{ metric, statistics: [statistic], margin: { absolute } }]
    }),
  )

function added(parts: readonly Measured[]): Measured {
  const sum: Measured = { experiments: 0, familyWise: 0, figures: {} }
  for (const { experiments, familyWise, figures } of parts) {
    sum.experiments += experiments
    sum.familyWise += familyWise
    for (const [key, tally] of Object.entries(figures)) {
      const all = tallyOf(sum.figures, key)
      for (const name of Object.keys(tally) as (keyof Tally)[]) all[name] += tally[name]
    }
  }
  return sum
}

/** Half the width of bounds around a share, for so many experiments. */
const widened = (half: number, experiments: number) => half * Math.sqrt(Math.max(1, ASKED / experiments))

const around = (share: number, half: number) => [Math.max(0, share - half), Math.min(1, share + half)] as const

/** Of a quantile in the tail few values lie beyond it: its intervals may cover more than their level, never less. */
function coverageBounds(figure: string, tested: number): readonly [number, number] {
  const [low, high] = around(0.95, widened(0.02, tested))
  return [low, /p9[59]$/.test(figure) ? Math.max(high, 0.995) : high]
}

function rowsOf({ kind, batch }: Planned, { experiments, familyWise, figures }: Measured): Row[] {
  const head = { design: batch.design, units: batch.units, factor: batch.factor }
  const rows = Object.entries(figures).flatMap(([figure, tally]): Row[] => {
    const { tested, rejected, covered, equivalent, detectable } = tally
    if (tested < LEAST_TESTED * experiments) return []
    const row = { ...head, figure, experiments: tested }
    const half = widened(0.015, tested)
    const coverage: Row = {
      ...row,
      what: 'coverage',
      share: covered / tested,
      bounds: coverageBounds(figure, tested),
    }
    const truth = Math.abs(batch.truth[figure] ?? 0)
    if (kind === 'null')
      return [{ ...row, what: 'false positives', share: rejected / tested, bounds: [0, 0.05 + half] }, coverage]
    if (kind === 'border')
      return [{ ...row, what: 'false equivalence', share: equivalent / tested, bounds: [0, 0.05 + half] }]
    return truth === 0
      ? []
      : [{ ...row, what: 'power', share: rejected / tested, detectable: detectable / tested / truth }, coverage]
  })
  return kind === 'null'
    ? [
        ...rows,
        {
          ...head,
          what: 'family-wise',
          figure: 'all, after Holm',
          experiments,
          share: familyWise / experiments,
          bounds: [0, 0.05 + widened(0.005, experiments)],
        },
      ]
    : rows
}

function lookRows(parts: readonly Looked[], factor: number, sessions: number): Row[] {
  const sum = (name: keyof Looked) => parts.reduce((all, part) => all + part[name], 0)
  const experiments = sum('experiments')
  const row = {
    design: 'live, look after look',
    units: sessions / 2,
    factor,
    figure: 'ratio of medians',
    experiments,
  }
  const wrong: Row = {
    ...row,
    what: 'ever wrong',
    share: sum('everWrong') / experiments,
    bounds: [0, 0.05 + widened(0, experiments)],
  }
  return factor === 1 ? [wrong] : [wrong, { ...row, what: 'power', share: sum('everOutside') / experiments }]
}

export const isKept = ({ share, bounds }: Row): boolean =>
  bounds === undefined || (share >= bounds[0] - 1e-12 && share <= bounds[1] + 1e-12)
