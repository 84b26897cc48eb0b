import { z } from 'zod'
import type { PlannedSignal } from '../core/engine.ts'
import { CaesuraError, type ErrorPlace } from '../core/errors.ts'
import type { JournalState } from '../core/journal.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { type ExperimentArm, experimentSchema } from '../core/record.ts'
import type { TraceContext } from '../core/trace.ts'
import { type KeptMachines, keptMachinesSchema } from '../machines/kept-machines.ts'
import { fromOlder } from './older-versions.ts'

/**
 * Rises when what is kept in Redis changes its form. What an older version kept is brought to this one (`older-versions.ts`); what a newer one
 * kept is refused. It rises for a new optional field too, for older workers read no field that they do not know.
 */
export const FLEET_VERSION = 4

const text = z.string()
const planned = z.looseObject({
  stage: text.optional(),
  afterMs: z.number().optional(),
  afterTokens: z.number().optional(),
  input: text.optional(),
})
const factor = z.looseObject({ name: text })

const stageParts = {
  id: text,
  timeouts: z.looseObject({}),
  retry: z.looseObject({ attempts: z.int() }),
  fallback: z.array(text),
  policy: z.looseObject({ trigger: factor, response: factor, carry: text }),
  step: z.looseObject({ kind: text }),
  asks: z.looseObject({ model: text, options: z.looseObject({}) }).optional(),
}

const specSchema = z.strictObject({
  version: z.literal(FLEET_VERSION),
  pipeline: z.looseObject({
    name: text,
    maxInterrupts: z.int().min(1),
    stages: z.array(z.looseObject(stageParts)).min(1),
    experiment: z
      .looseObject({
        name: text,
        boundaries: z.array(z.strictObject({ stage: text, from: z.enum(['interrupt', 'start']) })),
      })
      .optional(),
  }),
  input: text,
  vars: z.record(text, text),
  models: z.record(text, text),
  signals: z.array(planned),
  trace: z.strictObject({
    traceId: z.string().regex(/^[0-9a-f]{32}$/),
    parentSpanId: z
      .string()
      .regex(/^[0-9a-f]{16}$/)
      .optional(),
    sampled: z.boolean().optional(),
    state: text.optional(),
    baggage: text.optional(),
  }),
  experiment: experimentSchema.optional(),
  fingerprint: text.optional(),
  submittedBy: text.optional(),
  session: text.optional(),
  keepsTurns: z.literal(true).optional(),
  tags: z.record(text, text).optional(),
  tenant: text,
  priority: z.int().min(0),
})

/** What is to be run, as it was submitted. */
export interface RunSpec {
  readonly version: typeof FLEET_VERSION
  readonly pipeline: Pipeline
  readonly input: string
  readonly vars: Readonly<Record<string, string>>
  /** Alias → the model's name as the servers know it. */
  readonly models: Readonly<Record<string, string>>
  readonly signals: readonly PlannedSignal[]
  readonly trace: TraceContext
  readonly experiment?: ExperimentArm
  /** Tells what was asked under one run id apart. */
  readonly fingerprint?: string
  /** The name of the token that it was submitted with. */
  readonly submittedBy?: string
  /** Who talks. */
  readonly session?: string
  /** The session keeps its turns. */
  readonly keepsTurns?: true
  /** What else its caller said of it. */
  readonly tags?: Readonly<Record<string, string>>
  /** Whom it counts for when runs wait; '' for nobody. */
  readonly tenant: string
  /** Smaller goes first; 0 by default. */
  readonly priority: number
}

const stateSchema = z.strictObject({
  version: z.literal(FLEET_VERSION),
  machines: keptMachinesSchema,
  journal: z.looseObject({
    startedAt: z.number(),
    calls: z.array(z.looseObject({})),
    interrupts: z.array(z.looseObject({})),
    owners: z.array(z.looseObject({})),
  }),
  planned: z.array(planned),
  signals: z.int().min(0),
  delivered: z.int().min(0),
})

/** A run between two steps: what the next owner needs beside its events, its texts and the news of its calls. */
export interface RunState {
  readonly version: typeof FLEET_VERSION
  readonly machines: KeptMachines
  readonly journal: JournalState
  /** Planned signals that have not come. */
  readonly planned: readonly PlannedSignal[]
  /** The number of the last signal that was taken. */
  readonly signals: number
  /** The last event that a reader was handed. */
  readonly delivered: number
}

/** Throws `CAESURA_E_STATE` for what was not written by this version of the fleet. */
export const readSpec = (runId: string, value: string | undefined): RunSpec =>
  read(specSchema, `what the run ${runId} is to run`, value) as unknown as RunSpec

/** Throws `CAESURA_E_STATE`, as `readSpec`. */
export const readState = (runId: string, value: string): RunState =>
  read(stateSchema, `the state of the run ${runId}`, value) as unknown as RunState

function read<T>(schema: z.ZodType<T>, what: string, value: string | undefined): T {
  let parsed: unknown
  try {
    parsed = JSON.parse(value ?? '')
  } catch {
    throw unreadable(what, { received: value === undefined ? 'nothing' : value.slice(0, 100), expected: 'JSON' })
  }
  parsed = fromOlder(parsed)
  const result = schema.safeParse(parsed)
  if (result.success) return result.data
  const { version } = Object(parsed) as { version?: unknown }
  if (typeof version === 'number' && version !== FLEET_VERSION) throw new OtherVersion(what, version)
  const [issue] = result.error.issues
  throw unreadable(what, { path: issue?.path.join('.') ?? '', expected: issue?.message ?? '' })
}

/** Written by another version of the fleet: a worker of that version knows what to do with it. */
export class OtherVersion extends CaesuraError {
  constructor(what: string, version: number) {
    super('CAESURA_E_STATE', `${what} is of version ${version}, and this worker knows version ${FLEET_VERSION}`)
  }
}

const unreadable = (what: string, place: ErrorPlace): CaesuraError =>
  new CaesuraError('CAESURA_E_STATE', `Redis holds something else than ${what} (version ${FLEET_VERSION})`, place)
