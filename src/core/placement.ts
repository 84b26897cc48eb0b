import type { NodeWish } from './call.ts'

/** What is known of a node when a call is to be placed. */
export interface Candidate {
  readonly name: string
  /** The models that it takes calls for; absent: not known, or any. */
  readonly models?: readonly string[] | undefined
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
 * none does and `otherwise` is `any`, all that have the model. The one rule for calls in this process and on a fleet.
 */
export function candidatesFor<C extends Candidate>(nodes: Iterable<C>, wish: NodeWish): C[] {
  const { model, placement, otherwise, previousNode, node: pinned } = wish
  const able = [...nodes].filter(({ models }) => hasModel(models, model))
  if (pinned !== undefined) return able.filter(({ name }) => name === pinned)
  if (previousNode === undefined || placement === 'any') return able
  const wished = able.filter(({ name }) => (name === previousNode) === (placement === 'same'))
  return wished.length === 0 && otherwise === 'any' ? able : wished
}
