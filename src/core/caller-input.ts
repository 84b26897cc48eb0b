import { z } from 'zod'
import type { RunHandle, SayOptions, Signal, StartOptions } from './engine.ts'
import { CaesuraError } from './errors.ts'
import { numberWithin, textWithin, wholeWithin } from './number-schema.ts'
import { busyChoices, type Pipeline } from './pipeline.ts'
import { present } from './present.ts'
import { isRecord, oneOrMany, orList, parseWith, show, toErrors } from './problems.ts'
import { checkSession } from './session.ts'
import { type Acknowledgement, paceSchema } from './speaking.ts'

/** The longest input of a run, of an interrupt, and value of a variable, in UTF-16 units: no longer prompt can be made of it. */
export const MOST_INPUT_CHARACTERS = 1_048_576

const DAY_MS = 24 * 3_600_000
const MOST_SIGNALS = 1000
const MOST_TOKENS = 1_000_000

/** May be empty. */
const expectedInput = `a text of at most ${MOST_INPUT_CHARACTERS.toLocaleString('en-US')} characters`
const inputSchema = z.string(expectedInput).max(MOST_INPUT_CHARACTERS, expectedInput)

const plannedSchema = z
  .strictObject({
    stage: z.string('a text').optional(),
    afterMs: numberWithin(0, DAY_MS).optional(),
    afterTokens: wholeWithin(1, MOST_TOKENS).optional(),
    input: inputSchema.optional(),
  })
  .refine((value) => (value.afterMs === undefined) !== (value.afterTokens === undefined), {
    error: 'does not say when',
    params: { expected: 'afterMs or afterTokens, one of the two' },
  })

const like = <T>(expected: string, holds: (value: Record<string, unknown>) => boolean) =>
  z.custom<T>((value) => typeof value === 'object' && value !== null && holds(value as Record<string, unknown>), {
    error: `is not ${expected}`,
    params: { expected },
  })

/** Whom a run counts for. */
export const tenantSchema = z.string('a text').regex(/^[A-Za-z0-9_.:@-]{1,100}$/, '1 to 100 letters, digits or _.:@-')

const MOST_TAGS = 20
const TAGS = `at most ${MOST_TAGS} tags`

/** What else is said of a run. */
export const tagsSchema = z
  .record(textWithin(100), z.string('a text').max(500, 'a text of at most 500 characters'))
  .check(({ value, issues }) => {
    if (Object.keys(value).length <= MOST_TAGS) return
    issues.push({ code: 'custom', input: 'more of them', message: 'are too many', params: { expected: TAGS } })
  })

const startSchema = z.strictObject({
  input: inputSchema,
  vars: z.record(z.string(), inputSchema).optional(),
  pace: paceSchema.optional(),
  interrupts: z.array(plannedSchema).max(MOST_SIGNALS, `at most ${MOST_SIGNALS} interrupts`).optional(),
  signals: z.array(plannedSchema).max(MOST_SIGNALS, `at most ${MOST_SIGNALS} signals`).optional(),
  signal: like<AbortSignal>('an AbortSignal', (value) => typeof value.addEventListener === 'function').optional(),
  runId: textWithin(200).optional(),
  // Its length is looked at where it is assigned.
  session: z.string('a text').optional(),
  tenant: tenantSchema.optional(),
  tags: tagsSchema.optional(),
  trace: like<NonNullable<StartOptions['trace']>>(
    'a trace: { traceId, of 32 hex digits, … }',
    ({ traceId }) => typeof traceId === 'string' && /^[0-9a-f]{32}$/.test(traceId),
  ).optional(),
  experiment: like<NonNullable<StartOptions['experiment']>>(
    'an arm: { name, arm }, two texts',
    ({ name, arm }) => typeof name === 'string' && typeof arm === 'string',
  ).optional(),
})

const startOptions = startSchema.superRefine(({ interrupts, signals }, { addIssue }) => {
  if (interrupts === undefined || signals === undefined) return
  const params = { expected: 'interrupts alone: signals is its older name' }
  addIssue({ code: 'custom', path: ['signals'], input: signals, message: 'stands beside interrupts', params })
})

const MOST_CHARACTERS = 2 ** 30

/** What was heard of an answer: its characters, or those of a call. */
export const acknowledgementSchema = z.strictObject({
  callId: textWithin(200).optional().describe('The call that spoke last by default.'),
  characters: wholeWithin(0, MOST_CHARACTERS).describe('UTF-16 units of its text, from the beginning.'),
})

const signalSchema = z.strictObject({ input: inputSchema.optional(), heard: acknowledgementSchema.optional() })
const reasonSchema = inputSchema.optional()
const seqSchema = wholeWithin(0, Number.MAX_SAFE_INTEGER)

/** Throws `CAESURA_E_USAGE`. */
function read<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = parseWith(schema, value)
  if ('value' in parsed) return parsed.value
  const problems = parsed.problems.map((problem) => ({ ...problem, path: [where, ...problem.path] }))
  throw oneOrMany(toErrors(problems, 'CAESURA_E_USAGE'))
}

/** What a run is started with (what is planned ahead under its older name, `signals`), as a caller without types may give it. Throws `CAESURA_E_USAGE` with the place and what was received. */
export function readStart(pipeline: unknown, options: unknown): { pipeline: Pipeline; options: StartOptions } {
  const checked = readPipeline(pipeline)
  const { interrupts, signals = interrupts, ...given } = read(startOptions, options, 'options')
  return { pipeline: checked, options: present({ ...given, signals }) as unknown as StartOptions }
}

/** Only what tells a checked pipeline from one that was written by hand. */
function readPipeline(pipeline: unknown): Pipeline {
  const stages: unknown[] = isRecord(pipeline) && Array.isArray(pipeline.stages) ? pipeline.stages : []
  const isChecked = (stage: unknown) => isRecord(stage) && isRecord(stage.policy) && isRecord(stage.policy.trigger)
  if (stages.length > 0 && stages.every(isChecked)) return pipeline as unknown as Pipeline
  throw new CaesuraError('CAESURA_E_USAGE', 'this is no pipeline that was checked', {
    path: 'pipeline',
    received: show(pipeline),
    expected: 'what definePipeline returns',
  })
}

/** A signal, as a caller without types may give it. Throws `CAESURA_E_USAGE`. */
export const readSignal = (signal: unknown): Signal => present(read(signalSchema, signal ?? {}, 'signal')) as Signal

/** What was heard, as a caller without types may give it. Throws `CAESURA_E_USAGE`. */
export const readAcknowledgement = (acknowledgement: unknown): Acknowledgement =>
  present(read(acknowledgementSchema, acknowledgement, 'heard')) as unknown as Acknowledgement

/** A run's handle that refuses what callers without types may give it: `CAESURA_E_USAGE`, and nothing of it reaches the run. */
export const checkedHandle = <Handle extends RunHandle>(handle: Handle): Handle => ({
  ...handle,
  eventsAfter: (seq) => handle.eventsAfter(read(seqSchema, seq, 'seq')),
  interrupt: async (signal) => handle.interrupt(readSignal(signal)),
  heard: async (acknowledgement) => handle.heard(readAcknowledgement(acknowledgement)),
  cancel: (reason) => handle.cancel(read(reasonSchema, reason, 'reason')),
})

const sessionOptions = startSchema.pick({ vars: true, tags: true, tenant: true })
const sayOptions = startSchema
  .pick({ vars: true, tags: true, interrupts: true, signal: true, trace: true })
  .extend({ busy: z.enum(busyChoices, orList(busyChoices)).optional() })

/** A session's pipeline and options, as a caller without types may give them. Throws `CAESURA_E_USAGE`. */
export function readSession(pipeline: unknown, id: unknown, options: unknown = {}) {
  checkSession(id)
  const given = present(read(sessionOptions, options, 'options'))
  return { pipeline: readPipeline(pipeline), id, options: given as Pick<StartOptions, 'vars' | 'tags' | 'tenant'> }
}

/** What is said, as a caller without types may give it. Throws `CAESURA_E_USAGE`. */
export function readSay(input: unknown, options: unknown = {}): { input: string; options: SayOptions } {
  return {
    input: read(inputSchema, input, 'input'),
    options: present(read(sayOptions, options, 'options')) as SayOptions,
  }
}
