import { randomUUID } from 'node:crypto'
import { createEngine } from './compose.ts'
import { systemClock } from './core/clock.ts'
import { COUNTING, countingOf } from './core/counting.ts'
import type { Engine } from './core/engine.ts'
import { CaesuraError } from './core/errors.ts'
import type { Experiment } from './core/experiment.ts'
import { aaName } from './core/experiment-checks.ts'
import { digestOf, unitOf } from './core/experiment-design.ts'
import type { Pipeline, Stage } from './core/pipeline.ts'
import type { ExperimentStore, Node, RunStore, Telemetry } from './core/ports.ts'
import type { RunRecord } from './core/record.ts'
import type { Execution } from './core/trial.ts'
import { conduct } from './experiments/conduct.ts'
import { firstStageMs, recordedTimes, timesFound, timesOfShares, withTimes } from './experiments/interrupt-times.ts'
import { type PlannedTrial, trialCount, warmUpsOf } from './experiments/schedule.ts'
import { Sitting } from './sitting.ts'

/** Part of the composition root: makes the trials of an experiment as ordinary runs on an engine, and keeps them. */

export type ExperimentRecords = RunStore & ExperimentStore

/** How far an execution is. */
export interface HowFar {
  readonly execution: string
  /** Measured trials that are kept, those of earlier sittings included. */
  readonly done: number
  readonly of: number
  /** Warm-ups that were made in this sitting. */
  readonly warmUps: number
}

export interface ExperimentSettings {
  readonly nodes: readonly Node[]
  readonly models: Readonly<Record<string, string>>
  readonly store: ExperimentRecords
  readonly keepText: boolean
  readonly telemetry?: Telemetry | undefined
  /** Goes on with the newest execution of the same design that is not complete. */
  readonly resume: boolean
  /** Aborting it stops the work; what was measured is kept. */
  readonly signal: AbortSignal
  tell?(howFar: HowFar): void
}

/**
 * Runs an experiment; resolves to its execution when every trial is made, when its budget is used up, or when it was stopped. Throws
 * `CAESURA_E_EXPERIMENT_UNKNOWN` and `CAESURA_E_EXPERIMENT_CHANGED` where there is nothing to resume, `CAESURA_E_EXPERIMENT_TAKEN`
 * where another process makes its trials, `CAESURA_E_EXPERIMENT_LOST` where one has taken it over meanwhile, `CAESURA_E_RECORDS`.
 * Closes the nodes, not the store.
 */
export async function runExperiment(experiment: Experiment, settings: ExperimentSettings): Promise<Execution> {
  const { nodes, models, store, telemetry, keepText } = settings
  const keeper = keeperOf(store, (record) => sitting.write(record), unitOf(experiment.load) === 'cell')
  await using engine = createEngine({
    nodes,
    models,
    keepText,
    ...(telemetry !== undefined && { telemetry }),
    store: keeper.store,
  })
  const place = [nodes.map(({ name, slots, backend: { kind, address } }) => [name, slots, kind, address]), models]
  const digest = digestOf(experiment, place)
  const begun = settings.resume ? unfinished(store, experiment.name, digest) : newExecution(experiment, digest, store)
  const sitting = Sitting.begin(store, begun)
  try {
    const execution = settings.resume ? resumed(store, begun, experiment) : begun
    sitting.writeExecution(execution)
    return await carryOut({ execution, engine, sitting, flush: keeper.flush }, settings).catch((error: unknown) => {
      sitting.lost.throwIfAborted()
      sitting.writeExecution({ ...execution, ended: { at: now(), how: 'failed' } })
      throw error
    })
  } finally {
    sitting.end()
  }
}

const now = () => new Date().toISOString()

const newExecution = (experiment: Experiment, digest: string, store: ExperimentRecords): Execution => ({
  experiment: experiment.name,
  execution: randomUUID().slice(0, 8),
  digest,
  design: withTimes(experiment, recordedTimes(experiment.workload.interrupts, store)),
  counting: COUNTING,
  startedAt: now(),
})

/**
 * An execution that is ours now, to go on with. Its interrupt times stay those that were found when it began; its budget is what the
 * file says now.
 */
function resumed(store: ExperimentStore, begun: Execution, experiment: Experiment): Execution {
  // Whoever had it until now may have ended it.
  const { ended, ...execution } = store.readExecution(begun.experiment, begun.execution) ?? begun
  if (ended?.how === 'complete') throw nothingToResume(experiment.name)
  return { ...execution, design: { ...withTimes(experiment, timesFound(execution.design)), budget: experiment.budget } }
}

/** The newest execution of this design that is not complete. */
function unfinished(store: ExperimentStore, experiment: string, digest: string): Execution {
  const open = store
    .experiments()
    .filter((each) => each.experiment === experiment && each.execution !== undefined && each.ended?.how !== 'complete')
    .map((each) => store.readExecution(experiment, each.execution))
  const found = open.find((execution) => execution?.digest === digest)
  if (found !== undefined && countingOf(found) === COUNTING) return found
  if (found !== undefined)
    throw new CaesuraError('CAESURA_E_EXPERIMENT_CHANGED', 'the trials that were made count tokens in another way', {
      received: `counting ${countingOf(found)}`,
      expected: `counting ${COUNTING}, which this version makes`,
      hint: 'They cannot be pooled with new ones: start anew without --resume.',
    })
  if (open.length > 0)
    throw new CaesuraError('CAESURA_E_EXPERIMENT_CHANGED', 'the experiment is not the one that was begun', {
      received: experiment,
      expected: 'the same arms, workload, design, metrics, nodes and models; only the budget may differ',
      hint: 'Undo the change, or start anew without --resume.',
    })
  throw nothingToResume(experiment)
}

const nothingToResume = (received: string): CaesuraError =>
  new CaesuraError('CAESURA_E_EXPERIMENT_UNKNOWN', 'there is nothing to resume', {
    received,
    expected: 'an execution that was stopped',
    hint: '`caesura ab list` shows what was made; without --resume the experiment begins anew.',
  })

interface Work {
  readonly execution: Execution
  readonly engine: Engine
  readonly sitting: Sitting
  flush(): void
}

async function carryOut(
  { execution, engine, sitting, flush }: Work,
  { store, signal: asked, tell }: ExperimentSettings,
): Promise<Execution> {
  const signal = AbortSignal.any([asked, sitting.lost])
  let current = execution
  const experiment = execution.design as Experiment
  const done = new Set<number>()
  for (const { trial } of store.trials(execution)) if (trial !== undefined) done.add(trial)
  const of = trialCount(experiment)
  const made = { measured: done.size, warmUps: 0 }
  const lengths: number[] = []
  const pipelines = pipelinesOf(experiment)
  const work = { experiment, execution: execution.execution }
  const trial = async (planned: PlannedTrial, lagMs?: number): Promise<number | undefined> => {
    const record = await runTrial(engine, pipelines(planned), planned, { ...work, signal, lagMs })
    if (record.outcome === 'cancelled') return undefined
    if (planned.warmUp) {
      made.warmUps += 1
      lengths.push(...firstStageMs(record))
    } else made.measured += 1
    tell?.({ execution: execution.execution, done: made.measured, of, warmUps: made.warmUps })
    return record.cost.generatedTokens
  }
  // Written before anything is measured: who goes on with it has the same times.
  const afterWarmUps = () => {
    const design = withTimes(experiment, timesOfShares(experiment, lengths))
    if (design !== experiment) {
      current = { ...execution, design }
      sitting.writeExecution(current)
    }
    return design
  }
  const conducting = { clock: systemClock, signal, trial, cellEnded: flush }
  const how = await conduct(warmUpsOf(experiment), afterWarmUps, done, conducting).finally(flush)
  const ended = { ...current, ended: { at: now(), how } }
  sitting.writeExecution(ended)
  return ended
}

/** The pipeline of a trial: its arm's, with the trial's seed where a stage samples. */
function pipelinesOf({ arms, aa, baseline }: Experiment): (planned: PlannedTrial) => Pipeline {
  const byArm = new Map(arms.map(({ name, pipeline }) => [name, pipeline]))
  const base = byArm.get(baseline)
  if (aa && base !== undefined) byArm.set(aaName(baseline), base)
  return ({ arm, seed }) => {
    const pipeline = byArm.get(arm)
    if (pipeline === undefined) throw new CaesuraError('CAESURA_E_INTERNAL', `no arm is named ${arm}`)
    const seeded = (stage: Stage): Stage => {
      const { asks } = stage
      if (asks === undefined || asks.options.temperature === 0) return stage
      return { ...stage, asks: { ...asks, options: { ...asks.options, seed } } }
    }
    return { ...pipeline, stages: pipeline.stages.map(seeded) }
  }
}

interface TrialWork {
  readonly experiment: Experiment
  readonly execution: string
  readonly signal: AbortSignal
  readonly lagMs: number | undefined
}

async function runTrial(
  engine: Engine,
  pipeline: Pipeline,
  { arm, session, trial, block, warmUp, input, interruptMs }: PlannedTrial,
  { experiment: { name, workload }, execution, signal, lagMs }: TrialWork,
): Promise<RunRecord> {
  const stage = pipeline.stages[0]?.id ?? ''
  const { interruptInput } = workload
  const handle = engine.start(pipeline, {
    input,
    vars: workload.vars,
    signal,
    signals:
      interruptMs === undefined
        ? []
        : [{ stage, afterMs: interruptMs, ...(interruptInput !== undefined && { input: interruptInput }) }],
    experiment: {
      name,
      arm,
      session,
      execution,
      ...(block !== undefined && { block }),
      ...(trial !== undefined && { trial }),
      ...(warmUp && { warmUp }),
      ...(lagMs !== undefined && { lagMs }),
    },
  })
  // Read as a user would: only what is read counts as delivered.
  for await (const _ of handle.events);
  return handle.result
}

/** So many records wait at most. */
const MOST_WAITING = 1000

/**
 * Keeps records of runs, but none of those that a stop cut short: they measured nothing, and are made again when the experiment goes
 * on. `keep` writes one. `later`: where runs are made at once, a write would make the others late, so records wait for `flush`.
 */
function keeperOf(
  store: RunStore,
  keep: (record: RunRecord) => void,
  later: boolean,
): { readonly store: RunStore; flush(): void } {
  const waiting: RunRecord[] = []
  const flush = () => {
    while (waiting[0] !== undefined) {
      keep(waiting[0])
      waiting.shift()
    }
  }
  const write = (record: RunRecord) => {
    if (record.outcome === 'cancelled') return
    waiting.push(record)
    if (!later || waiting.length >= MOST_WAITING) flush()
  }
  return { store: { ...store, write, close: () => undefined }, flush }
}
