import { type Clock, msToNs, type Nanoseconds, nsToMs } from '../core/clock.ts'
import type { Engine, RunHandle, StartOptions } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Arm, Experiment } from '../core/experiment.ts'
import type { Pipeline, Stage } from '../core/pipeline.ts'
import { present } from '../core/present.ts'
import type { RunRecord } from '../core/record.ts'
import type { Execution } from '../core/trial.ts'
import { conduct, pause } from './conduct.ts'
import { firstStageMs, timesOfShares, withTimes } from './interrupt-times.ts'
import { armsOf, type PlannedTrial, trialCount, warmUpsOf } from './schedule.ts'

/** What a trial is made on. */
export interface Bench {
  readonly engine: Engine
  /** Called when the trial is over. */
  leave?(): Promise<void>
}

/** How far an execution is. */
export interface HowFar {
  readonly execution: string
  /** Measured trials that are kept, those of earlier sittings included. */
  readonly done: number
  readonly of: number
  /** Warm-ups that were made in this sitting. */
  readonly warmUps: number
  /** The trial that was made last. Its block counts from 0; a warm-up has none. */
  readonly arm: string
  readonly block?: number
}

export interface Making {
  readonly experiment: Experiment
  /** Its id. */
  readonly execution: string
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly deadline?: Nanoseconds
  /** Numbers of the trials that are kept already. */
  readonly done: ReadonlySet<number>
  /** Brings the place where trials of this arm are made into the state in which one begins. What it throws ends the work. */
  ready(arm: string, signal: AbortSignal): Promise<Bench>
  /** Told of the experiment with the interrupt times that the warm-ups gave it, before anything is measured. */
  timed?(experiment: Experiment): void
  /** Called while no trial is being made. */
  cellEnded?(): void
  tell?(howFar: HowFar): void
}

/** Makes the trials of an experiment as ordinary runs, and says how it ended. Throws what `ready` throws. */
export async function makeTrials(making: Making): Promise<NonNullable<Execution['ended']>['how']> {
  const { experiment, execution, clock, signal, deadline, done, cellEnded, tell } = making
  const of = trialCount(experiment)
  const made = { measured: done.size, warmUps: 0 }
  const lengths: number[] = []
  const arms = new Map(armsOf(experiment).map((arm) => [arm.name, arm]))
  const trial = async (planned: PlannedTrial, lagMs?: number): Promise<number | undefined> => {
    const arm = arms.get(planned.arm)
    if (arm === undefined) throw new CaesuraError('CAESURA_E_INTERNAL', `no arm is named ${planned.arm}`)
    const bench = await making.ready(arm.name, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
    if (bench === undefined) return undefined
    const record = await runTrial(planned, arm, { making, engine: bench.engine, lagMs }).finally(() => bench.leave?.())
    if (record.outcome === 'cancelled') return undefined
    if (planned.warmUp) {
      made.warmUps += 1
      lengths.push(...firstStageMs(record))
    } else made.measured += 1
    const { block } = planned
    tell?.({
      ...{ execution, done: made.measured, of, warmUps: made.warmUps, arm: arm.name },
      ...present({ block }),
    })
    return record.cost.generatedTokens
  }
  const afterWarmUps = () => {
    const design = withTimes(experiment, timesOfShares(experiment, lengths))
    if (design !== experiment) making.timed?.(design)
    return design
  }
  return conduct(warmUpsOf(experiment), afterWarmUps, done, {
    ...{ clock, signal, trial },
    ...present({ deadline, cellEnded }),
  })
}

interface TrialWork {
  readonly making: Making
  readonly engine: Engine
  readonly lagMs: number | undefined
}

/** One run, behind the one that the arm wants before it. */
async function runTrial(planned: PlannedTrial, arm: Arm, { making, engine, lagMs }: TrialWork): Promise<RunRecord> {
  const { session, trial, block, warmUp, input, nonce } = planned
  const { experiment, execution, signal } = making
  const vars = { ...experiment.workload.vars, ...present({ nonce }) }
  const place = {
    ...{ name: experiment.name, session, execution },
    ...present({ block }),
    ...(warmUp && { warmUp }),
  }
  const start = (pipeline: Pipeline, more: Pick<StartOptions, 'signals' | 'experiment'>) =>
    engine.start(pipeline, { input, vars, signal, ...more })
  let ahead: RunHandle | undefined
  if (arm.before !== undefined) {
    const began = making.clock.now()
    // No trial of its own: it has no number, and no arm of the design.
    ahead = start(arm.before.pipeline, { experiment: { ...place, arm: `${arm.name} / before` } })
    if (arm.before.until === 'end') await ahead.result
    else await firstTokenOf(ahead)
    await pause(nsToMs(began + msToNs(arm.before.leastMs ?? 0) - making.clock.now()), making)
  }
  const handle = start(withSeed(arm.pipeline, planned.seed), {
    signals: signalsOf(planned, arm.pipeline, experiment),
    experiment: {
      ...{ ...place, arm: arm.name },
      ...present({ trial, lagMs }),
    },
  })
  // Read as a user would: only what is read counts as delivered.
  for await (const _ of handle.events);
  await ahead?.result
  return handle.result
}

function signalsOf(
  { interruptMs, interruptTokens }: PlannedTrial,
  { stages }: Pipeline,
  { workload: { interruptInput: input } }: Experiment,
): NonNullable<StartOptions['signals']> {
  const stage = stages[0]?.id ?? ''
  const more = input === undefined ? {} : { input }
  if (interruptTokens !== undefined) return [{ stage, afterTokens: interruptTokens, ...more }]
  return interruptMs === undefined ? [] : [{ stage, afterMs: interruptMs, ...more }]
}

/** The arm's pipeline, with the trial's seed where a stage samples. */
function withSeed(pipeline: Pipeline, seed: number): Pipeline {
  const seeded = (stage: Stage): Stage => {
    const { asks } = stage
    if (asks === undefined || asks.options.temperature === 0) return stage
    return { ...stage, asks: { ...asks, options: { ...asks.options, seed } } }
  }
  return { ...pipeline, stages: pipeline.stages.map(seeded) }
}

async function firstTokenOf(run: RunHandle): Promise<void> {
  for await (const { type } of run.events) if (type === 'token') return
}
