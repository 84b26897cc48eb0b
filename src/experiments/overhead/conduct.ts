import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { msToNs, nsToMs, systemClock } from '../../core/clock.ts'
import type { Engine } from '../../core/engine.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import type { Execution } from '../../core/trial.ts'
import type { CellPlan, OverheadDesign, Transport } from './design.ts'
import { limitOf, TrialPipelines } from './pipelines.ts'
import { runTrial } from './trial-run.ts'

export const EXPERIMENT = 'overhead'

/** Where the trials of one transport are made. */
export interface Site {
  /**
   * Brings it into the state in which a trial of the cell begins: idle, the shared prompt known or the model unloaded, the
   * connection as the cell wants it. `leave` is called when the trial is over. Throws.
   */
  ready(cell: CellPlan, signal: AbortSignal): Promise<{ readonly engine: Engine; leave(): Promise<void> }>
}

/** What goes on, for people. */
export interface Progress {
  readonly cell: string
  /** From 1; absent in the warm-up. */
  readonly block?: number
  readonly leftMs: number
}

export interface Conducting {
  readonly design: OverheadDesign
  /** Its id. */
  readonly execution: string
  readonly sites: Readonly<Partial<Record<Transport, Site>>>
  readonly definePipeline: (value: unknown) => Pipeline
  /** When the budget ends, on the system clock. */
  readonly deadline: number
  readonly signal: AbortSignal
  readonly tell: (progress: Progress) => void
}

/** Where the drawn interrupts end, as a share of the first stage. */
const UNIFORM_UP_TO = 1.2
/** A block may end so much later than the budget, as a share of it; then it stays as far as it came. */
const OVERTIME = 0.1

/**
 * Makes the trials: each cell once and thrown away, then block after block, each in an order of its own, until all blocks are made,
 * the budget has no room for another, or the signal is aborted. Returns how it ended. Throws what `Site.ready` throws.
 */
export async function conduct(work: Conducting): Promise<NonNullable<Execution['ended']>['how']> {
  const { design, signal, deadline, tell } = work
  const random = xoroshiro128plus(design.seed)
  const pipelines = new TrialPipelines(work.definePipeline, design, limitOf(design))
  let trial = 0

  async function make(cell: CellPlan, share: number, block?: number): Promise<void> {
    const site = work.sites[cell.transport]
    if (site === undefined) throw new Error(`no site for ${cell.transport}`)
    const place = {
      ...{ name: EXPERIMENT, execution: work.execution, trial: trial++ },
      ...(block === undefined ? { session: 'warm-up', warmUp: true as const } : { session: `block-${block}`, block }),
    }
    const nonce = () => uniformInt(random, 0, 2 ** 31 - 1).toString(36)
    const firstStageMs = design.firstStageMs[cell.transport] ?? 0
    const plan = {
      ...{ cell, place },
      nonces: [nonce(), nonce()] as const,
      uniformMs: share * UNIFORM_UP_TO * firstStageMs,
    }
    const { engine, leave } = await site.ready(cell, signal)
    try {
      await runTrial(plan, engine, pipelines, design, signal)
    } finally {
      await leave()
    }
  }

  for (const cell of design.cells) {
    if (signal.aborted) return 'stopped'
    tell({ cell: `warm-up, ${cell.id}`, leftMs: nsToMs(deadline - systemClock.now()) })
    await make(cell, 0.5)
  }
  let longest = 0
  for (let block = 0; block < design.blocks; block++) {
    const begun = systemClock.now()
    if (block > 0 && begun + longest > deadline) return 'time'
    const trials = design.cells.flatMap((cell) =>
      // One draw from each part of the range: blocks are alike, and the slope has points everywhere.
      Array.from({ length: cell.repeat }, (_, part) => ({
        ...{ cell, group: `${groupOf(cell)} ${part}` },
        share: (part + uniformFloat64(random)) / cell.repeat,
      })),
    )
    const groups = [...Map.groupBy(trials, ({ group }) => group).values()]
    for (const { cell, share } of shuffled(groups, random).flatMap((group) => shuffled(group, random))) {
      if (signal.aborted) return 'stopped'
      const now = systemClock.now()
      if (now > deadline + OVERTIME * msToNs(design.budgetMs)) return 'time'
      const planned = begun + (design.blocks - block) * longest
      tell({
        cell: cell.id,
        block: block + 1,
        leftMs: nsToMs((longest > 0 ? Math.min(deadline, planned) : deadline) - now),
      })
      await make(cell, share, block)
    }
    longest = Math.max(longest, systemClock.now() - begun)
  }
  return signal.aborted ? 'stopped' : 'complete'
}

/** Cells that are compared with each other follow each other, in an order drawn anew: so a busy moment of the machine meets both. */
const groupOf = ({ interrupt, answer }: CellPlan): string =>
  interrupt === 'at 500 ms' ? 'at 100 ms' : interrupt === 'none' ? answer : interrupt

function shuffled<T>(items: readonly T[], random: ReturnType<typeof xoroshiro128plus>): T[] {
  const order = [...items]
  for (let last = order.length - 1; last > 0; last--) {
    const other = uniformInt(random, 0, last)
    const kept = order[last]!
    order[last] = order[other]!
    order[other] = kept
  }
  return order
}
