import type { BackendKind, BackendPlace } from '../core/backend-kind.ts'
import type { Catalogue } from '../core/catalogue.ts'
import { CaesuraError } from '../core/errors.ts'
import type { ModelInfo, Node } from '../core/ports.ts'
import { present } from '../core/present.ts'
import type { NodeConfig } from '../nodes/config-schema.ts'
import { catalogue } from './catalogue.ts'
import { allNames, candidates, nameOnServer, resolveStages, type Wanted } from './model-names.ts'
import { ANSWER_MS, asWished, listedBy, noModel, type Surroundings, underWish, type Wishes } from './wishes.ts'

/** A node of the configuration with the models that it has; `fault` where it does not answer. */
interface Seen {
  readonly node: Node
  readonly models: readonly ModelInfo[]
  readonly fault?: CaesuraError
}

/** Uses the nodes of the configuration that answer. Throws as `chooseSurroundings` does. */
export async function onConfiguredNodes(wanted: readonly Wanted[], wishes: Wishes): Promise<Surroundings> {
  const { config, node: only } = wishes
  const all = config?.nodes ?? []
  const chosen = only === undefined ? all : all.filter((node) => node.name === only)
  if (chosen.length === 0)
    throw new CaesuraError('CAESURA_E_USAGE', 'the configuration has no node of this name', {
      received: only ?? '',
      expected: all.map((node) => node.name).join(', '),
    })
  const open = await openAll(chosen, wishes)
  const seen = await Promise.all(
    open.map((node, index) => look(node, chosen[index]!, wishes.catalogue, chosen.length > 1)),
  )
  const closeAll = () => Promise.all(seen.map(({ node }) => node.backend.close()))
  try {
    const reached = seen.filter(({ fault }) => fault === undefined)
    const models = reached.flatMap((each) => each.models)
    const faults = seen.flatMap(({ fault }) => fault ?? [])
    if (reached.length === 0 && faults[0] !== undefined) throw faults[0]
    const aliases = Object.fromEntries(Object.entries(config?.models ?? {}).map(([alias, name]) => [alias, [name]]))
    // Some nodes answer to every name.
    const any = reached.some(({ node }) => node.backend.takesAnyModel && node.models === undefined)
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

function noWished(model: string, nodes: readonly Node[], models: readonly ModelInfo[]): CaesuraError {
  const pull = nodes.find(({ backend }) => backend.pullCommand !== undefined)?.backend.pullCommand?.(model)
  return new CaesuraError('CAESURA_E_NO_MODEL', `no node of the configuration has a model ${model}`, {
    received: model,
    expected: models.length === 0 ? 'the nodes have no model yet' : models.map(({ name }) => name).join(', '),
    ...present({ hint: pull }),
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

/** Throws `CAESURA_E_CONFIG`, with none open. */
async function openAll(
  configs: readonly NodeConfig[],
  { folder = '.', environment = {}, catalogue }: Wishes,
): Promise<Node[]> {
  const nodes: Node[] = []
  try {
    for (const config of configs)
      nodes.push(await configuredNode(config, { folder, environment, ...present({ catalogue }) }))
    return nodes
  } catch (error) {
    for (const { backend } of nodes) void backend.close()
    throw error
  }
}

async function look(node: Node, config: NodeConfig, kinds: Catalogue | undefined, several: boolean): Promise<Seen> {
  try {
    const models = await listedBy(node, ANSWER_MS)
    if (node.backend.takesAnyModel) return { node, models: (config.models ?? []).map((name) => ({ name })) }
    const { modelNames } = kindOf(config, kinds)
    if (modelNames !== undefined && models.length === 0)
      throw new CaesuraError('CAESURA_E_NO_MODEL', `the model file of the node ${config.name} is not there`, {
        ...present({ file: node.backend.address }),
        hint: "Paths start from the configuration's folder.",
      })
    const known = modelNames?.(config).map((name) => ({ name })) ?? models
    // What the configuration allows, by the names that the server uses.
    const allowed = config.models?.map((name) => nameOnServer(name, known) ?? name) ?? known.map(({ name }) => name)
    const offered = known.filter(({ name }) => allowed.includes(name))
    const limited = several || config.models !== undefined || modelNames !== undefined
    return { node: limited ? { ...node, models: offered.map(({ name }) => name) } : node, models: offered }
  } catch (error) {
    if (!(error instanceof CaesuraError)) throw error
    return { node, models: [], fault: error }
  }
}

/** Where a node of a configuration is opened, and what knows its kind: by default the catalogue that ships. */
export interface NodePlace extends Pick<BackendPlace, 'folder' | 'environment'> {
  readonly catalogue?: Catalogue
}

/** The kind of a node's backend. The configuration was checked against the same catalogue. */
export const kindOf = ({ backend }: NodeConfig, { backends }: Catalogue = catalogue): BackendKind =>
  backends.find(({ name }) => name === backend)!

/** One node of a configuration, whether its server answers or not. Throws `CAESURA_E_CONFIG` for a key that is not in the environment. */
export async function configuredNode(config: NodeConfig, { catalogue: kinds, ...place }: NodePlace): Promise<Node> {
  const { name, slots, pool, models } = config
  const backend = await kindOf(config, kinds).open(config, { node: name, slots, ...place })
  return { name, slots, pool, backend, ...present({ models }) }
}

/** The node that a stage worker serves: it takes calls for the models that it lists, or for the one that it has. Throws `CAESURA_E_CONFIG`. */
export async function fleetNode(config: NodeConfig, place: NodePlace): Promise<Node> {
  const node = await configuredNode(config, place)
  const models = config.models ?? kindOf(config, place.catalogue).modelNames?.(config)
  if (models !== undefined) return { ...node, models }
  return node.backend.takesAnyModel ? { ...node, models: [] } : node
}
