import { createHash, randomUUID } from 'node:crypto'
import { ollamaUrl } from './backends/ollama-url.ts'
import { definePipeline } from './compose.ts'
import { msToNs, systemClock } from './core/clock.ts'
import { CaesuraError } from './core/errors.ts'
import type { ExperimentStore, Node, RunStore } from './core/ports.ts'
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
import type { Overhead } from './experiments/overhead/result.ts'
import { modelNameOf } from './model-names.ts'
import { type ModelServerProcess, startModelServerProcess } from './model-server-process.ts'
import { engineOn, httpNodes, inProcessNodes, type SiteNodes, siteOn } from './overhead-sites.ts'
import { bundledModel } from './surroundings.ts'

/** Part of the composition root: the experiment `overhead`, on real engines and servers. */
export type { Progress }

export interface OverheadSettings {
  readonly store: RunStore & ExperimentStore
  readonly quick: boolean
  readonly seed: number
  /** The longest time in all, ms; what is begun then is finished. */
  readonly budgetMs: number
  /** The most blocks. */
  readonly blocks: number
  /** A GGUF file; the bundled model by default. */
  readonly model?: string
  /** Of an Ollama that must be there. Without it one is looked for. */
  readonly url?: string
  /** `OLLAMA_HOST`: where it is looked for. */
  readonly ollamaHost?: string
  /** What Ollama calls the same model; `caesura-demo` for the bundled one, else the file's name. */
  readonly ollamaModel?: string
  readonly signal: AbortSignal
  readonly tell: (progress: Pick<Progress, 'cell'> & Partial<Progress>) => void
  /** One line, for stderr. */
  readonly notice: (line: string) => void
  /** The cells to make; all by default. */
  readonly only?: (cell: CellPlan) => boolean
  /** `startModelServerProcess` by default. */
  readonly startServer?: typeof startModelServerProcess
}

/** The nodes of one transport, and what the model is called there. */
interface Ground {
  readonly transport: Transport
  readonly nodes: SiteNodes
  readonly model: string
}

/** Why there is no Ollama. */
interface Skipped {
  readonly skipped: string
}

/** How long an Ollama that nobody asked for may take to answer, ms. */
const LOOK_MS = 300
const ANSWER_MS = 10_000

/**
 * Runs the experiment, keeps each trial as a run, and derives the result from what was kept. An aborted signal ends it with what
 * there is. Throws `CAESURA_E_NO_BACKEND`, `CAESURA_E_NO_MODEL`, `CAESURA_E_NO_SERVER`, `CAESURA_E_USAGE` before anything was measured,
 * and `CAESURA_E_CONNECTION` when the embedded server dies on the way.
 */
export async function measureOverhead(settings: OverheadSettings): Promise<Overhead> {
  const { store, seed, quick, budgetMs, blocks, signal, tell, notice } = settings
  const startedAt = new Date()
  const deadline = systemClock.now() + msToNs(budgetMs)
  const file = settings.model ?? bundledModel
  if (!/\.gguf$/i.test(file))
    throw new CaesuraError('CAESURA_E_USAGE', '--model is not a model file', {
      received: file,
      expected: 'a GGUF file',
    })
  const closers: (() => Promise<void>)[] = []
  try {
    tell({ cell: 'loading the model' })
    const local = inProcessNodes(file)
    closers.push(() => closeNodes(local))
    await local.one.backend.load?.(modelNameOf(file), signal)
    const started = await startBoth(settings.startServer ?? startModelServerProcess, file)
    closers.push(async () => void (await Promise.all(started.map((each) => each.stop()))))
    const [server, serverOfTwo] = started
    const served = httpNodes('embedded-server', server.url, serverOfTwo.url)
    closers.push(() => closeNodes(served))
    const found = await lookForOllama(settings, file)
    if (!('skipped' in found)) closers.push(() => closeNodes(found.nodes))
    const lost = AbortSignal.any(started.map((each) => each.lost))
    const running = AbortSignal.any([signal, lost])
    tell({ cell: 'calibrating' })
    const calibrating = ({ nodes, model }: Ground) => ({
      engine: engineOn([nodes.one], { model }),
      ...{ definePipeline, seed, signal: running },
    })
    const native: Ground = { transport: 'in-process', nodes: local, model: modelNameOf(file) }
    const overHttp: Ground = { transport: 'http', nodes: served, model: server.model }
    const { firstStageMs: nativeMs, ...prompt } = await calibrate(calibrating(native))
    const overHttpMs = await firstStageOn(calibrating(overHttp), prompt)
    const firstStageMs: OverheadDesign['firstStageMs'] = { 'in-process': nativeMs, http: overHttpMs }
    const ollama = await firstStageOfOllama(found, (ground) => firstStageOn(calibrating(ground), prompt))
    if ('skipped' in ollama) notice(`Without Ollama: ${ollama.skipped}.`)
    else firstStageMs.ollama = ollama.ms
    const grounds = [native, overHttp, ...('skipped' in ollama ? [] : [ollama.ground])]
    const cells = cellsFor(
      grounds.map(({ transport }) => transport),
      quick,
    ).filter(settings.only ?? (() => true))
    const design: OverheadDesign = {
      kind: 'overhead/1',
      ...{ quick, seed, ...prompt, blocks, budgetMs, cells, firstStageMs },
      model: modelNameOf(file),
      shortTokens: SHORT_TOKENS,
      ...(quick ? {} : { longPrefillMs: await longPrefillOn(calibrating(native), prompt) }),
      replicationMs: replicationTimes([nativeMs, overHttpMs]),
      servers: await Promise.all(grounds.map(({ transport, nodes }) => described(transport, nodes.one))),
      skipped: 'skipped' in ollama ? [{ transport: 'ollama', reason: ollama.skipped }] : [],
    }
    const execution: Execution = {
      experiment: EXPERIMENT,
      execution: randomUUID(),
      digest: createHash('sha256').update(JSON.stringify(design)).digest('hex'),
      design,
      startedAt: startedAt.toISOString(),
    }
    store.writeExecution(execution)
    const messages = [
      { role: 'system' as const, content: prompt.system },
      { role: 'user' as const, content: prompt.prompt },
    ]
    const sites: Partial<Record<Transport, Site>> = Object.fromEntries(
      grounds.map(({ transport, nodes, model }) => [transport, siteOn(nodes, { model, messages, store })]),
    )
    const end = (how: NonNullable<Execution['ended']>['how']) => {
      const ended: Execution = { ...execution, ended: { at: new Date().toISOString(), how } }
      store.writeExecution(ended)
      return ended
    }
    try {
      const how = await conduct({
        ...{ design, execution: execution.execution, sites, definePipeline, deadline, tell },
        signal: running,
      })
      lost.throwIfAborted()
      return overheadOf(end(how), recordsOf(store, execution))
    } catch (error) {
      if (signal.aborted && !lost.aborted) return overheadOf(end('stopped'), recordsOf(store, execution))
      end('failed')
      throw await whatFailed(error, lost, execution)
    }
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

/** A server with one slot and one with two. Where one does not start, none is left behind. */
async function startBoth(
  start: typeof startModelServerProcess,
  model: string,
): Promise<readonly [ModelServerProcess, ModelServerProcess]> {
  const both = [start({ model, slots: 1 }), start({ model, slots: 2 })] as const
  try {
    return await Promise.all(both)
  } catch (error) {
    for (const each of both) await each.then((server) => server.stop()).catch(() => {})
    throw error
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

const closeNodes = async ({ one, two }: SiteNodes): Promise<void> => {
  await one.backend.close()
  await two?.backend.close()
}

async function described(transport: Transport, { backend }: Node): Promise<OverheadDesign['servers'][number]> {
  const { version } = await backend.server(AbortSignal.timeout(ANSWER_MS))
  return { name: serverName(transport), ...(version !== undefined && { version }) }
}

async function lookForOllama(
  { url, ollamaHost, ollamaModel }: OverheadSettings,
  file: string,
): Promise<Ground | Skipped> {
  const address = ollamaUrl(url ?? ollamaHost)
  const names =
    ollamaModel !== undefined ? [ollamaModel] : file === bundledModel ? ['caesura-demo'] : [modelNameOf(file)]
  const nodes = httpNodes('ollama', address)
  try {
    const models = await nodes.one.backend.models(AbortSignal.timeout(url === undefined ? LOOK_MS : ANSWER_MS))
    const found = models.find(({ name }) => names.some((wanted) => name === wanted || name === `${wanted}:latest`))
    if (found !== undefined) return { transport: 'ollama', nodes, model: found.name }
    throw new CaesuraError('CAESURA_E_NO_MODEL', `Ollama at ${address} has no model ${names[0]}`, {
      received: names[0]!,
      hint: 'Give it the same file: ollama create NAME -f Modelfile, and name it with --ollama-model.',
    })
  } catch (error) {
    await closeNodes(nodes)
    if (url !== undefined || !(error instanceof CaesuraError)) throw error
    return { skipped: error.code === 'CAESURA_E_NO_MODEL' ? error.message : `no Ollama answers at ${address}` }
  }
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
