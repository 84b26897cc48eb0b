import type { AnalysisPlan } from '../core/experiment.ts'
import { SortedColumn } from './statistics/sorted-column.ts'
import type { TrialTable } from './trial-table.ts'

export type ViewName = 'all' | 'exposed'

/** The trials that are compared, by the units that were randomised. Units are in the order of block, session and arm. */
export interface View {
  readonly name: ViewName
  /** Of each trial; −1 for one that is left out. */
  readonly unitOfTrial: Int32Array
  /** Of each unit: the arm's place in the plan. */
  readonly arm: Uint16Array
  /** Of each unit: the place of its block among the complete ones; 0 without blocks. */
  readonly block: Uint32Array
  /** Absent without blocks. */
  readonly blocks?: { readonly complete: number; readonly incomplete: number }
  /** What was left out: trials outside all blocks, and sessions that live traffic had in more than one arm. */
  readonly unblockedTrials: number
  readonly crossedSessions: number
}

const OUT = -1

export function viewOf(plan: AnalysisPlan, table: TrialTable, name: ViewName): View {
  const { arm, session, block } = table.trials
  const isBlocked = plan.blocks !== undefined
  const blocks = isBlocked ? blocksOf(table, plan.arms.length) : undefined
  const crossed = plan.kind === 'live' ? crossedSessions(table) : new Set<number>()
  const exposed = name === 'exposed' ? exposedSessions(table) : undefined
  const hasCells = isBlocked && plan.unit === 'cell'
  const keys = new Float64Array(arm.length)
  let unblockedTrials = 0
  for (let trial = 0; trial < arm.length; trial++) {
    const place = blocks === undefined ? 0 : blocks.places.get(block[trial]!)
    if (isBlocked && Number.isNaN(block[trial])) unblockedTrials += 1
    const isIn = place !== undefined && !crossed.has(session[trial]!) && (exposed?.has(session[trial]!) ?? true)
    const sessionPlace = hasCells ? 0 : session[trial]!
    keys[trial] = isIn ? (place * table.sessions.length + sessionPlace) * plan.arms.length + arm[trial]! : OUT
  }
  const units = keys
    .filter((key) => key !== OUT)
    .sort()
    .filter((key, index, all) => key !== all[index - 1])
  const places = new Map([...units].map((key, place) => [key, place]))
  return {
    name,
    unitOfTrial: Int32Array.from(keys, (key) => places.get(key) ?? OUT),
    arm: Uint16Array.from(units, (key) => key % plan.arms.length),
    block: Uint32Array.from(units, (key) => Math.floor(key / plan.arms.length / Math.max(1, table.sessions.length))),
    ...(blocks !== undefined && { blocks: { complete: blocks.places.size, incomplete: blocks.incomplete } }),
    unblockedTrials,
    crossedSessions: crossed.size,
  }
}

/** The complete blocks in the order of their numbers, and how many lack an arm. */
function blocksOf({ trials: { arm, block } }: TrialTable, arms: number) {
  const seen = new Map<number, Set<number>>()
  for (let trial = 0; trial < arm.length; trial++) {
    const number = block[trial]!
    if (Number.isNaN(number)) continue
    const there = seen.get(number) ?? new Set()
    seen.set(number, there.add(arm[trial]!))
  }
  const complete = [...seen].filter(([, there]) => there.size === arms).map(([number]) => number)
  complete.sort((a, b) => a - b)
  return { places: new Map(complete.map((number, place) => [number, place])), incomplete: seen.size - complete.length }
}

function crossedSessions({ trials: { arm, session }, sessions }: TrialTable): Set<number> {
  const armOf = new Int32Array(sessions.length).fill(OUT)
  const crossed = new Set<number>()
  for (let trial = 0; trial < arm.length; trial++) {
    const code = session[trial]!
    if (armOf[code] === OUT) armOf[code] = arm[trial]!
    else if (armOf[code] !== arm[trial]) crossed.add(code)
  }
  return crossed
}

function exposedSessions({ trials: { session, exposedMs } }: TrialTable): Set<number> {
  const exposed = new Set<number>()
  for (let trial = 0; trial < session.length; trial++) if (!Number.isNaN(exposedMs[trial])) exposed.add(session[trial]!)
  return exposed
}

/** Codes for some of the units: a column's clusters. */
export interface Clusters {
  /** Of each unit; −1 for one that is not among them. */
  readonly of: Int32Array
  readonly count: number
}

/** What the bootstrap draws for an arm: blocks, or the arm's units where there are none. */
export function clustersOf(view: View, arm: number): Clusters {
  let count = 0
  const of = Int32Array.from(view.arm, (place, unit) =>
    place !== arm ? OUT : view.blocks === undefined ? count++ : view.block[unit]!,
  )
  return { of, count: view.blocks?.complete ?? count }
}

/** What is permuted for two arms: their units, block by block. */
export function pairOf(view: View, arm: number, baseline: number) {
  const of = new Int32Array(view.arm.length).fill(OUT)
  const labels: number[] = []
  const blockStarts: number[] = []
  let block = -1
  for (const [unit, place] of view.arm.entries()) {
    if (place !== arm && place !== baseline) continue
    if (view.block[unit] !== block) blockStarts.push(labels.length)
    block = view.block[unit]!
    of[unit] = labels.length
    labels.push(place === arm ? 1 : 0)
  }
  const clusters: Clusters = { of, count: labels.length }
  return { clusters, labels: { arm: Uint16Array.from(labels), blockStarts: [...blockStarts, labels.length] } }
}

/** The values of trials, or of interrupts where `trialOf` says to which trial each belongs, with their clusters. */
export function columnOf(
  view: View,
  values: Float64Array,
  trialOf: Float64Array | undefined,
  clusters: Clusters,
  options: { readonly spread?: number; readonly quantiles?: boolean } = {},
): SortedColumn {
  const codes = new Int32Array(values.length)
  let count = 0
  for (let index = 0; index < values.length; index++) {
    const unit = view.unitOfTrial[trialOf === undefined ? index : trialOf[index]!]!
    codes[index] = unit === OUT || Number.isNaN(values[index]) ? OUT : clusters.of[unit]!
    if (codes[index] !== OUT) count += 1
  }
  const [kept, cluster] = [new Float64Array(count), new Uint32Array(count)]
  let next = 0
  for (let index = 0; index < values.length; index++) {
    if (codes[index] === OUT) continue
    kept[next] = values[index]!
    cluster[next++] = codes[index]!
  }
  return new SortedColumn(kept, cluster, clusters.count, options)
}
