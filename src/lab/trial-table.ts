import { Adder } from 'd3-array'
import { countingOf } from '../core/counting.ts'
import { CaesuraError } from '../core/errors.ts'
import type { AnalysisPlan, MetricName } from '../core/experiment.ts'
import { type PhaseName, phaseNames } from '../core/record.ts'
import type { Trial, TrialInterrupt } from '../core/trial.ts'
import { Growing } from './growing.ts'

/** What is counted of an arm while its trials pass by. */
export interface ArmCounts {
  trials: number
  interrupts: number
  warmUps: number
  readonly outcomes: { completed: number; cancelled: number; failed: number }
  readonly settlements: Record<string, number>
  readonly ends: Record<string, number>
  /** Interrupts that reached a first token. */
  reached: number
  /** Trials by who counted their tokens. */
  readonly counted: Record<'server' | 'pieces' | 'both' | 'unknown', number>
  /** Over those; exact, so that the order of the trials does not matter. */
  readonly phaseSums: Map<PhaseName, Adder>
}

/** What a trial is kept as: the values of its metrics, and what sorts it. NaN where it has none. */
const trialColumns = {
  wastedTokens: (trial) => trial.wastedTokens,
  wastedSlotMs: (trial) => trial.wastedSlotMs,
  slotMs: (trial) => trial.slotMs,
  generatedTokens: (trial) => trial.generatedTokens,
  firstTokenMs: (trial) => trial.firstTokenMs ?? Infinity,
  answerMs: (trial) => trial.answerMs ?? Infinity,
  arrivalToAnswerMs: (trial) => (trial.answerMs ?? Infinity) + (trial.lagMs ?? 0),
  runMs: (trial) => trial.runMs,
  failed: (trial) => (trial.outcome === 'failed' ? 1 : 0),
  block: (trial) => trial.block ?? Number.NaN,
  trial: (trial) => trial.trial ?? Number.POSITIVE_INFINITY,
  startedUnixMs: (trial) => trial.startedUnixMs,
  lagMs: (trial) => trial.lagMs ?? Number.NaN,
  exposedMs: (trial) => trial.exposedMs ?? Number.NaN,
} as const satisfies Record<string, (trial: Trial) => number>

const interruptColumns = {
  interruptToFirstTokenMs: ({ end, toFirstTokenMs }) => toFirstTokenMs ?? (end === 'lost' ? Infinity : Number.NaN),
  signalToFirstTokenMs: ({ end, toFirstTokenMs, toFirstTokenFromSignalMs }) =>
    toFirstTokenFromSignalMs ?? toFirstTokenMs ?? (end === 'lost' ? Infinity : Number.NaN),
  toSilenceMs: ({ toSilenceMs }) => toSilenceMs ?? Number.NaN,
  keptTokens: ({ keptTokens }) => keptTokens,
  sinceCallMs: ({ sinceCallMs }) => sinceCallMs,
  /** NaN where the call had ended when the interrupt came. */
  sinceRunningCallMs: ({ settlement, sinceCallMs }) => (settlement === 'completed' ? Number.NaN : sinceCallMs),
  /** How long one that was lost had taken when its run ended. */
  lostAfterMs: ({ lostAfterMs }) => lostAfterMs ?? Number.NaN,
} as const satisfies Record<string, (interrupt: TrialInterrupt) => number>

type Columns<T> = { readonly [Name in keyof T]: Float64Array }

/**
 * The trials of an experiment as columns of numbers: about 160 bytes a trial and 50 an interrupt. Warm-ups and trials of arms that
 * the plan does not have are only counted. A value that does not exist is NaN; one that was never reached is `Infinity`.
 */
export interface TrialTable {
  /** In the plan's order. */
  readonly counts: readonly ArmCounts[]
  /** Trials of arms that the plan does not have. */
  readonly strangers: number
  /** Trials that were left out, because the same one of the plan was there already. */
  readonly duplicates: number
  /** In the order of their names. */
  readonly sessions: readonly string[]
  readonly trials: Columns<typeof trialColumns> & {
    /** The arm's place in the plan. */
    readonly arm: Float64Array
    /** The session's place among `sessions`. */
    readonly session: Float64Array
    /** A number for the nodes that it ran on; 0 where none is known. */
    readonly node: Float64Array
  }
  readonly interrupts: Columns<typeof interruptColumns> & {
    /** The place of its trial. */
    readonly trial: Float64Array
  }
}

/**
 * Reads the trials once, one at a time. Their order does not matter to any figure, but for this: a planned trial (`trial` of a
 * session) counts once, as the first that comes. As a store gives them that is the one that started first.
 */
export function tableOf(plan: Pick<AnalysisPlan, 'arms'>, trials: Iterable<Trial>): TrialTable {
  const places = new Map(plan.arms.map(({ name }, place) => [name, place]))
  const counts = plan.arms.map(noCounts)
  const codes = new Map<string, number>()
  const ofTrial = growing(trialColumns)
  const ofInterrupt = growing(interruptColumns)
  const [arm, session, node, trialOf] = [new Growing(), new Growing(), new Growing(), new Growing()]
  const nodes = new Map<string, number>()
  const planned = new PlannedOnce()
  let strangers = 0
  let duplicates = 0
  let counting: number | undefined
  for (const trial of trials) {
    const place = places.get(trial.arm)
    if (place === undefined) {
      strangers += 1
      continue
    }
    if (trial.warmUp) {
      counts[place]!.warmUps += 1
      continue
    }
    const code = codes.get(trial.session) ?? codes.size
    if (code === codes.size) codes.set(trial.session, code)
    if (trial.trial !== undefined && !planned.add(trial.trial, code)) {
      duplicates += 1
      continue
    }
    counting ??= countingOf(trial)
    if (counting !== countingOf(trial)) throw mixed(counting, trial)
    countTrial(counts[place]!, trial)
    for (const interrupt of trial.interrupts) {
      trialOf.push(arm.length)
      for (const [read, column] of ofInterrupt.pairs) column.push(read(interrupt))
    }
    arm.push(place)
    session.push(code)
    node.push(nodeOf(nodes, trial))
    for (const [read, column] of ofTrial.pairs) column.push(read(trial))
  }
  const sessions = [...codes.keys()].sort()
  const ranks = new Float64Array(sessions.length)
  for (const [rank, name] of sessions.entries()) ranks[codes.get(name)!] = rank
  return {
    counts,
    strangers,
    duplicates,
    sessions,
    trials: {
      ...ofTrial.columns(),
      arm: arm.values(),
      session: session.values().map((code) => ranks[code]!),
      node: node.values(),
    },
    interrupts: { ...ofInterrupt.columns(), trial: trialOf.values() },
  }
}

/** Tells planned trials that come again. A number is mostly of one session: then it costs no more than an entry. */
class PlannedOnce {
  readonly #sessions = new Map<number, number>()
  readonly #others = new Set<string>()

  /** False where it was there. */
  add(trial: number, session: number): boolean {
    const first = this.#sessions.get(trial)
    if (first === undefined) this.#sessions.set(trial, session)
    if (first === undefined || first === session) return first === undefined
    const key = `${trial} ${session}`
    if (this.#others.has(key)) return false
    this.#others.add(key)
    return true
  }
}

/** Trials with the same nodes in another order shared servers as well, but that is rare: the first one stands for all. */
function nodeOf(known: Map<string, number>, { nodes }: Trial): number {
  const name = nodes?.[0]
  if (name === undefined) return 0
  const code = known.get(name) ?? known.size + 1
  known.set(name, code)
  return code
}

const mixed = (counting: number, trial: Trial) =>
  new CaesuraError('CAESURA_E_EXPERIMENT_CHANGED', 'the trials do not all count tokens in the same way', {
    received: `counting ${countingOf(trial)} in run ${trial.runId}, counting ${counting} before`,
    expected: 'trials of one version of the counting',
    hint: 'They were made by two versions of Caesura: begin a new execution, or a live experiment of another name.',
  })

/** A value for each trial, or for each interrupt, as the metric has it. */
export function valuesOf(table: TrialTable, metric: MetricName): Float64Array {
  return metric in table.trials
    ? table.trials[metric as keyof typeof table.trials]
    : table.interrupts[metric as keyof typeof table.interrupts]
}

function growing<Item, T extends Record<string, (item: Item) => number>>(
  readers: T & Record<string, (item: Item) => number>,
) {
  const named = Object.entries(readers).map(([name, read]) => ({ name, read, column: new Growing() }))
  return {
    pairs: named.map(({ read, column }) => [read, column] as const),
    columns: () => Object.fromEntries(named.map(({ name, column }) => [name, column.values()])) as Columns<T>,
  }
}

const noCounts = (): ArmCounts => ({
  trials: 0,
  interrupts: 0,
  warmUps: 0,
  outcomes: { completed: 0, cancelled: 0, failed: 0 },
  settlements: {},
  ends: {},
  reached: 0,
  counted: { server: 0, pieces: 0, both: 0, unknown: 0 },
  phaseSums: new Map(),
})

function countTrial(counts: ArmCounts, { outcome, interrupts, counted }: Trial): void {
  counts.counted[counted ?? 'unknown'] += 1
  counts.trials += 1
  counts.interrupts += interrupts.length
  counts.outcomes[outcome] += 1
  for (const { settlement, end, phases } of interrupts) {
    counts.settlements[settlement] = (counts.settlements[settlement] ?? 0) + 1
    counts.ends[end] = (counts.ends[end] ?? 0) + 1
    if (end !== 'reached') continue
    counts.reached += 1
    for (const name of phaseNames) {
      const ms = phases[name]
      if (ms === undefined) continue
      const sum = counts.phaseSums.get(name) ?? new Adder()
      counts.phaseSums.set(name, sum.add(ms))
    }
  }
}
