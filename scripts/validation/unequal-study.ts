import { type Looked, type Looks, looked } from './looks.ts'
import type { Row } from './study.ts'
import { measureUnequal, noUnequal, type UnequalBatch, type UnequalMeasured } from './unequal.ts'
import { shapes, type UnequalWorld, WASTE } from './worlds.ts'

export interface UnequalOptions {
  readonly experiments: number
  readonly seed: number
  /** Only worlds of these numbers of units. */
  readonly units: readonly number[]
  /** Sessions of a live experiment. */
  readonly looks: number
}

/** Experiments of one task of a thread. */
const CHUNK = 25
const EFFECT = 1.08
const names = Object.keys(shapes) as (keyof typeof shapes)[]

type World = Omit<UnequalWorld, 'seed'>
export type UnequalTask =
  | { readonly kind: 'unequal'; readonly batch: UnequalBatch }
  | { readonly kind: 'unequal looks'; readonly looks: Looks }
export type UnequalDone = UnequalMeasured | Looked

export const performUnequal = (task: UnequalTask): UnequalDone =>
  task.kind === 'unequal' ? measureUnequal(task.batch) : looked(task.looks)

/** Arms that differ in spread or shape, with and without blocks, few and many units, one and four turns, lost interrupts, many arms. */
function worldsOf(units: readonly number[]): World[] {
  const [few, many] = [Math.min(...units), Math.max(...units)]
  const sizes = units.flatMap(
    (size) =>
      (size < 20
        ? [[size, true]]
        : [
            [size, true],
            [size, false],
          ]) as [number, boolean][],
  )
  const plain = { lost: 0, arms: 2 }
  return [...names, WASTE as typeof WASTE].flatMap((world) => {
    const made: Omit<World, 'factor'>[] = [
      ...sizes.flatMap(([size, blocked]) =>
        [1, 4].flatMap((turns) =>
          // With 12 trials an arm there is no median.
          size * turns < 20 ? [] : [{ world, units: size, blocked, turns, ...plain }],
        ),
      ),
      ...(world === WASTE ? [] : [{ world, units: many, blocked: true, turns: 4, lost: 0.2, arms: 2 }]),
      { world, units: few, blocked: true, turns: 4, lost: 0, arms: 4 },
    ]
    return made.flatMap((each) => [1, EFFECT].map((factor) => ({ ...each, factor })))
  })
}

interface Group {
  readonly tasks: readonly UnequalTask[]
  readonly rows: (parts: readonly UnequalDone[]) => Row[]
}

/** Tasks, and what makes rows of their results. */
export function unequalStudy({ experiments, seed, units, looks }: UnequalOptions): {
  readonly tasks: readonly UnequalTask[]
  readonly read: (results: readonly UnequalDone[]) => Row[]
} {
  const cut = (to: number) =>
    Array.from({ length: Math.ceil(to / CHUNK) }, (_, chunk) => ({
      from: chunk * CHUNK,
      to: Math.min(to, (chunk + 1) * CHUNK),
    }))
  const groups: Group[] = [
    ...worldsOf(units).map((world) => ({
      tasks: cut(experiments).map((part) => ({ kind: 'unequal' as const, batch: { world, seed, ...part } })),
      rows: (parts: readonly UnequalDone[]) => rowsOf(world, added(parts as UnequalMeasured[])),
    })),
    ...names.flatMap((world) =>
      [1, EFFECT].map((factor) => ({
        tasks: cut(Math.ceil(experiments / 2)).map((part) => ({
          kind: 'unequal looks' as const,
          looks: { seed, ...part, sessions: looks, factor, world },
        })),
        rows: (parts: readonly UnequalDone[]) => lookRows(world, factor, looks, parts as Looked[]),
      })),
    ),
  ]
  return {
    tasks: groups.flatMap(({ tasks }) => tasks),
    read: (results) => {
      const rest = [...results]
      return groups.flatMap(({ tasks, rows }) => rows(rest.splice(0, tasks.length)))
    },
  }
}

function added(parts: readonly UnequalMeasured[]): UnequalMeasured {
  const sum = noUnequal()
  for (const part of parts) for (const name of Object.keys(sum) as (keyof UnequalMeasured)[]) sum[name] += part[name]
  return sum
}

/** 2.5 standard errors of a share that is counted in so many experiments. */
const chance = (share: number, experiments: number) => 2.5 * Math.sqrt((share * (1 - share)) / experiments)

function rowsOf(world: World, { experiments, wrong, shown, covered, disagreed }: UnequalMeasured): Row[] {
  const comparisons = world.arms - 1
  const head = {
    design: `${world.world}; ${world.turns === 1 ? '1 turn' : `${world.turns} turns`}${world.lost > 0 ? `, ${100 * world.lost} % lost` : ''}${world.arms > 2 ? `, ${world.arms} arms` : ''}, ${world.blocked ? 'blocks' : 'sessions'}`,
    units: world.units,
    factor: world.factor,
    figure: world.world === WASTE ? 'wastedTokens mean' : 'interruptToFirstTokenMs p50',
  }
  // Where nothing is different every finding is false; else only one of the wrong sign.
  const most = world.factor === 1 ? 0.05 : 0.01
  // Intervals of four arms are at the level that Holm leaves them; those of a rare value are shown where it was seen often enough.
  const level = 1 - 0.05 / comparisons
  const highest = world.world === WASTE || comparisons > 1 ? 1 : Math.min(1, level + 0.02 + chance(0.05, shown))
  return [
    {
      ...head,
      what: world.factor === 1 ? 'false verdicts' : 'wrong sign',
      experiments,
      share: wrong / experiments,
      bounds: [0, most + chance(most, experiments)],
    },
    // What is shown in few experiments is a selection.
    ...(shown < 0.5 * experiments * comparisons
      ? []
      : [
          {
            ...head,
            what: 'coverage' as const,
            experiments: shown,
            share: covered / shown,
            bounds: [0.95 - 0.02 - chance(0.05, shown), highest] as const,
          },
        ]),
    { ...head, what: 'disagreement', experiments, share: disagreed / experiments, bounds: [0, 0] },
  ]
}

function lookRows(world: string, factor: number, sessions: number, parts: readonly Looked[]): Row[] {
  const sum = (name: keyof Looked) => parts.reduce((all, part) => all + part[name], 0)
  const experiments = sum('experiments')
  return [
    {
      what: 'ever wrong',
      design: `live: ${world}`,
      units: sessions / 2,
      factor,
      figure: 'ratio of medians',
      experiments,
      share: sum('everWrong') / experiments,
      bounds: [0, 0.05 + chance(0.05, experiments)],
    },
  ]
}
