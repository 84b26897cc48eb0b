import { withoutPassword } from '../core/address.ts'
import { CaesuraError } from '../core/errors.ts'
import type { ModelInfo, Node, ServerInfo } from '../core/ports.ts'
import { bundledModel } from '../nodes/backends/model-file.ts'
import { ollamaUrl } from '../nodes/backends/ollama-url.ts'
import { llamaCpp, ollama } from './nodes.ts'

const ANSWER_MS = 5_000

/** What a model server says of itself, or why it does not. */
export type Inspected =
  | { readonly server: ServerInfo; readonly models: readonly ModelInfo[] }
  | { readonly address: string; readonly fault: CaesuraError }

/** Whether node-llama-cpp is there and its binary loads, with the bundled model. Loads the binary. */
export const inspectEmbedded = (): Promise<Inspected> =>
  inspect(() => llamaCpp({ name: 'embedded', model: bundledModel }), bundledModel)

/** The Ollama at `host`, in any form that `OLLAMA_HOST` takes. */
export const inspectOllama = (host: string | undefined): Promise<Inspected> =>
  inspect(() => ollama({ name: 'ollama', url: ollamaUrl(host) }), withoutPassword(host ?? ''))

async function inspect(make: () => Node, address: string): Promise<Inspected> {
  let node: Node | undefined
  try {
    node = make()
    const server = await node.backend.server(AbortSignal.timeout(ANSWER_MS))
    return { server, models: await node.backend.models(AbortSignal.timeout(ANSWER_MS)) }
  } catch (error) {
    if (error instanceof CaesuraError) return { address: node?.backend.address ?? address, fault: error }
    throw error
  } finally {
    await node?.backend.close()
  }
}
