import { median } from 'd3-array'
import { z } from 'zod'
import { CaesuraError } from '../core/errors.ts'
import type { Experiment, InterruptTimes } from '../core/experiment.ts'
import type { ExperimentStore, RunStore } from '../core/ports.ts'
import { present } from '../core/present.ts'
import type { RunRecord } from '../core/record.ts'

/** The newest so many are taken of what is recorded. */
const MOST_RECORDED = 10_000

/** How long the first stage took in a run that nothing interrupted, ms: one figure, or none. */
export function firstStageMs({ stages, interrupts }: RunRecord): number[] {
  const [first] = stages
  return first?.settlement === 'completed' && interrupts.length === 0 ? [first.settledMs - first.startMs] : []
}

/** The same experiment with interrupts at these times; itself where they are undefined. */
export const withTimes = (experiment: Experiment, atMs: readonly number[] | undefined): Experiment =>
  atMs === undefined
    ? experiment
    : { ...experiment, workload: { ...experiment.workload, interrupts: { kind: 'list', atMs } } }

const listSchema = z.object({
  workload: z.object({ interrupts: z.object({ kind: z.literal('list'), atMs: z.array(z.number()).min(1) }) }),
})

/** The interrupt times that were found when an execution began, or by its warm-up; undefined where there was nothing to find out. */
export const timesFound = (design: unknown): readonly number[] | undefined =>
  listSchema.safeParse(design).data?.workload.interrupts.atMs

/** Where times are shares of the first stage's length: those of the median of `lengths`, ms. Undefined for other times. */
export function timesOfShares({ workload }: Experiment, lengths: readonly number[]): readonly number[] | undefined {
  if (workload.interrupts.kind !== 'share') return undefined
  const length = median(lengths)
  if (length === undefined)
    throw new CaesuraError('CAESURA_E_MODEL_ERROR', 'the first stage ended in no warm-up, so its length is not known', {
      path: 'workload.interrupts.share',
      hint: '`caesura runs --trials` lists its runs, and `caesura explain RUN` shows why; a time such as `after: 100ms` needs no length.',
    })
  return workload.interrupts.of.map((share) => share * length)
}

/** The times of recorded interrupts since the start of their calls, ms. Throws `CAESURA_E_EXPERIMENT` where there are none. */
export function recordedTimes(times: InterruptTimes, store: RunStore & ExperimentStore): readonly number[] | undefined {
  if (times.kind !== 'recorded') return undefined
  const atMs = (
    times.pipeline === undefined ? ofExperiment(times.experiment ?? '', store) : ofPipeline(times.pipeline, store)
  )
    .slice(-MOST_RECORDED)
    .map((ms) => Math.max(0, ms))
  if (atMs.length > 0) return atMs
  const name = times.pipeline ?? times.experiment ?? ''
  throw new CaesuraError('CAESURA_E_EXPERIMENT', 'no interrupt is recorded that could be repeated', {
    path: 'workload.interrupts.recorded',
    received: name,
    expected: `a ${times.pipeline === undefined ? 'recorded experiment' : 'pipeline'} with interrupts in its records`,
    hint: times.pipeline === undefined ? '`caesura ab list` lists them.' : '`caesura runs` lists the recorded runs.',
  })
}

function ofPipeline(pipeline: string, store: RunStore): number[] {
  return store
    .list({ pipeline, limit: MOST_RECORDED })
    .filter(({ interrupts }) => interrupts > 0)
    .reverse()
    .flatMap(({ runId }) => {
      const { stages, interrupts } = store.read(runId)
      return interrupts.flatMap(({ at, fromCall, suppressed }) => {
        const call = stages.find(({ callId }) => callId === fromCall)
        return call === undefined || suppressed ? [] : [at - call.startMs]
      })
    })
}

function ofExperiment(experiment: string, store: ExperimentStore): number[] {
  const execution = store.readExecution(experiment)?.execution
  const atMs: number[] = []
  for (const { warmUp, interrupts } of store.trials({ experiment, ...present({ execution }) }))
    if (!warmUp) for (const { sinceCallMs } of interrupts) atMs.push(sinceCallMs)
  return atMs
}
