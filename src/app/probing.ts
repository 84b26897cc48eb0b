import { CaesuraError } from '../core/errors.ts'
import type { Node } from '../core/ports.ts'
import { namesHost } from '../nodes/backends/ollama-address.ts'
import { type Aliases, builtInAliases, candidates, resolveOn } from './model-names.ts'
import { chooseSurroundings } from './surroundings.ts'
import { ANSWER_MS, noModel, type Wishes } from './wishes.ts'

/** Part of the composition root: what `probe` measures, and with what. */
export { probeNode } from '../nodes/probe/probe.ts'

/** One node and a model on it. Close the node's backend after use. */
export interface Probed {
  readonly node: Node
  /** As the server knows it. */
  readonly model: string
  /** One line each, for stderr. */
  readonly notices: readonly string[]
}

/** What stages of the examples ask for, and so what is probed where nothing else was asked for. */
const USUAL = 'fast'

/**
 * The node and the model that the wishes name. Without a model: the one that `fast` stands for, else the first that the node
 * has. Throws as `chooseSurroundings` does, and `CAESURA_E_USAGE` where the configuration leaves several nodes.
 */
export async function chooseProbed(wishes: Wishes): Promise<Probed> {
  const isHost = wishes.backend === undefined && namesHost(wishes)
  const named = wishes.node !== undefined || wishes.url !== undefined || wishes.backend === 'ollama' || isHost
  const configured = wishes.backend === undefined && wishes.url === undefined && (wishes.config?.nodes.length ?? 0) > 0
  // Where a node is named, any model of it will do; elsewhere a server without the usual one is passed over.
  const wanted = wishes.model !== undefined || !(named || configured) ? [USUAL] : []
  const { nodes, models, notices } = await chooseSurroundings(wanted, wishes)
  const [node, ...others] = nodes
  const close = () => Promise.all(nodes.map(({ backend }) => backend.close()))
  try {
    if (node === undefined) throw new CaesuraError('CAESURA_E_INTERNAL', 'no node was chosen')
    if (others.length > 0)
      throw new CaesuraError('CAESURA_E_USAGE', 'the configuration has several nodes: choose one with --node', {
        expected: nodes.map(({ name }) => name).join(', '),
      })
    const model = models[USUAL]
    if (model !== undefined) return { node, model, notices }
    return { node, ...(await anyModel(node, aliasesOf(wishes))) }
  } catch (error) {
    await close()
    throw error
  }
}

const aliasesOf = ({ config }: Wishes): Aliases => ({
  ...builtInAliases,
  ...Object.fromEntries(Object.entries(config?.models ?? {}).map(([alias, name]) => [alias, [name]])),
})

async function anyModel(node: Node, aliases: Aliases): Promise<Pick<Probed, 'model' | 'notices'>> {
  const listed = await node.backend.models(AbortSignal.timeout(ANSWER_MS))
  const offered = node.models === undefined ? listed : node.models.map((name) => ({ name }))
  const usual = resolveOn(offered, [USUAL], aliases).found[USUAL]
  if (usual !== undefined) return { model: usual, notices: [] }
  const first = offered[0]?.name
  if (first === undefined) throw noModel([USUAL], candidates(USUAL, aliases), node, listed)
  return { model: first, notices: [`Probing the model ${first}; --model chooses another.`] }
}
