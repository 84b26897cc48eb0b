import { createRequire } from 'node:module'
import type { GrowthBookClient } from '@growthbook/growthbook'
import { CaesuraError } from './errors.ts'
import type { LiveArm, LiveExperiment } from './live-experiment.ts'
import type { Pipeline } from './pipeline.ts'
import { present } from './present.ts'
import { orList } from './problems.ts'
import type { ExperimentArm } from './record.ts'
import { checkSession } from './session.ts'

/** What is known of a run that is to be assigned. */
export interface Unassigned {
  readonly runId: string
  /** All runs of a session have the same arm. The run's id by default: each run is then a session. */
  readonly session?: string
  readonly vars?: Readonly<Record<string, string>>
  /** An arm that somebody else chose. */
  readonly experiment?: ExperimentArm
  /** Somebody has stopped the experiment outside of its file. */
  readonly isStopped?: boolean
}

/** What is run. The pipeline has an experiment only where the run takes part in it. */
export interface Assigned {
  readonly pipeline: Pipeline
  readonly experiment?: ExperimentArm
}

/**
 * Assigns a run of a pipeline to an arm of its experiment by GrowthBook's hash (version 2) of its session: the same session has the
 * same arm everywhere and always, while name, seed, arms and weights stay. `CAESURA_EXPERIMENTS=off` in the environment stops all
 * experiments. Throws `CAESURA_E_EXPERIMENT` for an arm that the experiment does not have, `CAESURA_E_USAGE` for a session that is none.
 */
export function assign(pipeline: Pipeline, run: Unassigned): Assigned {
  const { session, experiment: chosen } = run
  if (session !== undefined) checkSession(session)
  const { experiment } = pipeline
  const elsewhere = chosen && { ...present({ session }), ...chosen }
  if (experiment === undefined) return { pipeline, ...present({ experiment: elsewhere }) }
  // An execution of `ab`, or somebody else's experiment, has nothing to do with this one.
  if (elsewhere !== undefined && (elsewhere.name !== experiment.name || elsewhere.execution !== undefined))
    return { pipeline: asWritten(pipeline), experiment: elsewhere }
  if (!experiment.enabled || run.isStopped || process.env.CAESURA_EXPERIMENTS?.trim().toLowerCase() === 'off')
    return { pipeline: asWritten(pipeline) }
  const arm = chosen === undefined ? armOf(experiment, run) : armNamed(experiment, chosen.arm)
  if (arm === undefined) return { pipeline: asWritten(pipeline) }
  const { name } = experiment
  return {
    pipeline: withPolicies(pipeline, arm),
    experiment: { session: session ?? run.runId, ...chosen, name, arm: arm.name },
  }
}

function armOf(experiment: LiveExperiment, { runId, session = runId, vars = {} }: Unassigned): LiveArm | undefined {
  const { name: key, seed, arms, coverage, exclude, namespace } = experiment
  const total = arms.reduce((sum, { weight }) => sum + weight, 0)
  const { inExperiment, value } = growthBook().runInlineExperiment<LiveArm>(
    {
      ...{ key, seed, coverage },
      variations: arms as [LiveArm, LiveArm, ...LiveArm[]],
      weights: arms.map(({ weight }) => weight / total),
      hashVersion: 2,
      hashAttribute: 'session',
      ...(namespace !== undefined && { namespace: [namespace.name, ...namespace.range] }),
      condition: {
        session: { $nin: exclude.sessions },
        ...Object.fromEntries(Object.entries(exclude.vars).map(([name, values]) => [`vars.${name}`, { $nin: values }])),
      },
    },
    { attributes: { session, vars } },
  )
  return inExperiment ? value : undefined
}

function armNamed({ name, arms }: LiveExperiment, asked: string): LiveArm {
  const found = arms.find((arm) => arm.name === asked)
  if (found !== undefined) return found
  throw new CaesuraError('CAESURA_E_EXPERIMENT', `the experiment ${name} has no such arm`, {
    received: asked,
    expected: orList(arms.map((arm) => arm.name)),
  })
}

let client: GrowthBookClient | undefined

/** Loaded at the first assignment: it takes 20 ms, and most pipelines have no experiment. It talks to no server: it has no key of one. */
function growthBook(): GrowthBookClient {
  if (client === undefined) {
    const library = createRequire(import.meta.url)('@growthbook/growthbook') as typeof import('@growthbook/growthbook')
    client = new library.GrowthBookClient()
  }
  return client
}

const written = new WeakMap<Pipeline, Pipeline>()

function asWritten(pipeline: Pipeline): Pipeline {
  const { experiment: _, ...rest } = pipeline
  const known = written.get(pipeline) ?? Object.freeze(rest)
  written.set(pipeline, known)
  return known
}

/** Of an arm: one arm belongs to one pipeline. */
const ofArms = new WeakMap<LiveArm, Pipeline>()

function withPolicies(pipeline: Pipeline, arm: LiveArm): Pipeline {
  const known =
    ofArms.get(arm) ??
    Object.freeze({
      ...pipeline,
      stages: pipeline.stages.map((stage) => ({ ...stage, policy: arm.policies[stage.id] ?? stage.policy })),
    })
  ofArms.set(arm, known)
  return known
}
