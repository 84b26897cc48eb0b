import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { AnalysisPlan, Experiment } from './experiment.ts'
import { aaName } from './experiment-checks.ts'
import { keptMetricPlan } from './metric-schema.ts'

/** What analysis needs of a kept design. The rest is for people. */
const keptSchema = z.object({
  name: z.string(),
  arms: z.array(z.object({ name: z.string(), policy: z.string() })).min(1),
  baseline: z.string(),
  aa: z.boolean(),
  blocks: z.int().min(1),
  seed: z.int(),
  load: z.union([z.object({ kind: z.literal('closed'), users: z.int() }), z.object({ kind: z.literal('open') })]),
  metrics: z.array(keptMetricPlan).min(1),
})

/** What of an experiment is the same in its file, in the records and for analysis. */
export interface Outline extends Pick<Experiment, 'name' | 'baseline' | 'aa' | 'blocks' | 'seed' | 'metrics'> {
  readonly arms: readonly { readonly name: string; readonly policy: string }[]
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
  const { name, arms, baseline, aa, blocks, seed, load, metrics } = design
  const policyOf = (arm: string) => arms.find((each) => each.name === arm)?.policy ?? ''
  return {
    experiment: name,
    kind: 'offline',
    arms: armNames(design).map((arm) => ({
      name: arm,
      policy: policyOf(aa && arm === aaName(baseline) ? baseline : arm),
      weight: 1,
    })),
    baseline,
    ...(aa && { aaArm: aaName(baseline) }),
    unit: unitOf(load),
    blocks,
    metrics,
    seed,
  }
}

/**
 * Tells designs apart, with where they run. The budget is no part of it: who has used it up may go on with more.
 * 16 hexadecimal digits.
 */
export function digestOf({ budget: _, ...design }: Experiment, place: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([design, place]))
    .digest('hex')
    .slice(0, 16)
}
