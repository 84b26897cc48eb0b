import { type Clock, msToNs, systemClock } from '../core/clock.ts'
import { CaesuraError } from '../core/errors.ts'
import { present } from '../core/present.ts'
import type { Execution } from '../core/trial.ts'
import { digestOf } from '../lab/design/experiment-design.ts'
import { calibrate, firstStageOn, longPrefillOn, replicationTimes, SHORT_TOKENS } from '../lab/overhead/calibrate.ts'
import { cellsFor } from '../lab/overhead/cells.ts'
import { type CellPlan, type OverheadDesign, serverName } from '../lab/overhead/design.ts'
import { EXPERIMENT, experimentOf, limitOf } from '../lab/overhead/experiment.ts'
import { overheadOf } from '../lab/overhead/overhead-of.ts'
import type { Overhead } from '../lab/overhead/result.ts'
import { definePipelineWith } from '../pipelines/pipeline-schema.ts'
import { catalogue } from './compose.ts'
import { type ExperimentRecords, type HowFar, isoNow, newExecution, sit } from './experimenting.ts'
import { type Ground, type Grounds, type GroundWishes, openGrounds, type Skipped } from './overhead-grounds.ts'
import { engineOn, readyOn } from './overhead-sites.ts'

/** Part of the composition root: the experiment `overhead`, a design of `ab`, on real engines and servers. */

export interface OverheadSettings extends GroundWishes {
  readonly store: ExperimentRecords
  readonly quick: boolean
  readonly seed: number
  /** From the start, ms: no block but the first begins that would end later, and a tenth later all ends. */
  readonly budgetMs: number
  /** The most blocks. */
  readonly blocks: number
  /** What goes on before there is a trial, in words; then each trial that was made. */
  readonly tell: (progress: string | HowFar) => void
  /** One line, for stderr. */
  readonly notice: (line: string) => void
  /** The cells to make; all by default. */
  readonly only?: (cell: CellPlan) => boolean
  /** Real time by default. */
  readonly clock?: Clock
  /** `openGrounds` by default. */
  readonly open?: (wishes: GroundWishes) => Promise<Grounds>
}

const ANSWER_MS = 10_000
/** What is begun may end so much later than the budget, as a share of it. */
const OVERTIME = 0.1

/**
 * Runs the experiment, keeps each trial as a run, and derives the result from what was kept. An aborted signal ends it with what
 * there is. Throws `CAESURA_E_NO_BACKEND`, `CAESURA_E_NO_MODEL`, `CAESURA_E_NO_SERVER`, `CAESURA_E_USAGE` before anything was measured,
 * and `CAESURA_E_CONNECTION` when a server of our own dies on the way.
 */
export async function measureOverhead(settings: OverheadSettings): Promise<Overhead> {
  const { clock = systemClock, store, budgetMs, tell, open = openGrounds } = settings
  const startedAt = isoNow(clock)
  const deadline = clock.now() + msToNs(budgetMs)
  const late = new AbortController()
  const onTime = clock.schedule(deadline + msToNs(OVERTIME * budgetMs), () => late.abort())
  let opened: Grounds | undefined
  try {
    tell('loading the model')
    opened = await open(settings)
    const { lost } = opened
    tell('calibrating')
    const signal = AbortSignal.any([settings.signal, lost])
    const { design, grounds } = await planOn(opened, { ...settings, signal, clock })
    const experiment = experimentOf(design, define)
    const digest = digestOf(experiment, design.servers)
    const begun = newExecution({ experiment: EXPERIMENT, digest, design, startedAt })
    const ended = await sit({
      ...{
        begun,
        experiment,
        clock,
        deadline,
        store,
        tell,
        signal: settings.signal,
        timeUp: late.signal,
        broken: lost,
      },
      readyOn: (kept) => readyOn(grounds, { design, limitMs: limitOf(design), store: kept, clock }),
    }).catch(async (error: unknown) => {
      throw await whatFailed(error, lost, begun)
    })
    return overheadOf(ended, recordsOf(store, ended))
  } finally {
    onTime()
    await opened?.close()
  }
}

/** The calibration, and the design that follows from it. Throws what failed. */
async function planOn(
  { native, overHttp, ollama: found }: Grounds,
  { seed, quick, blocks, budgetMs, only, notice, url, signal, clock }: OverheadSettings & { readonly clock: Clock },
): Promise<{ readonly design: OverheadDesign; readonly grounds: readonly Ground[] }> {
  const on = ({ nodes, model }: Ground) => ({
    ...{ engine: engineOn([nodes.one], { model, clock }), define, seed, signal },
  })
  const { firstStageMs: nativeMs, ...prompt } = await calibrate(on(native))
  const overHttpMs = await firstStageOn(on(overHttp), prompt)
  const firstStage = (ground: Ground) => firstStageOn(on(ground), prompt)
  const ollama = await (url === undefined ? unlessItFails(found, firstStage) : timed(found, firstStage))
  const isThere = !('skipped' in ollama)
  if (!isThere) notice(`Without Ollama: ${ollama.skipped}.`)
  const grounds = [native, overHttp, ...(isThere ? [ollama.ground] : [])]
  const subject = isThere && ollama.ground.isNamed ? 'ollama' : 'http'
  const cells = cellsFor(
    grounds.map(({ transport }) => transport),
    quick,
    subject,
  )
  const subjectMs = isThere && subject === 'ollama' ? ollama.ms : overHttpMs
  const design: OverheadDesign = {
    kind: 'overhead/1',
    ...{ quick, seed, ...prompt, blocks, budgetMs },
    cells: only === undefined ? cells : cells.filter(only),
    firstStageMs: { 'in-process': nativeMs, http: overHttpMs, ...(isThere && { ollama: ollama.ms }) },
    model: native.model,
    shortTokens: SHORT_TOKENS,
    ...(!quick && { longPrefillMs: await longPrefillOn(on(native), prompt) }),
    replicationMs: replicationTimes([nativeMs, subjectMs]),
    ...(subject === 'ollama' && { answersFor: subject }),
    servers: await Promise.all(grounds.map(described)),
    skipped: isThere ? [] : [{ transport: 'ollama', reason: ollama.skipped }],
  }
  return { design, grounds }
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
export function overheadFrom(store: ExperimentRecords, which: string): Overhead {
  const execution = store.readExecution(EXPERIMENT, which === 'last' ? undefined : which)
  if (execution !== undefined) return overheadOf(execution, recordsOf(store, execution))
  const known = store.experiments().flatMap((each) => (each.experiment === EXPERIMENT ? (each.execution ?? []) : []))
  throw new CaesuraError('CAESURA_E_EXPERIMENT_UNKNOWN', 'no execution of overhead is recorded under this id', {
    received: which,
    expected: known.length === 0 ? 'an execution; none is recorded yet' : `last, ${known.slice(0, 5).join(', ')}`,
  })
}

const recordsOf = (store: ExperimentRecords, { execution }: Execution) =>
  [...store.trials({ experiment: EXPERIMENT, execution })].map(({ runId }) => store.read(runId))

async function described({ transport, nodes, isNamed }: Ground): Promise<OverheadDesign['servers'][number]> {
  const { backend } = nodes.one
  const { version } = await backend.server(AbortSignal.timeout(ANSWER_MS))
  return {
    name: serverName(transport),
    ...present({ version }),
    ...(isNamed && backend.address !== undefined && { address: backend.address }),
  }
}

type Timed = { readonly ground: Ground; readonly ms: number } | Skipped

const timed = async (found: Ground | Skipped, measure: (ground: Ground) => Promise<number>): Promise<Timed> =>
  'skipped' in found ? found : { ground: found, ms: await measure(found) }

/** An Ollama that nobody asked for and that cannot make the call of the experiment is no reason to measure nothing. */
const unlessItFails = (found: Ground | Skipped, measure: (ground: Ground) => Promise<number>): Promise<Timed> =>
  timed(found, measure).catch((error: unknown) => {
    if (!(error instanceof CaesuraError)) throw error
    return { skipped: `its calls fail: ${error.message}` }
  })

const define = (value: unknown) => definePipelineWith(catalogue, value)
