import { CaesuraError } from '../core/errors.ts'
import { bundledModel, modelNameOf } from '../nodes/backends/model-file.ts'
import { namesHost, ollamaAddress } from '../nodes/backends/ollama-address.ts'
import { type ModelServerProcess, startModelServerProcess } from './model-server-process.ts'
import { httpNodes, inProcessNodes, type Site, type SiteNodes } from './overhead-sites.ts'
import { listedBy } from './wishes.ts'

/** A place where trials are made. */
export interface Ground extends Site {
  /** Somebody named it: the answer is for this one. */
  readonly isNamed?: boolean
}

/** Why there is no Ollama. */
export interface Skipped {
  readonly skipped: string
}

export interface GroundWishes {
  /** A GGUF file; the bundled model by default. */
  readonly model?: string
  /** Of an Ollama that must be there. Without it one is looked for. */
  readonly url?: string
  /** What `OLLAMA_HOST` holds: an Ollama that must be there, but may lack the model. */
  readonly ollamaHost?: string
  /** Where one is looked for that nobody named; http://127.0.0.1:11434 by default. */
  readonly usualUrl?: string
  /** What Ollama calls the same model, which must be there then; `caesura-demo` for the bundled one, else the file's name. */
  readonly ollamaModel?: string
  /** `startModelServerProcess` by default. */
  readonly startServer?: typeof startModelServerProcess
  readonly signal: AbortSignal
}

/** The same model on each transport. */
export interface Grounds {
  readonly native: Ground
  readonly overHttp: Ground
  readonly ollama: Ground | Skipped
  /** Aborted, with a `CaesuraError` as reason, when a server of our own dies. */
  readonly lost: AbortSignal
  /** Ends the servers and frees the models. Never rejects. */
  close(): Promise<void>
}

/** How long an Ollama that nobody asked for may take to answer, ms. */
const LOOK_MS = 300
const ANSWER_MS = 10_000

/**
 * Loads the model in this process, starts the servers of our own and looks for an Ollama. Throws, with nothing left behind:
 * `CAESURA_E_USAGE`, `CAESURA_E_NO_BACKEND`, `CAESURA_E_NO_MODEL`, `CAESURA_E_NO_SERVER`.
 */
export async function openGrounds(wishes: GroundWishes): Promise<Grounds> {
  const { model: file = bundledModel, startServer = startModelServerProcess, signal } = wishes
  if (!/\.gguf$/i.test(file))
    throw new CaesuraError('CAESURA_E_USAGE', '--model is not a model file', {
      received: file,
      expected: 'a GGUF file',
    })
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const each of closers.splice(0).reverse()) await each().catch(() => {})
  }
  try {
    // Before minutes are spent: what was named must be there.
    const ollama = await lookForOllama(wishes, file)
    if (!('skipped' in ollama)) closers.push(() => closeNodes(ollama.nodes))
    const native: Ground = { transport: 'in-process', nodes: inProcessNodes(file), model: modelNameOf(file) }
    closers.push(() => closeNodes(native.nodes))
    await native.nodes.one.backend.load?.(native.model, signal)
    const servers = await startBoth(startServer, file)
    closers.push(() => Promise.all(servers.map((server) => server.stop())))
    const [{ url, model }, { url: urlOfTwo }] = servers
    const overHttp: Ground = { transport: 'http', nodes: httpNodes('embedded-server', url, urlOfTwo), model }
    closers.push(() => closeNodes(overHttp.nodes))
    return { native, overHttp, ollama, lost: AbortSignal.any(servers.map(({ lost }) => lost)), close }
  } catch (error) {
    await close()
    throw error
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

const closeNodes = async ({ one, two }: SiteNodes): Promise<void> => {
  await one.backend.close()
  await two?.backend.close()
}

/** An Ollama, or a model of it, that was named must be there. */
async function lookForOllama(wishes: GroundWishes, file: string): Promise<Ground | Skipped> {
  const { url, ollamaModel } = wishes
  const isNamed = url !== undefined || namesHost(wishes)
  const address = ollamaAddress(wishes)
  const names =
    ollamaModel !== undefined ? [ollamaModel] : file === bundledModel ? ['caesura-demo'] : [modelNameOf(file)]
  const nodes = httpNodes('ollama', address)
  try {
    const models = await listedBy(nodes.one, isNamed ? ANSWER_MS : LOOK_MS)
    const found = models.find(({ name }) => names.some((wanted) => name === wanted || name === `${wanted}:latest`))
    if (found !== undefined) return { transport: 'ollama', nodes, model: found.name, isNamed }
    throw new CaesuraError('CAESURA_E_NO_MODEL', `Ollama at ${address} has no model ${names[0]}`, {
      received: names[0]!,
      hint: 'Give it the same file: ollama create NAME -f Modelfile, and name it with --ollama-model.',
    })
  } catch (error) {
    await closeNodes(nodes)
    if (!(error instanceof CaesuraError) || ollamaModel !== undefined) throw error
    const isThere = error.code === 'CAESURA_E_NO_MODEL'
    // `OLLAMA_HOST` is set for other uses too: its server need not have this model.
    if (isThere ? url !== undefined : isNamed) throw error
    return { skipped: isThere ? error.message : `no Ollama answers at ${address}` }
  }
}
