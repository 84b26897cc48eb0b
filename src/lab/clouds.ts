import { uniformInt } from 'pure-rand/distribution/uniformInt'
import type { AnalysisPlan } from '../core/experiment.ts'
import { present } from '../core/present.ts'
import type { InterruptCloud } from './curves.ts'
import { randomFor } from './statistics/random.ts'
import { slopeOf } from './statistics/regression.ts'
import type { TrialTable } from './trial-table.ts'
import { type Clusters, clustersOf, type View } from './units.ts'

const MOST_POINTS = 1_000

/** When interrupts came, and how long it took from there, for each arm with one that reached a first token. */
export function interruptClouds(plan: AnalysisPlan, table: TrialTable, view: View): InterruptCloud[] {
  return plan.arms.flatMap(({ name }, arm) => {
    const clusters = clustersOf(view, arm)
    const reached = reachedInOrder(table, view, clusters)
    if (reached.length === 0) return []
    const { sinceCallMs, interruptToFirstTokenMs } = table.interrupts
    const points = sampled(reached, plan, name).map((index) => ({
      sinceCallMs: sinceCallMs[index]!,
      toFirstTokenMs: interruptToFirstTokenMs[index]!,
    }))
    const slope = slopeWhileRunning(plan, table, view, name, reached, clusters)
    return [{ arm: name, points, of: reached.length, ...present({ slope }) }]
  })
}

/** By time, then by length, then by unit: whatever order the trials came in. */
function reachedInOrder({ interrupts }: TrialTable, view: View, clusters: Clusters): Uint32Array {
  const { trial, sinceCallMs, interruptToFirstTokenMs } = interrupts
  const unitOf = (index: number) => view.unitOfTrial[trial[index]!]!
  const isOne = (index: number) =>
    unitOf(index) >= 0 && clusters.of[unitOf(index)]! >= 0 && Number.isFinite(interruptToFirstTokenMs[index])
  let count = 0
  for (let index = 0; index < trial.length; index++) if (isOne(index)) count += 1
  const reached = new Uint32Array(count)
  let next = 0
  for (let index = 0; index < trial.length; index++) if (isOne(index)) reached[next++] = index
  return reached.sort(
    (a, b) =>
      sinceCallMs[a]! - sinceCallMs[b]! ||
      interruptToFirstTokenMs[a]! - interruptToFirstTokenMs[b]! ||
      unitOf(a) - unitOf(b),
  )
}

/** All, or a thousand of them drawn without replacement; in the same order. */
function sampled(all: Uint32Array, { seed }: AnalysisPlan, arm: string): number[] {
  const places = Uint32Array.from(all, (_, place) => place)
  const most = Math.min(MOST_POINTS, all.length)
  const random = randomFor(seed, 'cloud', arm)
  for (let place = 0; place < most && most < all.length; place++) {
    const other = uniformInt(random, place, all.length - 1)
    const drawn = places[other]!
    places[other] = places[place]!
    places[place] = drawn
  }
  return Array.from(places.slice(0, most).sort(), (place) => all[place]!)
}

function slopeWhileRunning(
  { seed }: AnalysisPlan,
  { interrupts }: TrialTable,
  view: View,
  arm: string,
  reached: Uint32Array,
  clusters: Clusters,
) {
  const running = reached.filter((index) => !Number.isNaN(interrupts.sinceRunningCallMs[index]))
  const column = (values: Float64Array) => Float64Array.from(running, (index) => values[index]!)
  return slopeOf(
    column(interrupts.sinceCallMs),
    column(interrupts.interruptToFirstTokenMs),
    running.map((index) => clusters.of[view.unitOfTrial[interrupts.trial[index]!]!]!),
    clusters.count,
    randomFor(seed, 'slope', arm),
  )
}
