import type { AnalysisPlan, MetricPlan } from '../../src/core/experiment.ts'
import type { Trial } from '../../src/core/trial.ts'
import { normalBelow } from '../../src/lab/statistics/normal.ts'
import { randomFor } from '../../src/lab/statistics/random.ts'
import { drawsFrom } from './simulated.ts'

/** Arms whose figures do not have the same shape: what a drain and an abort are. Figures by their quantiles. */
interface Shape {
  readonly wide: (share: number) => number
  readonly narrow: (share: number) => number
}

const near100 = (share: number) => 97 + 6 * share
const lognormal = (deviation: number) => (share: number) => 100 * Math.exp(deviation * normalAt(share))
const twoModes = (share: number) =>
  share < 0.4 ? normal(50, 10)(share / 0.4) : normal(110, 10)((share - 0.4 + 1e-12) / 0.6)
const normal = (mean: number, deviation: number) => (share: number) => mean + deviation * normalAt(share)

export const shapes = {
  'uniform 5–195, 100 ± 3': { wide: (share) => 5 + 190 * share, narrow: near100 },
  'log-spread 1.2, 0.15': { wide: lognormal(1.2), narrow: lognormal(0.15) },
  'two modes, one tight': { wide: twoModes, narrow: near100 },
  'skewed, symmetric': { wide: (share) => (100 * Math.log(1 - share)) / Math.log(0.5), narrow: normal(100, 20) },
} as const satisfies Record<string, Shape>

/** Equal means of unequal shape. */
const RARE = { share: 0.05, tokens: 100 }
export const WASTE = 'waste: 5 always, 100 in 5 %'
export type WorldName = keyof typeof shapes | typeof WASTE

export interface UnequalWorld {
  readonly world: WorldName
  /** Blocks of one session of each arm, or sessions that are assigned for themselves. */
  readonly blocked: boolean
  /** Sessions of each arm. */
  readonly units: number
  /** Trials of a session, which hang together. */
  readonly turns: number
  /** The share of interrupts that never reach a first token, in every arm. */
  readonly lost: number
  readonly arms: number
  /** What the wide arm's figures are multiplied by, beyond what makes the arms equal. */
  readonly factor: number
  readonly seed: number
}

/** How much of the latent variance is of the block, and of the session. */
const BLOCK = 0.2
const SESSION = 0.3

const nameOf = (arm: number) => (arm === 0 ? 'narrow' : `wide-${arm}`)

const metricOf = (world: WorldName): MetricPlan =>
  world === WASTE
    ? { metric: 'wastedTokens', statistics: ['mean'] }
    : { metric: 'interruptToFirstTokenMs', statistics: ['p50'] }

export const unequalPlan = ({ world, blocked, units, arms, seed }: UnequalWorld): AnalysisPlan => ({
  experiment: 'unequal',
  kind: 'offline',
  arms: Array.from({ length: arms }, (_, arm) => ({
    ...{ name: nameOf(arm), policy: nameOf(arm), weight: 1 },
    ...(arm === 0 && world === WASTE && { constant: ['wastedTokens' as const] }),
  })),
  baseline: nameOf(0),
  unit: 'session',
  ...(blocked && { blocks: units }),
  metrics: [metricOf(world)],
  seed,
})

/** The quantile that the median is, where some are lost: they count as longer than all. */
const medianShare = (lost: number) => 0.5 / (1 - lost)

/** What the wide arm is multiplied by for equal medians, of which the factor then makes a difference. */
const evening = ({ wide, narrow }: Shape, lost: number) => narrow(medianShare(lost)) / wide(medianShare(lost))

/** Wide arm − narrow arm. */
export function trueDifference({ world, lost, factor }: UnequalWorld): number {
  if (world === WASTE) return (factor - 1) * RARE.share * RARE.tokens
  return (factor - 1) * shapes[world].narrow(medianShare(lost))
}

/** Marginal distributions are those of the world, exactly; a latent normal makes what is of one block and one session alike. */
export function* unequalTrials(made: UnequalWorld): Generator<Trial> {
  const { world, blocked, units, turns, lost, arms, factor } = made
  const draw = drawsFrom(randomFor(made.seed, 'unequal'))
  const block = blocked ? BLOCK : 0
  const session = turns > 1 ? SESSION : 0
  const own = Math.sqrt(1 - block - session)
  for (let unit = 0; unit < units; unit++) {
    const ofBlock = draw.normal(Math.sqrt(block))
    for (let arm = 0; arm < arms; arm++) {
      const ofSession = draw.normal(Math.sqrt(session))
      for (let turn = 0; turn < turns; turn++) {
        const share = normalBelow(ofBlock + ofSession + draw.normal(own))
        const value = figureOf(world, arm, Math.min(1 - 1e-9, Math.max(1e-9, share)), { lost, factor })
        yield trialWith(`${unit}-${arm}`, nameOf(arm), turn, {
          ...(blocked && { block: unit }),
          ...(world === WASTE ? { tokens: value } : draw.uniform() < lost ? {} : { ms: value }),
        })
      }
    }
  }
}

function figureOf(world: WorldName, arm: number, share: number, { lost, factor }: { lost: number; factor: number }) {
  if (world === WASTE) {
    if (arm === 0) return RARE.share * RARE.tokens
    return share < RARE.share ? Math.round(factor * RARE.tokens) : 0
  }
  const { wide, narrow } = shapes[world]
  return arm === 0 ? narrow(share) : factor * evening(shapes[world], lost) * wide(share)
}

/** The interrupt of one session: with a factor in the wide arm, without one in the narrow arm. */
export function shapeLatencies(
  { uniform }: Pick<ReturnType<typeof drawsFrom>, 'uniform'>,
  world: keyof typeof shapes,
  factor?: number,
) {
  const share = Math.min(1 - 1e-9, Math.max(1e-9, uniform()))
  return [figureOf(world, factor === undefined ? 0 : 1, share, { lost: 0, factor: factor ?? 1 })]
}

function trialWith(
  session: string,
  arm: string,
  turn: number,
  { block, ms, tokens = 0 }: { block?: number; ms?: number; tokens?: number },
): Trial {
  return {
    runId: `${session}-${turn}`,
    ...{ arm, session, trial: turn },
    ...(block !== undefined && { block }),
    startedUnixMs: turn,
    outcome: 'completed',
    runMs: 10_000,
    generatedTokens: 200,
    wastedTokens: tokens,
    slotMs: 1_000,
    wastedSlotMs: 0,
    interrupts: [
      {
        ...{ atMs: 300, sinceCallMs: 300, decision: arm, settlement: 'drained', keptTokens: 0, phases: {} },
        ...(ms === undefined ? { end: 'lost', lostAfterMs: 9_000 } : { end: 'reached', toFirstTokenMs: ms }),
      },
    ],
  }
}

/** The normal distribution's quantile: Acklam's rational fits of the middle and of the tails. */
export function normalAt(share: number): number {
  if (share > 0.5) return -normalAt(1 - share)
  if (share < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(share))
    return (
      polynomial(
        q,
        [
          -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
          2.938163982698783,
        ],
      ) / polynomial(q, [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1])
    )
  }
  const q = share - 0.5
  const r = q * q
  return (
    (q *
      polynomial(
        r,
        [
          -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716,
          2.506628277459239,
        ],
      )) /
    polynomial(r, [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1])
  )
}

const polynomial = (x: number, coefficients: readonly number[]) => coefficients.reduce((sum, next) => sum * x + next, 0)
