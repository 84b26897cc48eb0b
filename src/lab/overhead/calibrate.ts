import type { Engine } from '../../core/engine.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { OverheadDesign } from './design.ts'
import { type Define, type Prefix, stageOf } from './experiment.ts'
import { ORIGINAL } from './replication.ts'

export const SHORT_TOKENS = 4
const FEWEST_TOKENS = 16
/** With the prompt it has to fit into the window of the bundled model. */
const MOST_TOKENS = 700
const TRY_TOKENS = 48
const REPEATS = 3
/** With a load of the model. */
const CALL_LIMIT_MS = 60_000
/** What is wanted may be so much more than what was tried. */
const ENOUGH = 1.1
/** A first stage within these bounds has the original's two interrupts where they were: inside it, and long after it. */
const LIKE_THE_ORIGINAL = [130, 350] as const

type Prompt = Pick<OverheadDesign, 'system' | 'prompt'>
type Plan = Prompt & Pick<OverheadDesign, 'maxTokens'>

/**
 * The bundled model says 309 tokens to the first and more than 600 to the second, none of them 30 times in a row: there Ollama
 * breaks off. Another model may say more to the third.
 */
const prompts: readonly Prompt[] = [
  { system: 'You answer household questions. Answer at length.', prompt: `${'water '.repeat(39)}water` },
  { system: 'You answer household questions. Refine the draft.', prompt: `${'pan knife '.repeat(39)}pan knife` },
  { system: 'You answer household questions. Answer at length.', prompt: 'How do I descale my kettle?' },
]

export interface Calibrating {
  readonly engine: Engine
  readonly define: Define
  readonly seed: number
  readonly signal: AbortSignal
}

/**
 * Finds a prompt and a number of tokens such that an answer is never ended by the model before that number, and takes about as
 * long as the original's first stage; `firstStageMs` is how long on this engine. Throws what failed, and `CAESURA_E_EXPERIMENT` for
 * a model that says next to nothing.
 */
export async function calibrate(work: Calibrating): Promise<Plan & { readonly firstStageMs: number }> {
  let longest: (Plan & { readonly firstStageMs: number }) | undefined
  for (const prompt of prompts) {
    let tried = TRY_TOKENS
    for (;;) {
      const { ms, tokens } = await timed(work, { ...prompt, maxTokens: tried })
      if (tokens < tried) {
        // The token that ended it is not counted: one fewer is surely ended by the limit.
        if (tokens - 1 > (longest?.maxTokens ?? 0)) longest = { ...prompt, maxTokens: tokens - 1, firstStageMs: ms }
        break
      }
      const fits = Math.round((ORIGINAL.firstStageMs / ms) * tried)
      const maxTokens = Math.min(MOST_TOKENS, Math.max(FEWEST_TOKENS, fits))
      if (maxTokens <= tried * ENOUGH) {
        const kept = Math.min(maxTokens, tried)
        return { ...prompt, maxTokens: kept, firstStageMs: (ms * kept) / tried }
      }
      tried = maxTokens
    }
  }
  if (longest !== undefined && longest.maxTokens > SHORT_TOKENS) return longest
  throw new CaesuraError('CAESURA_E_EXPERIMENT', 'the model ends its answers too soon to be interrupted in them', {
    received: `${longest?.maxTokens ?? 0} tokens`,
    expected: `more than ${SHORT_TOKENS} tokens`,
  })
}

/** How long the first stage takes on this engine, ms: the fastest of some. Throws what failed. */
export const firstStageOn = async (work: Calibrating, plan: Plan): Promise<number> => (await timed(work, plan)).ms

/** How long the prompt of the cells `mid-prefill` is read, ms. Throws what failed. */
export const longPrefillOn = async (work: Calibrating, plan: Prompt): Promise<number> =>
  (await timed(work, { ...plan, maxTokens: 1 }, 'long')).ms

/** The times of the two runs: the original's where the first stage is about as long as it was, else in proportion to it. */
export function replicationTimes(firstStageMs: readonly number[]): OverheadDesign['replicationMs'] {
  const [low, high] = LIKE_THE_ORIGINAL
  if (firstStageMs.every((ms) => ms >= low && ms <= high)) return { early: ORIGINAL.earlyMs, late: ORIGINAL.lateMs }
  const scale = Math.min(...firstStageMs) / ORIGINAL.firstStageMs
  return { early: ORIGINAL.earlyMs * scale, late: Math.max(ORIGINAL.lateMs * scale, 1.5 * Math.max(...firstStageMs)) }
}

async function timed({ engine, define, seed, signal }: Calibrating, plan: Plan, prefix: Prefix = 'shared') {
  const stage = stageOf({ ...plan, seed, limitMs: CALL_LIMIT_MS }, 'first', plan.maxTokens, prefix)
  const pipeline = define({ name: 'overhead: calibration', stages: [stage] })
  let [ms, tokens] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const vars = { nonce: `${seed}-${repeat}` }
    const { stages, outcome, error } = await engine.start(pipeline, { input: '', signal, vars }).result
    signal.throwIfAborted()
    const [call] = stages
    if (outcome !== 'completed' || call === undefined)
      throw new CaesuraError(
        (error?.code as CaesuraError['code']) ?? 'CAESURA_E_MODEL_ERROR',
        error?.message ?? outcome,
      )
    tokens = Math.min(tokens, call.tokens.generated)
    // The fastest: a first stage that was cut too short in a busy moment would end before its interrupt in all others.
    ms = Math.min(ms, call.settledMs - call.startMs)
  }
  return { ms, tokens }
}
