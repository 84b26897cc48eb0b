import { fileURLToPath } from 'node:url'
import { ollamaUrl } from './backends/ollama-url.ts'
import { onConfiguredNodes } from './configured-nodes.ts'
import { CaesuraError } from './core/errors.ts'
import {
  type Aliases,
  allNames,
  builtInAliases,
  candidates,
  modelNameOf,
  resolveStages,
  type Wanted,
} from './model-names.ts'
import { llamaCpp, ollama } from './nodes.ts'
import { ANSWER_MS, asWished, listedBy, noModel, type Surroundings, underWish, type Wishes } from './wishes.ts'

/** The small model that comes with the package, whose folder is one up from `src` and from `dist`. */
export const bundledModel = fileURLToPath(new URL('../models/caesura-demo-3m.q8_0.gguf', import.meta.url))

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
  return automatic(wanted, wishes)
}

async function embedded(wanted: readonly Wanted[], model: string | undefined): Promise<Surroundings> {
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
  return { nodes: [node], models: Object.fromEntries(allNames(wanted).map((stage) => [stage, name])), notices: [] }
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

async function onOllama(wanted: readonly Wanted[], wishes: Wishes): Promise<Surroundings> {
  const url = addressOf(wishes)
  const node = ollama({ name: 'ollama', url })
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

/** An Ollama that answers at once and has every model, else the bundled model, and says why. */
async function automatic(wanted: readonly Wanted[], wishes: Wishes): Promise<Surroundings> {
  const url = addressOf(wishes)
  const node = ollama({ name: 'ollama', url })
  let reason: string
  try {
    const models = await listedBy(node, LOOK_MS)
    const { found, missing, notices } = resolveStages(models, asWished(wanted, wishes), aliasesOf(wishes))
    if (missing.length === 0) return { nodes: [node], models: underWish(wanted, wishes, found), notices }
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
