import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { AnalysisPlan, Experiment } from '../../core/experiment.ts'
import { keptMetricPlan } from '../../core/metric-schema.ts'
import { type Compare, pairsFrom } from '../../core/pairs.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import { present } from '../../core/present.ts'
import { factorsOfPipeline, policiesIn, toldFactors } from './arm-factors.ts'
import { constantMetrics, metByTrials } from './constant-metrics.ts'
import { aaName } from './experiment-checks.ts'

/** What analysis needs of a kept design. The rest is for people. */
const keptSchema = z.object({
  name: z.string(),
  arms: z.array(z.object({ name: z.string(), policy: z.string(), pipeline: z.unknown() })).min(1),
  baseline: z.string(),
  aa: z.boolean(),
  compare: z.union([z.enum(['baseline', 'all']), z.array(z.tuple([z.string(), z.string()]))]).optional(),
  blocks: z.int().min(1),
  seed: z.int(),
  load: z.union([z.object({ kind: z.literal('closed'), users: z.int() }), z.object({ kind: z.literal('open') })]),
  metrics: z.array(keptMetricPlan).min(1),
})

/** What of an experiment is the same in its file, in the records and for analysis. */
export interface Outline extends Pick<Experiment, 'name' | 'baseline' | 'aa' | 'blocks' | 'seed' | 'metrics'> {
  readonly arms: readonly { readonly name: string; readonly policy: string; readonly pipeline?: unknown }[]
  readonly compare?: Compare
  readonly load: { readonly kind: 'closed'; readonly users: number } | { readonly kind: 'open' }
}

/** The design of an execution as analysis needs it; undefined where it is none. */
export function keptDesign(design: unknown): AnalysisPlan | undefined {
  const { data } = keptSchema.safeParse(design)
  return data === undefined ? undefined : planOf(data as Outline)
}

/** Sessions that share a server at the same time are one unit: what one does, the others feel. */
export const unitOf = (load: Outline['load']): 'session' | 'cell' =>
  load.kind === 'closed' && load.users === 1 ? 'session' : 'cell'

/** The names of all arms, that of the A/A arm last. */
export const armNames = ({ arms, aa, baseline }: Pick<Outline, 'arms' | 'aa' | 'baseline'>): string[] => [
  ...arms.map(({ name }) => name),
  ...(aa ? [aaName(baseline)] : []),
]

/** What analysis has to know of a design. */
export function planOf(design: Outline): AnalysisPlan {
  const { name, arms, baseline, aa, blocks, seed, load, metrics, compare = 'baseline' } = design
  const names = armNames(design)
  const aaArm = aa ? aaName(baseline) : undefined
  const named = names.map((arm) => arms.find((each) => each.name === (arm === aaArm ? baseline : arm)))
  const who = { arms: names.map((arm) => ({ name: arm })), baseline, ...present({ aaArm }) }
  const pairs = compare === 'baseline' ? undefined : pairsFrom(compare, who)
  const place = (arm: string) => names.indexOf(arm)
  const told = toldFactors(
    named.map((arm) => factorsOfPipeline(arm?.pipeline)),
    (pairs ?? names.filter((arm) => arm !== baseline).map((arm) => [arm, baseline] as const)).map(
      ([arm, other]) => [place(arm), place(other)] as const,
    ),
  )
  return {
    experiment: name,
    kind: 'offline',
    arms: names.map((arm, index) => {
      const [constant, factors] = [constantMetrics(metByTrials(policiesIn(named[index]?.pipeline))), told[index]]
      return {
        ...{ name: arm, policy: named[index]?.policy ?? '', weight: 1 },
        ...(constant.length > 0 && { constant }),
        ...present({ factors }),
      }
    }),
    baseline,
    ...present({ aaArm }),
    unit: unitOf(load),
    ...(load.kind === 'closed' && load.users === 1 && { sequential: true }),
    blocks,
    ...present({ pairs }),
    metrics,
    seed,
  }
}

/**
 * Tells designs apart, with where they run. The budget is no part of it: who has used it up may go on with more.
 * 16 hexadecimal digits. They are those of version 0.1, so that what it began can be resumed.
 */
export function digestOf({ budget: _, ...design }: Experiment, place: unknown): string {
  const arms = design.arms.map((arm) => ({ ...arm, pipeline: flat(arm.pipeline) }))
  return createHash('sha256')
    .update(JSON.stringify([{ ...design, arms }, place]))
    .digest('hex')
    .slice(0, 16)
}

/** A pipeline with what its stages ask and do beside the rest, as version 0.1 had it. */
const flat = (pipeline: Pipeline) => ({
  ...pipeline,
  stages: pipeline.stages.map(({ id, step: { kind: _, ...step }, asks, ...rest }) => ({
    ...{ id, ...(asks && { model: asks.model }), ...step, ...(asks && { options: asks.options }) },
    ...rest,
  })),
})
