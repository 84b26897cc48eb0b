import { isAbsolute, join } from 'node:path'
import type { HttpAccess } from './backends/http-access.ts'
import type { HttpLimits } from './backends/http-limits.ts'
import type { NodeConfig } from './core/config-schema.ts'
import { CaesuraError } from './core/errors.ts'
import type { ModelInfo, Node } from './core/ports.ts'
import { allNames, candidates, modelNameOf, nameOnServer, resolveStages, type Wanted } from './model-names.ts'
import { llamaCpp, ollama, openai, scripted } from './nodes.ts'
import { ANSWER_MS, asWished, listedBy, noModel, type Surroundings, underWish, type Wishes } from './wishes.ts'

/** A node of the configuration with the models that it has; `fault` where it does not answer. */
interface Seen {
  readonly node: Node
  readonly models: readonly ModelInfo[]
  readonly fault?: CaesuraError
}

/** Uses the nodes of the configuration that answer. Throws as `chooseSurroundings` does. */
export async function onConfiguredNodes(wanted: readonly Wanted[], wishes: Wishes): Promise<Surroundings> {
  const { config, folder = '.', node: only, environment = {} } = wishes
  const all = config?.nodes ?? []
  const chosen = only === undefined ? all : all.filter((node) => node.name === only)
  if (chosen.length === 0)
    throw new CaesuraError('CAESURA_E_USAGE', 'the configuration has no node of this name', {
      received: only ?? '',
      expected: all.map((node) => node.name).join(', '),
    })
  const place: Place = { folder, environment, keys: keysOf(chosen, environment) }
  const seen = await Promise.all(chosen.map((node) => look(node, place, chosen.length > 1)))
  const closeAll = () => Promise.all(seen.map(({ node }) => node.backend.close()))
  try {
    const reached = seen.filter(({ fault }) => fault === undefined)
    const models = reached.flatMap((each) => each.models)
    const faults = seen.flatMap(({ fault }) => fault ?? [])
    if (reached.length === 0 && faults[0] !== undefined) throw faults[0]
    const aliases = Object.fromEntries(Object.entries(config?.models ?? {}).map(([alias, name]) => [alias, [name]]))
    // A scripted node answers to every name.
    const any = reached.some(({ node }) => node.backend.kind === 'scripted' && node.models === undefined)
    const names = all.map((node) => node.name)
    const { found, missing, notices } = resolveStages(models, asWished(wanted, wishes), aliases, names)
    for (const model of any ? allNames(wanted) : []) found[model] ??= candidates(model, aliases)[0] ?? model
    const first = any ? undefined : missing[0]
    // The node that does not answer may be the one that has it.
    if (first !== undefined && faults[0] !== undefined) throw faults[0]
    if (first !== undefined) {
      // What the command line names is not an alias that was forgotten.
      if (wishes.model !== undefined)
        throw noWished(
          first,
          reached.map(({ node }) => node),
          models,
        )
      const server = reached.find(({ node }) => node.backend.pullCommand !== undefined)?.node ?? reached[0]?.node
      if (Object.hasOwn(aliases, first) && server !== undefined)
        throw noModel(missing, candidates(first, aliases), server, models)
      throw noAlias(first, Object.keys(aliases), server)
    }
    for (const { node, fault } of seen) if (fault !== undefined) await node.backend.close()
    return {
      nodes: reached.map(({ node }) => node),
      models: underWish(wanted, wishes, found),
      notices: [
        ...seen.flatMap(({ node, fault }) =>
          fault === undefined ? [] : [`Going on without the node ${node.name}: ${fault.message}.`],
        ),
        ...(any ? [] : notices),
      ],
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

/** What nodes need beside their configuration: the folder that paths start from, and the API key of each node by its name. */
interface Place {
  readonly folder: string
  readonly keys: ReadonlyMap<string, string>
  /** Where the proxies are looked for. */
  readonly environment: NonNullable<Wishes['environment']>
}

/** The API keys that the configuration names. Throws `CAESURA_E_CONFIG` for a variable that is not set. */
function keysOf(nodes: readonly NodeConfig[], environment: NonNullable<Wishes['environment']>): Place['keys'] {
  const keys = new Map<string, string>()
  for (const node of nodes) {
    if (!('apiKeyEnv' in node) || node.apiKeyEnv === undefined) continue
    const key = environment[node.apiKeyEnv]?.trim() ?? ''
    if (key === '')
      throw new CaesuraError('CAESURA_E_CONFIG', `the node ${node.name} needs an API key in ${node.apiKeyEnv}`, {
        expected: 'an environment variable that holds a key',
        hint: `export ${node.apiKeyEnv}=…`,
      })
    keys.set(node.name, key)
  }
  return keys
}

function noWished(model: string, nodes: readonly Node[], models: readonly ModelInfo[]): CaesuraError {
  const pull = nodes.find(({ backend }) => backend.pullCommand !== undefined)?.backend.pullCommand?.(model)
  return new CaesuraError('CAESURA_E_NO_MODEL', `no node of the configuration has a model ${model}`, {
    received: model,
    expected: models.length === 0 ? 'the nodes have no model yet' : models.map(({ name }) => name).join(', '),
    ...(pull !== undefined && { hint: pull }),
  })
}

function noAlias(model: string, aliases: readonly string[], server: Node | undefined): CaesuraError {
  const pull = server?.backend.pullCommand?.(model)
  return new CaesuraError('CAESURA_E_ALIAS', `no node has a model ${model}, and it is no alias of the configuration`, {
    received: model,
    expected: aliases.length === 0 ? 'a model that a node has; the configuration has no aliases' : aliases.join(', '),
    hint: `Add it to \`models:\` in the configuration${pull === undefined ? '' : `, or get it with: ${pull}`}.`,
  })
}

async function look(config: NodeConfig, place: Place, several: boolean): Promise<Seen> {
  const node = nodeOf(config, place)
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

function nodeOf(config: NodeConfig, place: Place): Node {
  const { name, slots, pool, models } = config
  const shared = { name, slots, pool, ...(models !== undefined && { models }) }
  if (config.backend === 'ollama') return ollama({ ...shared, ...httpOf(config, place) })
  if (config.backend === 'openai') {
    const { witness } = config
    return openai({ ...shared, ...httpOf(config, place), ...(witness !== undefined && { witness }) })
  }
  if (config.backend === 'scripted')
    // It has no script in a file: it says the prompt back, a word a piece.
    return scripted({
      ...shared,
      script: ({ messages }) => ({ tokens: messages.at(-1)?.content.match(/\s*\S+/g) ?? [] }),
    })
  const file = isAbsolute(config.model) ? config.model : join(place.folder, config.model)
  const { threads } = config
  return llamaCpp({ ...shared, model: file, names: [modelNameOf(file)], ...(threads !== undefined && { threads }) })
}

/** What a server over HTTP is reached with. */
function httpOf(
  { name, url, headers, loadDeadline, idleDeadline }: Extract<NodeConfig, { backend: 'ollama' | 'openai' }>,
  { keys, environment }: Place,
): HttpLimits & HttpAccess & { url: string } {
  const apiKey = keys.get(name)
  return {
    url,
    environment,
    ...(apiKey !== undefined && { apiKey }),
    ...(headers !== undefined && { headers }),
    ...(loadDeadline !== undefined && { loadDeadlineMs: loadDeadline }),
    ...(idleDeadline !== undefined && { idleDeadlineMs: idleDeadline }),
  }
}

/** One node of a configuration, whether its server answers or not. Throws `CAESURA_E_CONFIG` for a key that is not in the environment. */
export const configuredNode = (
  config: NodeConfig,
  folder: string,
  environment: NonNullable<Wishes['environment']>,
): Node => nodeOf(config, { folder, environment, keys: keysOf([config], environment) })
