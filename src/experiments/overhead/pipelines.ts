import type { PlannedSignal } from '../../core/engine.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import type { CellPlan, Handoff, OverheadDesign } from './design.ts'

export const FIRST = 'first'
export const SECOND = 'second'

/** Behind a nonce it makes a prompt of some 400 tokens, whose prefill has a middle. */
export const LONG_TEXT = ' I have a kettle, a pan, a knife and a plant.'.repeat(28)

const policies: Record<Exclude<Handoff, 'none'>, Record<string, unknown>> = {
  drain: { response: 'drain' },
  'abort and wait': { response: 'abort' },
  'abort and fire': { response: 'overlap' },
  'fire without abort': { response: 'race' },
  'abort and fire, second node': { response: 'overlap', placement: 'other' },
}

/** What a pipeline of a trial depends on, beside what all trials have in common. */
export type PromptPlan = Pick<OverheadDesign, 'model' | 'seed' | 'system' | 'prompt' | 'maxTokens' | 'shortTokens'>

/**
 * The pipelines of the trials. What comes before the system prompt is a variable of each stage: nothing where the prefix is shared, so
 * that both stages send the same prompt, to the letter.
 */
export class TrialPipelines {
  readonly #define: (value: unknown) => Pipeline
  readonly #plan: PromptPlan
  readonly #limitMs: number
  readonly #made = new Map<string, Pipeline>()

  /** A call fails when it takes longer than `limitMs`. */
  constructor(define: (value: unknown) => Pipeline, plan: PromptPlan, limitMs: number) {
    this.#define = define
    this.#plan = plan
    this.#limitMs = limitMs
  }

  /** A single call. */
  alone(answer: CellPlan['answer']): Pipeline {
    return this.#make(answer, [this.#stage(FIRST, answer)])
  }

  /** Two stages with the handoff between them. */
  pair(handoff: Exclude<Handoff, 'none'>): Pipeline {
    const policy = { carry: 'none', ...policies[handoff] }
    return this.#make(handoff, [{ ...this.#stage(FIRST, 'whole'), policy }, this.#stage(SECOND, 'short')])
  }

  #stage(id: string, answer: CellPlan['answer']) {
    const { system, prompt, seed, maxTokens, shortTokens } = this.#plan
    return {
      id,
      model: 'measured',
      system: `{{ vars.${id} }}${system}`,
      prompt,
      timeout: { total: this.#limitMs },
      options: { temperature: 0, seed, maxTokens: answer === 'short' ? shortTokens : maxTokens },
    }
  }

  #make(name: string, stages: unknown): Pipeline {
    const made = this.#made.get(name) ?? this.#define({ name: `overhead: ${name}`, stages })
    this.#made.set(name, made)
    return made
  }
}

/**
 * How long a call of a trial may take, ms: a server that has lost its slot (ollama#17131) answers never, and one that is only slow is
 * rarely fifty times slower than it was.
 */
export const limitOf = ({ firstStageMs }: Pick<OverheadDesign, 'firstStageMs'>): number =>
  5_000 + Math.round(50 * Math.max(...Object.values(firstStageMs)))

/** When a queued call is interrupted, ms after it was sent: the call before it takes longer. */
const QUEUED_MS = 20

/** The signal that interrupts the first stage at the cell's moment. `uniformMs`: where it was drawn. */
export function signalOf(
  { interrupt, transport }: CellPlan,
  { maxTokens, longPrefillMs = 0, replicationMs, firstStageMs }: OverheadDesign,
  uniformMs: number,
): PlannedSignal {
  const afterMs = (ms: number) => ({ stage: FIRST, afterMs: ms })
  const share = (of: number) => ({ stage: FIRST, afterTokens: Math.max(1, Math.round(maxTokens * of)) })
  switch (interrupt) {
    case 'queued':
      return afterMs(QUEUED_MS)
    case 'mid-prefill':
      return afterMs(longPrefillMs / 2)
    case 'first token':
      return { stage: FIRST, afterTokens: 1 }
    case 'decode 25 %':
      return share(0.25)
    case 'decode 50 %':
      return share(0.5)
    case 'decode 75 %':
      return share(0.75)
    case 'at 100 ms':
      return afterMs(replicationMs.early)
    case 'uniform':
      return afterMs(uniformMs)
    default:
      return afterMs(lateMs({ interrupt, transport }, { replicationMs, firstStageMs }))
  }
}

const AFTER_THE_FINISH = 1.2

/** When the second stage is asked for by itself, ms from the start of the first. */
export const lateMs = (
  { interrupt, transport }: Pick<CellPlan, 'interrupt' | 'transport'>,
  { replicationMs, firstStageMs }: Pick<OverheadDesign, 'replicationMs' | 'firstStageMs'>,
): number =>
  interrupt === 'at 500 ms' ? replicationMs.late : (firstStageMs[transport] ?? replicationMs.late) * AFTER_THE_FINISH
