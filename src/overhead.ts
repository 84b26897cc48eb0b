import { createHash, randomUUID } from 'node:crypto'
import { catalogue } from './compose.ts'
import { msToNs, type Nanoseconds, systemClock } from './core/clock.ts'
import { CaesuraError } from './core/errors.ts'
import { definePipelineWith } from './core/pipeline-schema.ts'
import type { ExperimentStore, RunStore } from './core/ports.ts'
import type { Execution } from './core/trial.ts'
import {
  calibrate,
  firstStageOn,
  longPrefillOn,
  replicationTimes,
  SHORT_TOKENS,
} from './experiments/overhead/calibrate.ts'
import { cellsFor } from './experiments/overhead/cells.ts'
import { conduct, EXPERIMENT, type Progress, type Site } from './experiments/overhead/conduct.ts'
import { type CellPlan, type OverheadDesign, serverName, type Transport } from './experiments/overhead/design.ts'
import { overheadOf } from './experiments/overhead/overhead-of.ts'
import { limitOf } from './experiments/overhead/pipelines.ts'
import type { Overhead } from './experiments/overhead/result.ts'
import { type Ground, type Grounds, type GroundWishes, openGrounds, type Skipped } from './overhead-grounds.ts'
import { engineOn, siteOn } from './overhead-sites.ts'

/** Part of the composition root: the experiment `overhead`, on real engines and servers. */
export type { Progress }

export interface OverheadSettings extends GroundWishes {
  readonly store: RunStore & ExperimentStore
  readonly quick: boolean
  readonly seed: number
  /** The longest time in all, ms; no block begins that would end later. */
  readonly budgetMs: number
  /** The most blocks. */
  readonly blocks: number
  readonly tell: (progress: Pick<Progress, 'cell'> & Partial<Progress>) => void
  /** One line, for stderr. */
  readonly notice: (line: string) => void
  /** The cells to make; all by default. */
  readonly only?: (cell: CellPlan) => boolean
}

const ANSWER_MS = 10_000

/**
 * Runs the experiment, keeps each trial as a run, and derives the result from what was kept. An aborted signal ends it with what
 * there is. Throws `CAESURA_E_NO_BACKEND`, `CAESURA_E_NO_MODEL`, `CAESURA_E_NO_SERVER`, `CAESURA_E_USAGE` before anything was measured,
 * and `CAESURA_E_CONNECTION` when a server of our own dies on the way.
 */
export async function measureOverhead(settings: OverheadSettings): Promise<Overhead> {
  const startedAt = new Date()
  const deadline = systemClock.now() + msToNs(settings.budgetMs)
  settings.tell({ cell: 'loading the model' })
  const opened = await openGrounds(settings)
  try {
    settings.tell({ cell: 'calibrating' })
    const signal = AbortSignal.any([settings.signal, opened.lost])
    const { design, grounds } = await planOn(opened, settings, signal)
    const execution: Execution = {
      experiment: EXPERIMENT,
      execution: randomUUID(),
      digest: createHash('sha256').update(JSON.stringify(design)).digest('hex'),
      design,
      startedAt: startedAt.toISOString(),
    }
    return await carryOut({ execution, design, grounds, lost: opened.lost, signal, deadline }, settings)
  } finally {
    await opened.close()
  }
}

/** The calibration, and the design that follows from it. Throws what failed. */
async function planOn(
  { native, overHttp, ollama: found }: Grounds,
  { seed, quick, blocks, budgetMs, only, notice }: OverheadSettings,
  signal: AbortSignal,
): Promise<{ readonly design: OverheadDesign; readonly grounds: readonly Ground[] }> {
  const on = ({ nodes, model }: Ground) => ({
    engine: engineOn([nodes.one], { model }),
    ...{ definePipeline: definedHere, seed, signal },
  })
  const { firstStageMs: nativeMs, ...prompt } = await calibrate(on(native))
  const overHttpMs = await firstStageOn(on(overHttp), prompt)
  const ollama = await firstStageOfOllama(found, (ground) => firstStageOn(on(ground), prompt))
  if ('skipped' in ollama) notice(`Without Ollama: ${ollama.skipped}.`)
  const grounds = [native, overHttp, ...('skipped' in ollama ? [] : [ollama.ground])]
  const cells = cellsFor(
    grounds.map(({ transport }) => transport),
    quick,
  )
  const design: OverheadDesign = {
    kind: 'overhead/1',
    ...{ quick, seed, ...prompt, blocks, budgetMs },
    cells: only === undefined ? cells : cells.filter(only),
    firstStageMs: { 'in-process': nativeMs, http: overHttpMs, ...(!('skipped' in ollama) && { ollama: ollama.ms }) },
    model: native.model,
    shortTokens: SHORT_TOKENS,
    ...(!quick && { longPrefillMs: await longPrefillOn(on(native), prompt) }),
    replicationMs: replicationTimes([nativeMs, overHttpMs]),
    servers: await Promise.all(grounds.map(described)),
    skipped: 'skipped' in ollama ? [{ transport: 'ollama', reason: ollama.skipped }] : [],
  }
  return { design, grounds }
}

interface Carrying {
  readonly execution: Execution
  readonly design: OverheadDesign
  readonly grounds: readonly Ground[]
  readonly lost: AbortSignal
  /** Of the user, or `lost`. */
  readonly signal: AbortSignal
  readonly deadline: Nanoseconds
}

/** Makes the trials, and derives the result. */
async function carryOut(work: Carrying, { store, tell, signal: asked }: OverheadSettings): Promise<Overhead> {
  const { execution, design, lost } = work
  const messages = [
    { role: 'system' as const, content: design.system },
    { role: 'user' as const, content: design.prompt },
  ]
  const sites: Partial<Record<Transport, Site>> = Object.fromEntries(
    work.grounds.map(({ transport, nodes, model }) => [
      transport,
      siteOn(nodes, { model, messages, store, limitMs: limitOf(design) }),
    ]),
  )
  const end = (how: NonNullable<Execution['ended']>['how']) => {
    const ended: Execution = { ...execution, ended: { at: new Date().toISOString(), how } }
    store.writeExecution(ended)
    return ended
  }
  store.writeExecution(execution)
  try {
    const { signal, deadline } = work
    const how = await conduct({
      ...{ design, sites, definePipeline: definedHere, deadline, signal, tell },
      execution: execution.execution,
    })
    lost.throwIfAborted()
    return overheadOf(end(how), recordsOf(store, execution))
  } catch (error) {
    if (asked.aborted && !lost.aborted) return overheadOf(end('stopped'), recordsOf(store, execution))
    end('failed')
    throw await whatFailed(error, lost, execution)
  }
}

/** A call that fails because its server died is told of a little before the death itself. */
const DEATH_MS = 500

async function whatFailed(error: unknown, lost: AbortSignal, { execution }: Execution): Promise<unknown> {
  const aborted = new Promise((resolve) => lost.addEventListener('abort', resolve, { once: true }))
  const late = new Promise((resolve) => setTimeout(resolve, DEATH_MS).unref())
  if (!lost.aborted) await Promise.race([aborted, late])
  const cause = lost.aborted ? lost.reason : error
  if (!(cause instanceof CaesuraError)) return cause
  return new CaesuraError(cause.code, cause.message, {
    ...cause.place,
    hint: `What was measured is kept: caesura overhead --from ${execution}`,
    cause,
  })
}

/**
 * The result of an execution that was kept: `last`, or its id. Throws `CAESURA_E_EXPERIMENT_UNKNOWN`, and `CAESURA_E_EXPERIMENT` for an
 * execution of another version.
 */
export function overheadFrom(store: RunStore & ExperimentStore, which: string): Overhead {
  const execution = store.readExecution(EXPERIMENT, which === 'last' ? undefined : which)
  if (execution !== undefined) return overheadOf(execution, recordsOf(store, execution))
  const known = store.experiments().flatMap((each) => (each.experiment === EXPERIMENT ? (each.execution ?? []) : []))
  throw new CaesuraError('CAESURA_E_EXPERIMENT_UNKNOWN', 'no execution of overhead is recorded under this id', {
    received: which,
    expected: known.length === 0 ? 'an execution; none is recorded yet' : `last, ${known.slice(0, 5).join(', ')}`,
  })
}

const recordsOf = (store: RunStore & ExperimentStore, { execution }: Execution) =>
  [...store.trials({ experiment: EXPERIMENT, execution })].map(({ runId }) => store.read(runId))

async function described({ transport, nodes }: Ground): Promise<OverheadDesign['servers'][number]> {
  const { version } = await nodes.one.backend.server(AbortSignal.timeout(ANSWER_MS))
  return { name: serverName(transport), ...(version !== undefined && { version }) }
}

/** An Ollama that cannot make the call of the experiment is no reason to measure nothing. */
async function firstStageOfOllama(
  found: Ground | Skipped,
  measure: (ground: Ground) => Promise<number>,
): Promise<{ readonly ground: Ground; readonly ms: number } | Skipped> {
  if ('skipped' in found) return found
  try {
    return { ground: found, ms: await measure(found) }
  } catch (error) {
    if (!(error instanceof CaesuraError)) throw error
    return { skipped: `its calls fail: ${error.message}` }
  }
}

const definedHere = (value: unknown) => definePipelineWith(catalogue, value)
