import { z } from 'zod'
import { present } from './present.ts'

/** ms, to the microsecond. */
const ms = z.number().min(0)

/** Repetitions of one measurement. */
export const spreadSchema = z.strictObject({ p50: ms, p95: ms, n: z.int().min(1) })
export type Spread = z.infer<typeof spreadSchema>

/** What `probe` found out about a node. What was not observed is absent. */
export const probeResultSchema = z.strictObject({
  schema: z.literal('caesura.probe/1'),
  node: z.string(),
  /** A URL, or a file for an engine in this process. */
  address: z.string().optional(),
  server: z.strictObject({ kind: z.string(), version: z.string().optional() }),
  model: z.string(),
  measuredAt: z.iso.datetime(),
  durationMs: ms,
  /** Of a call with a short prompt to an idle server with the model loaded. */
  firstTokenMs: spreadSchema.optional(),
  /** The same where the call has to load the model. */
  coldFirstTokenMs: spreadSchema.optional(),
  tokensPerSecond: z.strictObject({
    prefill: z.number().positive().optional(),
    decode: z.number().positive().optional(),
  }),
  /** What a call to a loaded model costs before it asks for its slot. */
  warmPreparationMs: ms.optional(),
  /** The prompt of the figures about prefill: its tokens, and the time that its prefill takes. */
  longPrompt: z.strictObject({ tokens: z.int().min(1).optional(), prefillMs: ms }).optional(),
  /**
   * How much later than on an idle server the next call has its first token, by what the aborted call was doing; for `load`,
   * later than a call that loads the model undisturbed.
   */
  slotFreeAfterAbortMs: z.strictObject({
    decode: spreadSchema.optional(),
    prefill: spreadSchema.optional(),
    queue: spreadSchema.optional(),
    load: spreadSchema.optional(),
  }),
  /** How the slot was seen to be free: by a call sent at the abort, or by the server's own word (the mark `slot-free`). */
  witness: z.enum(['call', 'server']).optional(),
  /**
   * What an abort does in a prefill, by how the lag changes with what is left of it and by the lag in decode: it runs to its end, to
   * the end of a part, or is stopped like a decode. Absent where that was not told; then a note says why.
   */
  prefillStops: z.enum(['never', 'between-batches', 'at-once']).optional(),
  /** Whether a load goes on when the call that began it is aborted, so that the next call need not begin it again. */
  abortedLoad: z.enum(['kept', 'lost']).optional(),
  /** Aborts that cost the server a slot; unloading the model brought it back. */
  wedges: z.int().min(1).optional(),
  /** Calls that make progress at once. */
  slots: z.int().min(1).optional(),
  /** With `slots`: there may be more; more calls at once were not tried. */
  moreSlots: z.literal(true).optional(),
  prefixReuse: z.boolean().optional(),
  /** What the figures mean, a sentence each. */
  advice: z.array(z.string()),
  /** What to know about the figures: what was not measured and why, what was cut off at 0. */
  notes: z.array(z.string()),
  /** Why it ended before everything was measured. */
  stopped: z.enum(['budget', 'cancelled', 'fault']).optional(),
  /** With `fault`. */
  error: z.strictObject({ code: z.string(), message: z.string() }).optional(),
})
export type ProbeResult = z.infer<typeof probeResultSchema>

/**
 * How long the slot may have been busy after an abort without being seen, ms: the call that looked for it had to be prepared itself.
 * Where the preparation is not known, it is less than the whole time to first token. 0 where the server said when a slot was free.
 */
export const hiddenLagMs = ({
  witness,
  warmPreparationMs,
  firstTokenMs,
}: Pick<ProbeResult, 'witness' | 'warmPreparationMs' | 'firstTokenMs'>): number =>
  witness === 'server' ? 0 : (warmPreparationMs ?? firstTokenMs?.p50 ?? 0)

/** Where a probe is looked up: the newest of this node, address and model. */
export interface ProbeKey {
  readonly node: string
  readonly address?: string
  readonly model: string
}

/** What a probe lets one expect of a node before a run has seen it. In ms; what was not measured is absent. */
export interface ProbePriors {
  readonly firstTokenMs?: number
  readonly msPerToken?: number
  /** From the abort to the moment in which the next call can have the slot. */
  readonly abortLagMs: { readonly prefill?: number; readonly decode?: number }
}

/** The medians of a probe, as the start of an estimator. */
export function priorsOf({ firstTokenMs, tokensPerSecond, slotFreeAfterAbortMs }: ProbeResult): ProbePriors {
  const { prefill, decode } = slotFreeAfterAbortMs
  return {
    ...present({ firstTokenMs: firstTokenMs?.p50 }),
    ...(tokensPerSecond.decode !== undefined && { msPerToken: 1000 / tokensPerSecond.decode }),
    abortLagMs: present({ prefill: prefill?.p50, decode: decode?.p50 }),
  }
}
