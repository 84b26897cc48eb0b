import { randomUUID } from 'node:crypto'
import type { Catalogue } from '../core/catalogue.ts'
import { type Clock, type Nanoseconds, systemClock } from '../core/clock.ts'
import { COUNTING, countingOf } from '../core/counting.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Experiment } from '../core/experiment.ts'
import type { ExperimentStore, Node, RunStore, Telemetry } from '../core/ports.ts'
import { present } from '../core/present.ts'
import type { RunRecord } from '../core/record.ts'
import type { Execution } from '../core/trial.ts'
import { digestOf, unitOf } from '../lab/design/experiment-design.ts'
import { recordedTimes, timesFound, withTimes } from '../lab/interrupt-times.ts'
import { type HowFar, type Making, makeTrials } from '../lab/make-trials.ts'
import { createEngine } from './compose.ts'
import { Sitting } from './sitting.ts'

/** Part of the composition root: makes the trials of an experiment as ordinary runs on an engine, and keeps them. */

export type { HowFar }
export type ExperimentRecords = RunStore & ExperimentStore

export interface ExperimentSettings {
  readonly nodes: readonly Node[]
  readonly models: Readonly<Record<string, string>>
  readonly store: ExperimentRecords
  readonly keepText: boolean
  readonly telemetry?: Telemetry | undefined
  /** What the arms' pipelines were checked against; all that ships by default. */
  readonly catalogue?: Catalogue
  /** Goes on with the newest execution of the same design that is not complete. */
  readonly resume: boolean
  /** Aborting it stops the work; what was measured is kept. */
  readonly signal: AbortSignal
  /** Real time by default; what its trials and pauses take is taken of it. */
  readonly clock?: Clock
  tell?(howFar: HowFar): void
}

/**
 * Runs an experiment; resolves to its execution when every trial is made, when its budget is used up, or when it was stopped. Throws
 * `CAESURA_E_EXPERIMENT_UNKNOWN` and `CAESURA_E_EXPERIMENT_CHANGED` where there is nothing to resume, `CAESURA_E_EXPERIMENT_TAKEN`
 * where another process makes its trials, `CAESURA_E_EXPERIMENT_LOST` where one has taken it over meanwhile, `CAESURA_E_RECORDS`.
 * Closes the nodes, not the store.
 */
export async function runExperiment(experiment: Experiment, settings: ExperimentSettings): Promise<Execution> {
  const { nodes, models, store, telemetry, keepText, resume, clock = systemClock, signal, tell } = settings
  const { catalogue } = settings
  let keep: RunStore['write'] | undefined
  await using engine = createEngine({
    ...{ nodes, models, keepText, clock },
    ...present({ telemetry, catalogue }),
    store: { ...store, write: (record) => keep?.(record), close: () => undefined },
  })
  const place = [nodes.map(({ name, slots, backend: { kind, address } }) => [name, slots, kind, address]), models]
  const digest = digestOf(experiment, place)
  const { name, workload } = experiment
  const found = () => withTimes(experiment, recordedTimes(workload.interrupts, store))
  return await sit({
    begun: resume
      ? unfinished(store, name, digest)
      : newExecution({ experiment: name, digest, design: found(), startedAt: isoNow(clock) }),
    ...(resume && { resumed: (begun: Execution) => resumed(store, begun, experiment) }),
    ...{ clock, signal, store },
    ...present({ tell }),
    readyOn: (kept) => {
      keep = kept.write
      return async () => ({ engine })
    },
  })
}

/** Now, as an execution has it. */
export const isoNow = (clock: Clock): string => new Date(clock.wall()).toISOString()

/** With an id of 8 hexadecimal digits. */
export const newExecution = (of: Pick<Execution, 'experiment' | 'digest' | 'design' | 'startedAt'>): Execution => ({
  ...of,
  execution: randomUUID().slice(0, 8),
  counting: COUNTING,
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

interface Sat {
  readonly begun: Execution
  /** What it is to do; the execution's own design by default. */
  readonly experiment?: Experiment
  readonly clock: Clock
  /** Aborting it stops the work. */
  readonly signal: AbortSignal
  readonly deadline?: Nanoseconds
  /** Aborted when the time is up, whatever is being made. */
  readonly timeUp?: AbortSignal
  /** Aborted, with the reason, when something broke that no trial tells of. */
  readonly broken?: AbortSignal
  readonly store: ExperimentRecords
  /** Looks at the execution once it is ours; what it returns is gone on with. */
  resumed?(execution: Execution): Execution
  /** What makes ready for a trial; its runs keep their records in `store`. */
  readyOn(store: RunStore): Making['ready']
  tell?(howFar: HowFar): void
}

/**
 * Makes the trials of an execution as its only conductor, and writes how it ended: `failed` where this throws. Throws
 * `CAESURA_E_EXPERIMENT_TAKEN`, `CAESURA_E_EXPERIMENT_LOST`, `CAESURA_E_RECORDS`, and what cannot go on.
 */
export async function sit({ begun, clock, deadline, store, tell, ...sat }: Sat): Promise<Execution> {
  const sitting = Sitting.begin(store, begun)
  const { signal, timeUp, broken } = sat
  let current = begun
  const write = (execution: Execution): Execution => {
    current = execution
    sitting.writeExecution(current)
    return current
  }
  try {
    current = sat.resumed?.(begun) ?? begun
    const { experiment = current.design as Experiment } = sat
    const isCrowded = unitOf(experiment.load) === 'cell'
    const { store: kept, flush } = keeperOf(store, (record) => sitting.write(record), isCrowded)
    write(current)
    const done = new Set<number>()
    for (const { trial } of store.trials(current)) if (trial !== undefined) done.add(trial)
    const making = makeTrials({
      ...{ experiment, execution: current.execution, clock, done, cellEnded: flush },
      ready: sat.readyOn(kept),
      signal: AbortSignal.any([signal, sitting.lost, ...(timeUp ? [timeUp] : []), ...(broken ? [broken] : [])]),
      // Who goes on with it has the same times.
      timed: (design) => write({ ...current, design }),
      ...present({ deadline, tell }),
    })
    try {
      const how = await making.finally(flush)
      if (!signal.aborted) broken?.throwIfAborted()
      const isLate = how === 'stopped' && timeUp?.aborted && !signal.aborted
      return write({ ...current, ended: { at: isoNow(clock), how: isLate ? 'time' : how } })
    } catch (error) {
      sitting.lost.throwIfAborted()
      write({ ...current, ended: { at: isoNow(clock), how: 'failed' } })
      throw error
    }
  } finally {
    sitting.end()
  }
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
