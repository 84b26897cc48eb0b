import { summarize } from '../../core/errors.ts'
import type { FleetNode } from '../../core/fleet.ts'
import type { EngineUsage } from '../../core/hosting.ts'
import type { Node } from '../../core/ports.ts'
import { present } from '../../core/present.ts'
import { within } from '../../core/within.ts'

/** How long a model server may take to answer when it is asked how it is, ms. */
const ANSWER_MS = 1000

/** The nodes of this process, in the words of a fleet: by name, each as its server is now. */
export async function processNodes(
  { nodes }: EngineUsage,
  process: { readonly worker: string; readonly version: string },
): Promise<FleetNode[]> {
  const all = nodes.map(async ({ node, busy }): Promise<FleetNode> => {
    const { name, pool, slots, backend } = node
    const { models, fault } = await look(node)
    return {
      ...{ name, ...process, pool, backend: backend.kind, slots, busy, models },
      ...present({ address: backend.address }),
      ...(node.models === undefined && backend.takesAnyModel && { anyModel: true }),
      state: fault === undefined ? 'up' : 'down',
      ...present({ reason: fault }),
      seen: Date.now(),
    }
  })
  return (await Promise.all(all)).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** A backend may be anybody's: it may throw at once, or not heed the signal. */
async function look({ backend, models: told }: Node): Promise<{ models: readonly string[]; fault?: string }> {
  const signal = AbortSignal.timeout(ANSWER_MS)
  let models = told ?? []
  const asked = async () => {
    await backend.server(signal)
    if (told === undefined && !backend.takesAnyModel) models = (await backend.models(signal)).map(({ name }) => name)
  }
  try {
    if (await within(ANSWER_MS, asked())) return { models }
    return { models, fault: `its server does not answer within ${ANSWER_MS} ms` }
  } catch (error) {
    return { models, fault: summarize(error).message }
  }
}
