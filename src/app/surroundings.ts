import { CaesuraError } from '../core/errors.ts'
import type { Node } from '../core/ports.ts'
import { present } from '../core/present.ts'
import { bundledModel, modelNameOf } from '../nodes/backends/model-file.ts'
import { namesHost, ollamaAddress } from '../nodes/backends/ollama-address.ts'
import type { Config } from '../nodes/config-schema.ts'
import { onConfiguredNodes } from './configured-nodes.ts'
import { type Aliases, allNames, builtInAliases, candidates, resolveStages, type Wanted } from './model-names.ts'
import { llamaCpp, ollama, scripted } from './nodes.ts'
import { ANSWER_MS, asWished, listedBy, noModel, type Surroundings, underWish, type Wishes } from './wishes.ts'

/** How long an Ollama that nobody asked for may take to answer, ms. */
const LOOK_MS = 300

/**
 * Decides where the stages run that ask for the models `wanted`, each with its fallbacks: one of them must be there. Throws, with nothing started: `CAESURA_E_NO_SERVER`,
 * `CAESURA_E_NO_MODEL`, `CAESURA_E_NO_BACKEND` (exit 3); `CAESURA_E_ALIAS`, `CAESURA_E_USAGE`, `CAESURA_E_CONFIG` (2).
 */
export async function chooseSurroundings(wanted: readonly Wanted[], wishes: Wishes): Promise<Surroundings> {
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
  // A model file runs in this process, wherever the Ollama is.
  if (backend === undefined && namesHost(wishes) && !isFile(model)) return onNamedHost(wanted, wishes)
  return automatic(wanted, wishes)
}

/** For a pipeline that asks no model. An engine has a node all the same; this one never has a call. */
export const withoutModels = (): Surroundings => ({
  nodes: [scripted({ name: 'none', script: { tokens: [] } })],
  models: {},
  notices: [],
})

const isFile = (model: string | undefined): boolean => model !== undefined && /\.gguf$/i.test(model)

/** What the bundled model is called, in this process and by those who imported it into an Ollama. */
const bundledNames: readonly string[] = [modelNameOf(bundledModel), 'caesura-demo']

async function embedded(wanted: readonly Wanted[], model: string | undefined): Promise<Surroundings> {
  const file = model !== undefined && isFile(model) ? model : bundledModel
  if (model !== undefined && !isFile(model) && !bundledNames.includes(model))
    throw new CaesuraError('CAESURA_E_NO_MODEL', `${model} is no model that can run in this process`, {
      received: model,
      expected: `the path of a GGUF file, or ${bundledNames[0]}, the bundled model`,
    })
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
  return { nodes: [node], models: Object.fromEntries(allNames(wanted).map((stage) => [stage, name])), notices: [] }
}

const ollamaAt = (url: string, { environment }: Wishes): Node =>
  ollama({ name: 'ollama', url, ...present({ environment }) })

const aliasesOf = ({ config }: Wishes): Aliases => ({
  ...builtInAliases,
  ...Object.fromEntries(Object.entries(config?.models ?? {}).map(([alias, name]) => [alias, [name]])),
})

/** Where `OLLAMA_HOST` names a server, nothing else takes its place unasked. */
async function onNamedHost(wanted: readonly Wanted[], wishes: Wishes): Promise<Surroundings> {
  try {
    return await onOllama(wanted, wishes)
  } catch (error) {
    if (!(error instanceof CaesuraError) || error.exitCode !== 3) throw error
    const { hint, ...place } = error.place
    const other = '--backend embedded for the bundled model'
    throw new CaesuraError(error.code, `${error.message} (OLLAMA_HOST names this server)`, {
      ...place,
      hint: hint === undefined ? other : `${hint}, or ${other}`,
      cause: error.cause,
    })
  }
}

async function onOllama(wanted: readonly Wanted[], wishes: Wishes): Promise<Surroundings> {
  const node = ollamaAt(ollamaAddress(wishes), wishes)
  try {
    const models = await listedBy(node, ANSWER_MS)
    const { found, missing, notices } = resolveStages(models, asWished(wanted, wishes), aliasesOf(wishes))
    if (missing[0] !== undefined) throw noModel(missing, candidates(missing[0], aliasesOf(wishes)), node, models)
    return { nodes: [node], models: underWish(wanted, wishes, found), notices }
  } catch (error) {
    await node.backend.close()
    throw error
  }
}

/**
 * An Ollama that answers at once and has every model, else the bundled model, and says why. Models that the flags or the configuration
 * name must be there, unless `--backend auto` asks for the bundled one.
 */
async function automatic(wanted: readonly Wanted[], wishes: Wishes): Promise<Surroundings> {
  const url = ollamaAddress(wishes)
  const node = ollamaAt(url, wishes)
  const aliases = aliasesOf(wishes)
  let reason: string
  let named: string | undefined
  try {
    const models = await listedBy(node, LOOK_MS)
    const { found, missing, notices } = resolveStages(models, asWished(wanted, wishes), aliases)
    if (missing.length === 0) return { nodes: [node], models: underWish(wanted, wishes, found), notices }
    named = namedOf(wanted, wishes, missing)
    reason = `Ollama at ${url} has no model ${missing.flatMap((model) => candidates(model, aliases)[0] ?? model).join(', ')}`
  } catch (error) {
    if (!(error instanceof CaesuraError)) throw error
    named = namedOf(wanted, wishes)
    reason = error.code === 'CAESURA_E_AUTH' ? `the Ollama at ${url} asks for a key` : `no Ollama answers at ${url}`
  }
  await node.backend.close()
  if (named !== undefined)
    throw new CaesuraError('CAESURA_E_NO_MODEL', `${named} is not there: ${reason}`, {
      received: named,
      hint: `${node.backend.pullCommand?.(named) ?? 'ollama serve'}, or --backend embedded for the bundled model`,
    })
  try {
    const chosen = await embedded(wanted, wishes.model)
    return isFile(wishes.model) ? chosen : { ...chosen, notices: [`Using the bundled model: ${reason}.`] }
  } catch (error) {
    if (!(error instanceof CaesuraError) || error.code !== 'CAESURA_E_NO_BACKEND') throw error
    throw new CaesuraError('CAESURA_E_NO_BACKEND', `nothing can run a model: ${reason}, and ${error.message}`, {
      hint: 'npm install node-llama-cpp, or start an Ollama: ollama serve',
      cause: error,
    })
  }
}

/**
 * The first model that the flags or the configuration name and that the bundled one is not to stand for. `missing`: of the stages whose
 * first model is one of these; all by default.
 */
function namedOf(
  wanted: readonly Wanted[],
  { model, backend, config }: Wishes,
  missing?: readonly string[],
): string | undefined {
  if (model !== undefined) return isFile(model) || bundledNames.includes(model) ? undefined : model
  if (backend !== undefined) return undefined
  const aliases = config?.models ?? {}
  for (const stage of wanted) {
    const names = typeof stage === 'string' ? [stage] : stage
    if (missing !== undefined && !missing.includes(names[0] ?? '')) continue
    const meant = names.map((name) => (Object.hasOwn(aliases, name) ? aliases[name] : undefined))
    const first = meant.find((name) => name !== undefined)
    if (first !== undefined && !meant.some((name) => name !== undefined && bundledNames.includes(name))) return first
  }
  return undefined
}

/** What aliases stand for that no pipeline of today names: on the bundled model alone that one, else the first of their models. */
export function modelsOfAliases(nodes: readonly Node[], config: Config | undefined): Record<string, string> {
  const [only, ...others] = nodes
  const name = others.length === 0 && only?.backend.kind === 'llama-cpp' ? only.models?.[0] : undefined
  const builtIn = Object.entries(builtInAliases).map(([alias, models]) => [alias, name ?? models[0] ?? alias])
  return { ...Object.fromEntries(builtIn), ...config?.models }
}
