import { isSameModel } from '../core/placement.ts'
import type { Node } from '../core/ports.ts'
import { within } from '../core/within.ts'

/** How long a list is believed, ms; then it is asked for again while calls go on by the old one. */
const FRESH_MS = 10_000
/** How long a server may take to list its models, ms. */
const ANSWER_MS = 3000

interface List {
  models: readonly string[] | undefined
  askedAt: number
  asking: Promise<void> | undefined
}

/**
 * The models of nodes that were not told which they have: asked of their servers, because a call must go only where its model is. A
 * server that does not answer may have any.
 */
export class ModelLists {
  readonly #lists = new Map<Node, List>()

  /** One node alone has nothing to be told from. */
  constructor(nodes: readonly Node[]) {
    if (nodes.length < 2) return
    for (const node of nodes) {
      if (node.models !== undefined || node.backend.takesAnyModel) continue
      this.#lists.set(node, { models: undefined, askedAt: Number.NEGATIVE_INFINITY, asking: undefined })
    }
  }

  /** The models that the node takes calls for; undefined: any, or not known. */
  of(node: Node): readonly string[] | undefined {
    return node.models ?? this.#lists.get(node)?.models
  }

  /** What to wait for before a call is placed for the first time; undefined where all lists are there. Asks again for old ones. */
  ready(): Promise<unknown> | undefined {
    const missing: Promise<void>[] = []
    for (const [node, list] of this.#lists) {
      const isFirst =
        list.askedAt === Number.NEGATIVE_INFINITY || (list.asking !== undefined && list.models === undefined)
      if (performance.now() - list.askedAt > FRESH_MS) this.#ask(node, list)
      if (isFirst && list.asking !== undefined) missing.push(list.asking)
    }
    return missing.length === 0 ? undefined : Promise.all(missing)
  }

  /** The node said that it has not got this model: its list is old. Resolves when it is new. */
  async without(model: string, node: Node): Promise<void> {
    const list = this.#lists.get(node)
    if (list === undefined) return
    await this.#ask(node, list)
    list.models = list.models?.filter((each) => !isSameModel(each, model)) ?? []
  }

  #ask(node: Node, list: List): Promise<void> {
    list.asking ??= namesOn(node).then((models) => {
      list.models = models
      list.askedAt = performance.now()
      list.asking = undefined
    })
    return list.asking
  }
}

/** Undefined where the backend can't say, or doesn't in time. It may be anybody's code: it may throw at once, or not heed the signal. */
async function namesOn({ backend }: Node): Promise<readonly string[] | undefined> {
  let names: readonly string[] | undefined
  const asked = Promise.resolve()
    .then(() => backend.models(AbortSignal.timeout(ANSWER_MS)))
    .then((models) => {
      names = models.map(({ name }) => name)
    })
    .catch(() => undefined)
  await within(ANSWER_MS, asked)
  return names
}
