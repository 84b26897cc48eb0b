import { isDeepStrictEqual } from 'node:util'
import type { MetricPlan } from './metric.ts'
import type { Policy } from './policy.ts'

/** One of the ways that an experiment on live traffic compares. */
export interface LiveArm {
  readonly name: string
  /** In few words. */
  readonly policy: string
  /** Its share of the sessions that take part, relative to the others. */
  readonly weight: number
  /** By the id of the stage whose boundary it is of: of each stage that has another one in some arm. */
  readonly policies: Readonly<Record<string, Policy>>
}

/** A boundary at which the arms differ, and from when on they do. */
export interface ExposingBoundary {
  readonly stage: string
  /**
   * `interrupt`: only what an interrupt does differs. `start`: its trigger, what is done ahead or where the next call goes differs as
   * well, so that the arms may be told apart once the stage has begun, with an interrupt or without.
   */
  readonly from: 'interrupt' | 'start'
}

/** An experiment on the traffic of a pipeline, checked. Plain JSON, every default filled in. */
export interface LiveExperiment {
  readonly name: string
  /** What sessions are hashed with. */
  readonly seed: string
  /** False: every run is made as the pipeline says, and of none is it said that it took part. */
  readonly enabled: boolean
  /** The share of sessions that take part, from 0 to 1. Raising it leaves everybody who takes part in the same arm. */
  readonly coverage: number
  /** Two or more; the first one is what the others are compared with. */
  readonly arms: readonly LiveArm[]
  /** Empty where all arms do the same. */
  readonly boundaries: readonly ExposingBoundary[]
  /** Who never takes part: these sessions, and runs with one of these values of a variable. */
  readonly exclude: {
    readonly sessions: readonly string[]
    readonly vars: Readonly<Record<string, readonly string[]>>
  }
  /** Experiments of one namespace whose ranges do not overlap never share a session. */
  readonly namespace?: { readonly name: string; readonly range: readonly [number, number] }
  readonly metrics: readonly MetricPlan[]
}

/** Where arms differ. Each has the policies of the same stages. */
export function exposingBoundaries(arms: readonly Pick<LiveArm, 'policies'>[]): ExposingBoundary[] {
  return Object.keys(arms[0]?.policies ?? {}).flatMap((stage): ExposingBoundary[] => {
    const [first, ...others] = arms.map(({ policies }) => policies[stage]!)
    const differ = (part: (policy: Policy) => unknown) =>
      others.some((policy) => !isDeepStrictEqual(part(policy), part(first!)))
    const ahead = ({ trigger, warm, placement, placementOtherwise }: Policy) => [
      trigger,
      warm,
      placement,
      placementOtherwise,
    ]
    if (differ(ahead)) return [{ stage, from: 'start' }]
    // The name that a policy came from does nothing.
    return differ(({ preset: _, ...factors }) => factors) ? [{ stage, from: 'interrupt' }] : []
  })
}
