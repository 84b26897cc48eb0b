import { z } from 'zod'
import { CaesuraError } from '../../core/errors.ts'

export const transports = ['in-process', 'http', 'ollama'] as const
export type Transport = (typeof transports)[number]

/** When the first stage is interrupted. After it has finished, the second one is asked for by itself: nothing is interrupted. */
export const moments = [
  'none',
  'queued',
  'mid-prefill',
  'first token',
  'decode 25 %',
  'decode 50 %',
  'decode 75 %',
  'after the finish',
  'uniform',
  'at 100 ms',
  'at 500 ms',
] as const
export type Moment = (typeof moments)[number]

export const handoffs = [
  'none',
  'drain',
  'abort and wait',
  'abort and fire',
  'fire without abort',
  'abort and fire, second node',
] as const
export type Handoff = (typeof handoffs)[number]

const count = z.int().min(0)
const ms = z.number().min(0)

export const cellPlanSchema = z.strictObject({
  /** What its runs have as their arm. */
  id: z.string(),
  transport: z.enum(transports),
  interrupt: z.enum(moments),
  handoff: z.enum(handoffs),
  slots: count,
  connection: z.enum(['none', 'fresh', 'reused', 'prewarmed']),
  prefix: z.enum(['shared', 'unique']),
  load: z.enum(['warm', 'cold']),
  /** `short`: only the first token is looked at. */
  answer: z.enum(['whole', 'short']),
  /** Trials in each block. */
  repeat: count,
})
export type CellPlan = z.infer<typeof cellPlanSchema>

/** What an execution of `overhead` was to do; with its records all that its figures are derived from. */
export const overheadDesignSchema = z.strictObject({
  kind: z.literal('overhead/1'),
  quick: z.boolean(),
  model: z.string(),
  seed: z.int(),
  system: z.string(),
  prompt: z.string(),
  /** Tokens of a whole answer, and of one of which only the first token is looked at. */
  maxTokens: count,
  shortTokens: count,
  /** Request → end of the first stage where nothing interrupts, from the calibration, ms. */
  firstStageMs: z.partialRecord(z.enum(transports), ms),
  /** How long the long prompt of the cells `mid-prefill` is read, ms. */
  longPrefillMs: ms.optional(),
  /** When the two runs of the replication are interrupted, ms. */
  replicationMs: z.strictObject({ early: ms, late: ms }),
  cells: z.array(cellPlanSchema),
  /** The most blocks; fewer where the budget ends. */
  blocks: count,
  budgetMs: ms,
  /** `address` of the one that was named. */
  servers: z.array(
    z.strictObject({ name: z.string(), version: z.string().optional(), address: z.string().optional() }),
  ),
  /** Over which HTTP the answer is: to the Ollama that was named, or to a server of our own on this machine, the default. */
  answersFor: z.enum(['http', 'ollama']).optional(),
  skipped: z.array(z.strictObject({ transport: z.string(), reason: z.string() })),
})
export type OverheadDesign = z.infer<typeof overheadDesignSchema>

export const subjectOf = ({ answersFor = 'http' }: Pick<OverheadDesign, 'answersFor'>): 'http' | 'ollama' => answersFor

/** As it was kept. Throws `CAESURA_E_EXPERIMENT` where it is none of this version. */
export function readDesign(execution: string, design: unknown): OverheadDesign {
  const { data, error } = overheadDesignSchema.safeParse(design)
  if (data !== undefined) return data
  throw new CaesuraError('CAESURA_E_EXPERIMENT', `execution ${execution} was not kept by this version of overhead`, {
    received: execution,
    expected: 'an execution of `caesura overhead` of this version',
    cause: error,
  })
}

/** The word for a transport in sentences and as the server of a contrast. */
export const serverName = (transport: Transport): string => (transport === 'http' ? 'embedded server' : transport)
