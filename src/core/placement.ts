import type { NodeWish } from './call.ts'
import { CaesuraError } from './errors.ts'
import type { Pipeline } from './pipeline.ts'
import type { Policy } from './policy.ts'

/** What is known of a node when a call is to be placed. */
export interface Candidate {
  readonly name: string
  /** The models that it takes calls for; absent: not known, or any. */
  readonly models?: readonly string[] | undefined
  /** The list is its server's, and not a person's: a server may know a name that it does not list. */
  readonly isAsked?: boolean | undefined
}

/** Ollama lists a model that was pulled without a tag as `:latest`, and knows it by both names. */
const TAG = ':latest'

/** All names of a model: the one given, and the one with or without the tag. */
export const namesOfModel = (model: string): string[] =>
  model.endsWith(TAG) ? [model, model.slice(0, -TAG.length)] : [model, `${model}${TAG}`]

/** Whether two names mean the same model. */
export const isSameModel = (a: string, b: string): boolean => a === b || `${a}${TAG}` === b || a === `${b}${TAG}`

/** Whether a node with this list takes calls for the model. An empty list takes none; an absent one any. */
export const hasModel = (models: readonly string[] | undefined, model: string): boolean =>
  models === undefined || models.some((each) => isSameModel(each, model))

/**
 * The nodes that may take a call, in their order: those that have its model, and of these those that its `placement` asks for. Where
 * none does and `otherwise` is `any`, all that have the model. Where no node lists the model, those whose server was asked for its list
 * (`isAsked`) count as having it. The one rule for calls in this process and on a fleet.
 */
export function candidatesFor<C extends Candidate>(nodes: Iterable<C>, wish: NodeWish): C[] {
  const { model, placement, otherwise, previousNode, node: pinned } = wish
  const all = [...nodes]
  const listing = all.filter(({ models }) => hasModel(models, model))
  const able = listing.length > 0 ? listing : all.filter(({ isAsked }) => isAsked)
  if (pinned !== undefined) return able.filter(({ name }) => name === pinned)
  if (previousNode === undefined || placement === 'any') return able
  const wished = able.filter(({ name }) => (name === previousNode) === (placement === 'same'))
  return wished.length === 0 && otherwise === 'any' ? able : wished
}

/** What a stage's policy asks of the node of the next stage's call. */
export const placementOf = ({ placement, placementOtherwise }: Policy): Pick<NodeWish, 'placement' | 'otherwise'> =>
  placementOtherwise === undefined ? { placement } : { placement, otherwise: placementOtherwise }

/** Says of a call that no node takes it why that is so. `of`: whose nodes they are, such as ` of the fleet`. */
export function nobodyTakes(wish: NodeWish, names: readonly string[], of = ''): string {
  const { model, placement, previousNode, node } = wish
  if (node !== undefined) return `the node ${node} takes no calls for the model ${model}`
  const wished =
    placement === 'any' || previousNode === undefined ? '' : ` with placement ${placement} (before: ${previousNode})`
  return `no node${of} takes calls for the model ${model}${wished}; nodes: ${names.join(', ') || 'none'}`
}

/**
 * Refuses a pipeline in which a stage, in its own policy or in that of an arm, asks for a node that there can't be, wherever the call before
 * it was: such an arm would lose its runs. Throws `CAESURA_E_PIPELINE`. `nodes`: the names of all there are.
 */
export function placementCheck(nodes: readonly string[]): (pipeline: Pipeline) => void {
  const candidates = nodes.map((name) => ({ name }))
  /** By what is asked: there are few such wishes, and a run is checked each time that it starts. */
  const nowhere = new Map<string, boolean>()
  const isNowhere = (policy: Policy): boolean => {
    const wish = { model: '', ...placementOf(policy) }
    const key = `${wish.placement} ${wish.otherwise}`
    const known =
      nowhere.get(key) ??
      nodes.every((previousNode) => candidatesFor(candidates, { ...wish, previousNode }).length === 0)
    nowhere.set(key, known)
    return known
  }
  const check = (policy: Policy, stage: string, path: string) => {
    if (!isNowhere(policy)) return
    throw new CaesuraError('CAESURA_E_PIPELINE', `stage ${stage} wants another node, and there is only one`, {
      path: `${path}.policy.placement`,
      received: policy.placement,
      expected: 'two nodes or more',
      hint: 'Add a node, or write `placement: { other: { otherwise: any } }`.',
    })
  }
  return ({ stages, experiment }) => {
    for (const [index, { id, policy }] of stages.entries()) check(policy, id, `stages[${index}]`)
    for (const [index, { policies }] of experiment?.arms.entries() ?? [])
      for (const [id, policy] of Object.entries(policies)) check(policy, id, `experiment.arms[${index}]`)
  }
}
