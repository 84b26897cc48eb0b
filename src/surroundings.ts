import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ollamaUrl } from './backends/ollama-url.ts'
import type { Config, NodeConfig } from './core/config-schema.ts'
import { CaesuraError } from './core/errors.ts'
import type { ModelInfo, Node } from './core/ports.ts'
import { type Aliases, builtInAliases, candidates, modelNameOf, nameOnServer, resolveOn } from './model-names.ts'
import { llamaCpp, ollama, scripted } from './nodes.ts'

/** The package's folder is one up from `src` and from `dist`. */
const bundled = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url))

/** The small model that comes with the package. */
export const bundledModel = bundled('models/caesura-demo-3m.q8_0.gguf')

/** How long an Ollama that nobody asked for may take to answer, ms. */
const LOOK_MS = 300
/** How long a server that was asked for may take to answer, ms. */
const ANSWER_MS = 5_000

/** What decides where a pipeline runs. */
export interface Wishes {
  /** `auto` without a configuration; with one, its nodes are used unless this is given. */
  readonly backend?: 'embedded' | 'ollama' | 'auto'
  /** Takes the place of every stage's model. With `embedded` also a GGUF file. */
  readonly model?: string
  /** Of an Ollama. Asks for one unless `backend` says otherwise. */
  readonly url?: string
  /** Only this node of the configuration. */
  readonly node?: string
  /** What `OLLAMA_HOST` holds. */
  readonly ollamaHost?: string
  /** A checked configuration, and the folder that its paths start from. */
  readonly config?: Config
  readonly folder?: string
}

/** Where a pipeline runs: what `createEngine` needs of it. */
export interface Surroundings {
  readonly nodes: readonly Node[]
  /** The `model` of each stage → its name on the nodes. */
  readonly models: Readonly<Record<string, string>>
  /** One line each, for stderr: what was chosen and was not asked for. */
  readonly notices: readonly string[]
}

/**
 * Decides where the stages run that ask for the models `wanted`. Throws, with nothing started: `CAESURA_E_NO_SERVER`,
 * `CAESURA_E_NO_MODEL`, `CAESURA_E_NO_BACKEND` (exit 3); `CAESURA_E_ALIAS`, `CAESURA_E_USAGE`, `CAESURA_E_CONFIG` (2).
 */
export function chooseSurroundings(wanted: readonly string[], wishes: Wishes): Promise<Surroundings> {
  const { model } = wishes
  const backend = wishes.backend ?? (wishes.url === undefined ? undefined : 'ollama')
  if (wishes.url !== undefined && backend === 'embedded')
    throw new CaesuraError(
      'CAESURA_E_USAGE',
      '--url is of no use with --backend embedded: that model runs in this process',
    )
  const configured = backend === undefined && (wishes.config?.nodes.length ?? 0) > 0
  if (wishes.node !== undefined && !configured)
    throw new CaesuraError('CAESURA_E_USAGE', '--node chooses a node of the configuration, and none is in use', {
      received: wishes.node,
      hint: 'Name the nodes in caesura.config.yaml, or leave --node out.',
    })
  if (configured) return onConfiguredNodes(wanted, wishes)
  if (backend === 'embedded') return embedded(wanted, model)
  if (backend === 'ollama') return onOllama(wanted, wishes)
  return automatic(wanted, wishes)
}

async function embedded(wanted: readonly string[], model: string | undefined): Promise<Surroundings> {
  const file = model !== undefined && /\.gguf$/i.test(model) ? model : bundledModel
  const name = modelNameOf(file)
  const node = llamaCpp({ name: 'embedded', model: file, names: [name], models: [name] })
  try {
    if ((await node.backend.models(AbortSignal.timeout(ANSWER_MS))).length === 0)
      throw new CaesuraError('CAESURA_E_NO_MODEL', `the model file ${file} is not there`, {
        file,
        hint: file === bundledModel ? 'Install the package again.' : 'Give the path of a GGUF file.',
      })
  } catch (error) {
    await node.backend.close()
    throw error
  }
  return { nodes: [node], models: Object.fromEntries(wanted.map((stage) => [stage, name])), notices: [] }
}

/** The address of the Ollama to use, and how the user may have said so. */
const addressOf = ({ url, ollamaHost }: Wishes): string => {
  try {
    return ollamaUrl(url ?? ollamaHost)
  } catch (cause) {
    if (!(cause instanceof CaesuraError)) throw cause
    const from = url === undefined ? 'OLLAMA_HOST' : '--url'
    throw new CaesuraError('CAESURA_E_USAGE', `${from} is ${cause.message}`, cause.place)
  }
}

const aliasesOf = ({ config }: Wishes): Aliases => ({
  ...builtInAliases,
  ...Object.fromEntries(Object.entries(config?.models ?? {}).map(([alias, name]) => [alias, [name]])),
})

/** `--model` takes every stage's place. */
const asWished = (wanted: readonly string[], { model }: Wishes) => (model === undefined ? wanted : [model])
const underWish = (wanted: readonly string[], { model }: Wishes, found: Record<string, string>) =>
  model === undefined ? found : Object.fromEntries(wanted.map((stage) => [stage, found[model] ?? model]))

async function onOllama(wanted: readonly string[], wishes: Wishes): Promise<Surroundings> {
  const url = addressOf(wishes)
  const node = ollama({ name: 'ollama', url })
  try {
    const models = await listedBy(node, ANSWER_MS)
    const { found, missing } = resolveOn(models, asWished(wanted, wishes), aliasesOf(wishes))
    if (missing[0] !== undefined) throw noModel(missing, candidates(missing[0], aliasesOf(wishes)), node, models)
    return { nodes: [node], models: underWish(wanted, wishes, found), notices: [] }
  } catch (error) {
    await node.backend.close()
    throw error
  }
}

/** The models of a node. Throws `CAESURA_E_NO_SERVER` with the address, also when nothing comes in time. */
async function listedBy(node: Node, withinMs: number): Promise<readonly ModelInfo[]> {
  const signal = AbortSignal.timeout(withinMs)
  try {
    await node.backend.server(signal)
    return await node.backend.models(AbortSignal.timeout(ANSWER_MS))
  } catch (error) {
    if (!signal.aborted) throw error
    throw new CaesuraError('CAESURA_E_NO_SERVER', `${node.backend.address} does not answer within ${withinMs} ms`, {
      hint: 'Look whether the server runs: ollama serve',
      cause: error,
    })
  }
}

function noModel(
  missing: readonly string[],
  names: readonly string[],
  node: Node,
  models: readonly ModelInfo[],
): CaesuraError {
  const [name = '', ...others] = names
  const pull = (model: string) => node.backend.pullCommand?.(model) ?? ''
  const instead = others.length === 0 ? '' : ` (or ${others.join(', ')})`
  // The bundled model is in no registry.
  const hint =
    name === 'caesura-demo'
      ? `Import the bundled model with \`ollama create\` as models/caesura-demo-3m.md says, or \`${pull('gemma3:1b')}\` and add --model gemma3:1b.`
      : pull(name)
  return new CaesuraError('CAESURA_E_NO_MODEL', `${node.backend.address} has no model ${name}${instead}`, {
    received: missing.join(', '),
    expected: models.length === 0 ? 'the server has no model yet' : models.map((model) => model.name).join(', '),
    hint,
  })
}

/** An Ollama that answers at once and has every model, else the bundled model, and says why. */
async function automatic(wanted: readonly string[], wishes: Wishes): Promise<Surroundings> {
  const url = addressOf(wishes)
  const node = ollama({ name: 'ollama', url })
  let reason: string
  try {
    const models = await listedBy(node, LOOK_MS)
    const { found, missing } = resolveOn(models, asWished(wanted, wishes), aliasesOf(wishes))
    if (missing.length === 0) return { nodes: [node], models: underWish(wanted, wishes, found), notices: [] }
    reason = `Ollama at ${url} has no model ${missing.flatMap((model) => candidates(model, aliasesOf(wishes))[0] ?? model).join(', ')}`
  } catch (error) {
    if (!(error instanceof CaesuraError)) throw error
    reason = `no Ollama answers at ${url}`
  }
  await node.backend.close()
  const wishedFile = wishes.model !== undefined && /\.gguf$/i.test(wishes.model)
  if (wishes.model !== undefined && !wishedFile && modelNameOf(bundledModel) !== wishes.model)
    throw new CaesuraError('CAESURA_E_NO_MODEL', `${wishes.model} is not there: ${reason}`, {
      received: wishes.model,
      hint: node.backend.pullCommand?.(wishes.model) ?? 'ollama serve',
    })
  try {
    const chosen = await embedded(wanted, wishes.model)
    return wishedFile ? chosen : { ...chosen, notices: [`Using the bundled model: ${reason}.`] }
  } catch (error) {
    if (!(error instanceof CaesuraError) || error.code !== 'CAESURA_E_NO_BACKEND') throw error
    throw new CaesuraError('CAESURA_E_NO_BACKEND', `nothing can run a model: ${reason}, and ${error.message}`, {
      hint: 'npm install node-llama-cpp, or start an Ollama: ollama serve',
      cause: error,
    })
  }
}

/** A node of the configuration with the models that it has; `fault` where it does not answer. */
interface Seen {
  readonly node: Node
  readonly models: readonly ModelInfo[]
  readonly fault?: CaesuraError
}

async function onConfiguredNodes(wanted: readonly string[], wishes: Wishes): Promise<Surroundings> {
  const { config, folder = '.', node: only } = wishes
  const all = config?.nodes ?? []
  const chosen = only === undefined ? all : all.filter((node) => node.name === only)
  if (chosen.length === 0)
    throw new CaesuraError('CAESURA_E_USAGE', 'the configuration has no node of this name', {
      received: only ?? '',
      expected: all.map((node) => node.name).join(', '),
    })
  const seen = await Promise.all(chosen.map((node) => look(node, folder, chosen.length > 1)))
  const closeAll = () => Promise.all(seen.map(({ node }) => node.backend.close()))
  try {
    const reached = seen.filter(({ fault }) => fault === undefined)
    const models = reached.flatMap((each) => each.models)
    const faults = seen.flatMap(({ fault }) => fault ?? [])
    if (reached.length === 0 && faults[0] !== undefined) throw faults[0]
    const aliases = Object.fromEntries(Object.entries(config?.models ?? {}).map(([alias, name]) => [alias, [name]]))
    // A scripted node answers to every name.
    const any = reached.some(({ node }) => node.backend.kind === 'scripted' && node.models === undefined)
    const { found, missing } = resolveOn(models, asWished(wanted, wishes), aliases)
    for (const model of any ? missing : []) found[model] = candidates(model, aliases)[0] ?? model
    const first = any ? undefined : missing[0]
    // The node that does not answer may be the one that has it.
    if (first !== undefined && faults[0] !== undefined) throw faults[0]
    if (first !== undefined) {
      const server = reached.find(({ node }) => node.backend.pullCommand !== undefined)?.node ?? reached[0]?.node
      if (Object.hasOwn(aliases, first) && server !== undefined)
        throw noModel(missing, candidates(first, aliases), server, models)
      throw noAlias(first, Object.keys(aliases), server)
    }
    for (const { node, fault } of seen) if (fault !== undefined) await node.backend.close()
    return {
      nodes: reached.map(({ node }) => node),
      models: underWish(wanted, wishes, found),
      notices: seen.flatMap(({ node, fault }) =>
        fault === undefined ? [] : [`Going on without the node ${node.name}: ${fault.message}.`],
      ),
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

function noAlias(model: string, aliases: readonly string[], server: Node | undefined): CaesuraError {
  const pull = server?.backend.pullCommand?.(model)
  return new CaesuraError('CAESURA_E_ALIAS', `no node has a model ${model}, and it is no alias of the configuration`, {
    received: model,
    expected: aliases.length === 0 ? 'a model that a node has; the configuration has no aliases' : aliases.join(', '),
    hint: `Add it to \`models:\` in the configuration${pull === undefined ? '' : `, or get it with: ${pull}`}.`,
  })
}

async function look(config: NodeConfig, folder: string, several: boolean): Promise<Seen> {
  const node = nodeOf(config, folder)
  try {
    const models = await listedBy(node, ANSWER_MS)
    if (config.backend === 'scripted') return { node, models: (config.models ?? []).map((name) => ({ name })) }
    const known =
      config.backend === 'llama-cpp'
        ? models.flatMap(({ name }) => [{ name: modelNameOf(`${name}.gguf`) }, { name }])
        : models
    if (config.backend === 'llama-cpp' && models.length === 0)
      throw new CaesuraError('CAESURA_E_NO_MODEL', `the model file of the node ${config.name} is not there`, {
        file: node.backend.address ?? config.model,
        hint: "Paths start from the configuration's folder.",
      })
    // What the configuration allows, by the names that the server uses.
    const allowed = config.models?.map((name) => nameOnServer(name, known) ?? name) ?? known.map(({ name }) => name)
    const offered = known.filter(({ name }) => allowed.includes(name))
    const limited = several || config.models !== undefined || config.backend === 'llama-cpp'
    return { node: limited ? { ...node, models: offered.map(({ name }) => name) } : node, models: offered }
  } catch (error) {
    if (!(error instanceof CaesuraError)) throw error
    return { node, models: [], fault: error }
  }
}

function nodeOf(config: NodeConfig, folder: string): Node {
  const { name, slots, pool, models } = config
  const shared = { name, slots, pool, ...(models !== undefined && { models }) }
  if (config.backend === 'ollama') return ollama({ ...shared, url: config.url })
  if (config.backend === 'scripted')
    // It has no script in a file: it says the prompt back, a word a piece.
    return scripted({
      ...shared,
      script: ({ messages }) => ({ tokens: messages.at(-1)?.content.match(/\s*\S+/g) ?? [] }),
    })
  const file = isAbsolute(config.model) ? config.model : join(folder, config.model)
  const { threads } = config
  return llamaCpp({ ...shared, model: file, names: [modelNameOf(file)], ...(threads !== undefined && { threads }) })
}
