import { randomExponential, randomNormal } from 'd3-random'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import type { AnalysisPlan, MetricPlan } from '../../src/core/experiment.ts'
import type { Trial } from '../../src/core/trial.ts'
import { type RandomGenerator, randomFor } from '../../src/lab/statistics/random.ts'

/** Who was randomised: sessions each for itself, pairs of sessions, or cells of three sessions that share a server. */
export type Design = 'sessions' | 'pairs' | 'cells'

export interface World {
  readonly design: Design
  /** Sessions of each arm without blocks, else blocks. */
  readonly units: number
  /** What the latencies of the second arm are multiplied by. */
  readonly factor: number
  readonly seed: number
}

const SESSIONS_A_CELL = 3
/** The share of interrupts that hit something slow, and what it costs on average, ms. */
const TAIL = { share: 0.03, meanMs: 1_000 }
/** Standard deviations of the logarithms. */
const SPREAD = { block: 0.2, cell: 0.1, session: 0.3, interrupt: 0.4, length: 0.7 }
const MEDIAN = { latencyMs: 120, trials: 6 }
const LONGEST_SESSION = 40

export const arms = ['drain', 'abort'] as const

export const planOf = (
  world: World,
  metrics: readonly MetricPlan[],
  kind: AnalysisPlan['kind'] = 'offline',
): AnalysisPlan => ({
  experiment: 'simulated',
  kind,
  arms: arms.map((name) => ({ name, policy: name, weight: 1 })),
  baseline: 'drain',
  unit: world.design === 'cells' ? 'cell' : 'session',
  ...(world.design !== 'sessions' && { blocks: world.units }),
  metrics,
  seed: world.seed,
})

/**
 * Trials of two arms: sessions of unequal length (logarithms of their numbers of trials are normal), latencies that hang together
 * within blocks, cells and sessions (logarithms again), and 3 % slow ones. Each trial has one interrupt.
 */
export function* simulatedTrials(world: World): Generator<Trial> {
  const random = randomFor(world.seed, 'simulated')
  const draw = drawsFrom(random)
  const perCell = world.design === 'cells' ? SESSIONS_A_CELL : 1
  for (let unit = 0; unit < world.units; unit++) {
    const block = world.design === 'sessions' ? undefined : unit
    const blockEffect = block === undefined ? 0 : draw.normal(SPREAD.block)
    for (const [place, arm] of arms.entries()) {
      const cellEffect = world.design === 'cells' ? draw.normal(SPREAD.cell) : 0
      for (let each = 0; each < perCell; each++) {
        const session = `${unit}-${arm}-${each}`
        yield* sessionTrials(draw, {
          session,
          arm,
          block,
          level: blockEffect + cellEffect,
          factor: place === 0 ? 1 : world.factor,
        })
      }
    }
  }
}

type Draw = ReturnType<typeof drawsFrom>

export function drawsFrom(random: RandomGenerator) {
  const source = () => uniformFloat64(random)
  const standard = randomNormal.source(source)(0, 1)
  const tail = randomExponential.source(source)(1 / TAIL.meanMs)
  return { uniform: source, normal: (deviation: number) => deviation * standard(), tail }
}

interface Session {
  readonly session: string
  readonly arm: string
  readonly block: number | undefined
  readonly level: number
  readonly factor: number
}

/** Interrupt → first token of the interrupts of one session, ms. `level`: added to the logarithms, slow ones apart. */
export function sessionLatencies(draw: Draw, level: number, factor: number): number[] {
  const length = Math.min(LONGEST_SESSION, 1 + Math.floor(MEDIAN.trials * Math.exp(draw.normal(SPREAD.length))))
  const own = level + draw.normal(SPREAD.session)
  return Array.from({ length }, () => {
    const slow = draw.uniform() < TAIL.share ? draw.tail() : 0
    return factor * (MEDIAN.latencyMs * Math.exp(own + draw.normal(SPREAD.interrupt)) + slow)
  })
}

function* sessionTrials(draw: Draw, { session, arm, block, level, factor }: Session): Generator<Trial> {
  const waste = level + draw.normal(SPREAD.session)
  for (const [trial, latency] of sessionLatencies(draw, level, factor).entries()) {
    const wastedSlotMs = factor * 80 * Math.exp(waste + draw.normal(SPREAD.interrupt))
    const keptTokens = Math.round(30 * Math.exp(waste + draw.normal(SPREAD.interrupt)))
    yield {
      runId: `${session}-${trial}`,
      arm,
      session,
      ...(block !== undefined && { block }),
      startedUnixMs: trial,
      outcome: 'completed',
      runMs: 1_000 + latency,
      firstTokenMs: 50,
      answerMs: 300 + latency,
      generatedTokens: 100,
      wastedTokens: Math.round(wastedSlotMs / 20),
      slotMs: 1_000 + wastedSlotMs,
      wastedSlotMs,
      interrupts: [
        {
          atMs: 300,
          sinceCallMs: 300,
          decision: arm,
          settlement: arm === 'abort' ? 'aborted' : 'drained',
          end: 'reached',
          toFirstTokenMs: latency,
          keptTokens,
          phases: { drain: latency / 2, prefill: latency / 2 },
        },
      ],
    }
  }
}
