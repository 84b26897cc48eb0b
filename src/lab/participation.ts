import type { AnalysisPlan } from '../core/experiment.ts'
import type { Trial } from '../core/trial.ts'

/** Who took part in an experiment on live traffic, by arm. */
export interface Participation {
  readonly arms: readonly {
    readonly name: string
    /** Sessions that were assigned to it and have a recorded run. */
    readonly sessions: number
    /** Of them: with an interrupt that the arms answer differently. */
    readonly exposed: number
    readonly runs: number
  }[]
  /** Sessions with runs of more than one arm: something changed while the experiment ran. They count for each arm. */
  readonly mixedSessions: number
  /** When the first and the last recorded run began, ms since 1970. Absent without one. */
  readonly firstUnixMs?: number
  readonly lastUnixMs?: number
}

interface Counts {
  sessions: number
  exposed: number
  runs: number
}

/** Trials come session by session, as `ExperimentStore.trials` gives them, so that a million need no memory. */
export function participationOf({ arms }: Pick<AnalysisPlan, 'arms'>, trials: Iterable<Trial>): Participation {
  const counts = new Map<string, Counts>(arms.map(({ name }) => [name, { sessions: 0, exposed: 0, runs: 0 }]))
  let mixedSessions = 0
  let [firstUnixMs, lastUnixMs] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  let session: string | undefined
  /** The arms of the session, and whether it was exposed there. */
  let seen = new Map<string, boolean>()
  const endSession = () => {
    for (const [name, isExposed] of seen) {
      const arm = counts.get(name)!
      arm.sessions += 1
      if (isExposed) arm.exposed += 1
    }
    if (seen.size > 1) mixedSessions += 1
    seen = new Map()
  }
  for (const { arm, session: of, exposedMs, startedUnixMs } of trials) {
    if (of !== session) endSession()
    session = of
    const count = counts.get(arm) ?? { sessions: 0, exposed: 0, runs: 0 }
    counts.set(arm, count)
    count.runs += 1
    seen.set(arm, seen.get(arm) === true || exposedMs !== undefined)
    firstUnixMs = Math.min(firstUnixMs, startedUnixMs)
    lastUnixMs = Math.max(lastUnixMs, startedUnixMs)
  }
  endSession()
  return {
    arms: [...counts].map(([name, count]) => ({ name, ...count })),
    mixedSessions,
    ...(Number.isFinite(firstUnixMs) && { firstUnixMs, lastUnixMs }),
  }
}
