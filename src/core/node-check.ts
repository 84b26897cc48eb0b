import { CaesuraError } from './errors.ts'
import type { Node } from './ports.ts'
import { show } from './problems.ts'

/** What an engine needs of its nodes: one or more, each with a backend, a name of its own and slots. Throws `CAESURA_E_CONFIG`. */
export function checkNodes(nodes: readonly Node[]): void {
  if (nodes.length === 0) {
    throw new CaesuraError('CAESURA_E_CONFIG', 'an engine needs at least one node', { path: 'nodes', received: '[]' })
  }
  const names = new Set<string>()
  for (const [index, node] of nodes.entries()) {
    const { name, slots, backend } = (node ?? {}) as Partial<Node>
    if (typeof name !== 'string' || name === '' || backend === undefined || !canWork(backend)) {
      throw new CaesuraError('CAESURA_E_CONFIG', 'this is no node', {
        path: `nodes[${index}]`,
        received: show(node),
        expected: 'what ollama(), openai(), llamaCpp() or scripted() return: { name, backend, slots, pool }',
      })
    }
    if (names.has(name)) {
      throw new CaesuraError('CAESURA_E_CONFIG', `two nodes are named ${name}`, {
        path: `nodes[${index}].name`,
        received: name,
      })
    }
    if (!Number.isInteger(slots) || (slots as number) < 1) {
      throw new CaesuraError('CAESURA_E_CONFIG', `node ${name} needs a whole number of slots, 1 or more`, {
        path: `nodes[${index}].slots`,
        received: String(slots),
      })
    }
    names.add(name)
  }
}

const canWork = (backend: Partial<Node['backend']>): boolean =>
  typeof backend.generate === 'function' && typeof backend.close === 'function'
