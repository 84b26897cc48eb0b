import { type Clock, msToNs, type Nanoseconds, nsToMs } from '../core/clock.ts'
import type { Experiment } from '../core/experiment.ts'
import type { Execution } from '../core/trial.ts'
import { type Cell, cellsOf, type PlannedTrial } from './schedule.ts'

/** What making the trials of an experiment needs from outside. */
export interface Conducting {
  readonly clock: Clock
  /** Aborting it ends the work; what was begun and not ended is not kept. */
  readonly signal: AbortSignal
  /** On its clock: no block but the first begins that would end later, were it as long as the longest before it. */
  readonly deadline?: Nanoseconds
  /** Makes one trial and keeps it. Resolves to what it generated, tokens; to undefined where it was stopped. */
  trial(planned: PlannedTrial, lagMs?: number): Promise<number | undefined>
  /** Called while no trial is being made. */
  cellEnded?(): void
}

type How = Exclude<NonNullable<Execution['ended']>['how'], 'failed'>

/**
 * Makes the trials of an experiment that are not `done` yet, block by block. `warmUps` go first; `afterWarmUps` then gives the
 * experiment with its interrupt times known. The budget counts from here on and ends the work with a block.
 */
export async function conduct(
  warmUps: readonly PlannedTrial[],
  afterWarmUps: () => Experiment,
  done: ReadonlySet<number>,
  conducting: Conducting,
): Promise<How> {
  const { clock, signal, deadline = Number.POSITIVE_INFINITY } = conducting
  const begun = clock.now()
  let tokens = 0
  const make: Conducting['trial'] = async (planned, lagMs) => {
    if (signal.aborted) return undefined
    const generated = await conducting.trial(planned, lagMs)
    tokens += generated ?? 0
    return generated
  }
  for (const planned of warmUps) await make(planned)
  if (signal.aborted) return 'stopped'
  const experiment = afterWarmUps()
  const { timeMs = Number.POSITIVE_INFINITY, tokens: mostTokens = Number.POSITIVE_INFINITY } = experiment.budget
  let block: number | undefined
  let [blockBegan, longest] = [clock.now(), 0]
  for (const cell of cellsOf(experiment)) {
    const missing = cell.sessions
      .map((runs) => runs.filter(({ trial }) => trial === undefined || !done.has(trial)))
      .filter((runs) => runs.length > 0)
    if (missing.length === 0) continue
    if (block !== undefined && cell.block !== block) {
      longest = Math.max(longest, clock.now() - blockBegan)
      blockBegan = clock.now()
      if (nsToMs(blockBegan - begun) >= timeMs || blockBegan + longest > deadline) return 'time'
      if (tokens >= mostTokens) return 'tokens'
    }
    if (block !== undefined) await pause(betweenCells(experiment), conducting)
    block = cell.block
    await measure({ ...cell, sessions: missing }, experiment, make, conducting)
    conducting.cellEnded?.()
    if (signal.aborted) return 'stopped'
  }
  return 'complete'
}

/** An arm's end and the next one's begin: a user thinks between two trials, whatever arm they are of. Nothing warms up again. */
const betweenCells = ({ washoutMs, load }: Experiment): number =>
  Math.max(washoutMs, load.kind === 'closed' ? load.thinkMs : 0)

/** The trials of one cell, at once as far as the load says. */
async function measure(
  { sessions }: Cell,
  { load }: Experiment,
  make: Conducting['trial'],
  conducting: Conducting,
): Promise<void> {
  if (load.kind === 'open') return arrive(sessions.flat(), make, conducting)
  const waiting = sessions.values()
  const user = async () => {
    let first = true
    // All users take from the same iterator.
    for (const runs of waiting)
      for (const planned of runs) {
        if (!first) await pause(load.thinkMs, conducting)
        first = false
        if ((await make(planned)) === undefined) return
      }
  }
  await Promise.all(Array.from({ length: load.users }, user))
}

/** Begins each trial at its instant, whatever became of the ones before: waiting for them would hide what users feel. */
async function arrive(runs: readonly PlannedTrial[], make: Conducting['trial'], conducting: Conducting): Promise<void> {
  const { clock } = conducting
  // Where some were made before, the others keep their distances.
  const origin = clock.now() - msToNs(runs[0]?.arrivesMs ?? 0)
  const under: Promise<unknown>[] = []
  const faults: unknown[] = []
  for (const planned of runs) {
    const due = origin + msToNs(planned.arrivesMs ?? 0)
    await pause(nsToMs(due - clock.now()), conducting)
    if (conducting.signal.aborted || faults.length > 0) break
    const lagMs = nsToMs(Math.max(0, clock.now() - due))
    // Told of when all have ended: until then nobody waits for them.
    under.push(make(planned, lagMs).catch((fault: unknown) => faults.push(fault)))
  }
  await Promise.all(under)
  if (faults.length > 0) throw faults[0]
}

/** Waits, unless it is stopped. */
export function pause(ms: number, { clock, signal }: Pick<Conducting, 'clock' | 'signal'>): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const end = () => {
      withdraw()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const withdraw = clock.schedule(clock.now() + msToNs(ms), end)
    signal.addEventListener('abort', end, { once: true })
  })
}
