import { z } from 'zod'
import { type CallRequest, chatRoles, finishReasons, thinkLevels } from '../core/call.ts'
import { CaesuraError } from '../core/errors.ts'
import { type RunEvent, runEventSchema } from '../core/event.ts'
import { markNames } from '../core/ledger.ts'
import { processSchema } from '../core/record.ts'
import type { GeneratedText } from '../core/transcript.ts'
import type { NewsBatch, NewsItem } from './news.ts'
import type { FleetRedis } from './redis.ts'

/**
 * What is found in Redis: written by a process of the fleet, or by anybody who can write there. Everything is checked where it is read;
 * what a newer version adds to an object is let through.
 */

const text = z.string()
const ms = z.number()
const count = z.int().min(0)

const acknowledgement = z.object({ callId: text.optional(), characters: count })

/**
 * What a signal says: what is asked, when it was sent (ms on the fleet's clock; absent: not known), which run it becomes where it is an input of a
 * session that no visit sees, and who waits for the answer.
 */
export const signalSchema = z.union([
  z.tuple([
    z.literal('interrupt'),
    z.looseObject({
      input: text.optional(),
      sentAt: ms.optional(),
      heard: acknowledgement.optional(),
      own: text.optional(),
    }),
    z.looseObject({ inbox: text, id: text }),
  ]),
  z.tuple([z.literal('cancel'), text]),
  z.tuple([z.literal('heard'), acknowledgement]),
])
export type SignalPayload = z.infer<typeof signalSchema>

const toolCallSchema = z.object({
  id: text.optional(),
  name: text,
  arguments: z.record(text, z.unknown()).optional(),
})

const callEndSchema = z.looseObject({
  end: z.enum(['completed', 'cancelled', 'failed']),
  error: z.object({ code: text, message: text, received: text.optional() }).optional(),
  retryable: z.boolean().optional(),
  retryAfterMs: ms.optional(),
  ofAnswer: z.boolean().optional(),
  finishReason: z.enum(finishReasons).optional(),
  finishSaid: text.optional(),
  toolCalls: z.array(toolCallSchema).optional(),
  promptTokens: count.optional(),
  cachedTokens: count.optional(),
  generatedTokens: count.optional(),
  thinkingTokens: count.optional(),
  server: z
    .looseObject({ totalNs: ms.optional(), loadNs: ms.optional(), prefillNs: ms.optional(), decodeNs: ms.optional() })
    .optional(),
})

const marks = new Set<unknown>(markNames)

const isText = (value: unknown): value is string => typeof value === 'string'

/** Where a call is made: a name, the kind of its backend, its address and its process. */
function isPlace(value: unknown): boolean {
  const { name, backend, address, process } = Object(value) as Record<string, unknown>
  if (!isText(name) || !isText(backend) || (address !== undefined && !isText(address))) return false
  return process === undefined || processSchema.safeParse(process).success
}

/** News come with every piece and every call, while a run waits: by hand, for schemas cost several times as much. */
function isNewsItem(item: unknown): item is NewsItem {
  if (!Array.isArray(item)) return false
  const [kind, first, second] = item
  switch (kind) {
    case 'token':
    case 'thinking':
      return item.length === 3 && Number.isFinite(first) && isText(second) && second !== ''
    case 'tool-call':
      return item.length === 3 && Number.isFinite(first) && toolCallSchema.safeParse(second).success
    case 'mark':
      return item.length === 3 && marks.has(first) && Number.isFinite(second)
    case 'placed':
      return item.length === 3 && isPlace(first) && isText(second)
    case 'late':
      return item.length === 2 && Number.isFinite(first)
    case 'end':
      return item.length === 2 && callEndSchema.safeParse(first).success
    default:
      return false
  }
}

/** A batch of news; undefined where it is none. */
export const asNews = (value: unknown): NewsBatch | undefined =>
  Array.isArray(value) && value.every(isNewsItem) ? value : undefined

const messageSchema = z.object({
  role: z.enum(chatRoles),
  content: text,
  images: z.array(text).optional(),
  toolCalls: z.array(toolCallSchema).optional(),
  toolCallId: text.optional(),
  toolName: text.optional(),
})
const schemaSchema = z.record(text, z.unknown())

/** The request of a call. Only what is named here goes on to a model server: of its trace, the three headers of the W3C. */
const callRequestSchema = z.object({
  callId: text,
  runId: text,
  stage: text,
  visit: z.int().min(1).optional(),
  attempt: z.int().min(1),
  model: text,
  messages: z.array(messageSchema),
  options: z.object({
    temperature: ms.optional(),
    maxTokens: ms.optional(),
    seed: ms.optional(),
    topK: ms.optional(),
    topP: ms.optional(),
    stop: z.array(text).optional(),
    contextTokens: ms.optional(),
  }),
  think: z.union([z.boolean(), z.enum(thinkLevels)]).optional(),
  keepAliveMs: ms.optional(),
  format: z.union([z.literal('json'), schemaSchema]).optional(),
  tools: z.array(z.object({ name: text, description: text.optional(), parameters: schemaSchema })).optional(),
  parameters: z.record(text, z.json()).optional(),
  placement: z.enum(['any', 'same', 'other']),
  otherwise: z.literal('any').optional(),
  previousNode: text.optional(),
  node: text.optional(),
  warmNode: text.optional(),
  trace: z
    .object({
      traceparent: text.regex(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/),
      tracestate: text.regex(/^[\x20-\x7e]*$/).optional(),
      baggage: text.regex(/^[\x20-\x7e]*$/).optional(),
    })
    .optional(),
})

/** Reads JSON; undefined for what is none. */
export function parseJson(value: string | null | undefined): unknown {
  try {
    return JSON.parse(value ?? '')
  } catch {
    return undefined
  }
}

/** Throws `CAESURA_E_STATE` for what is no request of this version. */
export function readCallRequest(callId: string, value: string | undefined): CallRequest {
  const read = callRequestSchema.safeParse(parseJson(value))
  if (read.success) return read.data as CallRequest
  const [issue] = read.error.issues
  throw unreadable(`the request of the call ${callId}`, issue?.path.join('.') ?? '', issue?.message ?? '')
}

/** Throws `CAESURA_E_STATE` for what is no signal. */
export function readSignal(value: unknown): SignalPayload {
  const read = signalSchema.safeParse(value)
  if (read.success) return read.data
  throw unreadable('a signal', read.error.issues[0]?.path.join('.') ?? '', 'an interrupt or a cancel')
}

const textSchema = z.looseObject({
  text,
  ends: z.array(count),
  times: z.array(ms),
  thoughts: count.optional(),
  thinking: text.optional(),
  toolCalls: z.array(toolCallSchema).optional(),
  lastPieceAt: ms.optional(),
})

/** The text of a call that has settled. Throws `CAESURA_E_STATE`. */
export function readText(runId: string, value: string): GeneratedText {
  const read = textSchema.safeParse(parseJson(value))
  if (read.success) return read.data as GeneratedText
  throw unreadable(`a text of the run ${runId}`, read.error.issues[0]?.path.join('.') ?? '')
}

/** The JSON of all entries of a stream; undefined in place of what is none. Throws `CAESURA_E_STATE` where it is no stream. */
export async function readStream({ client, refusals }: FleetRedis, key: string, what: string): Promise<unknown[]> {
  try {
    const entries = await refusals.waitOut(() => client.xrange(key, '-', '+'))
    return entries.map(([, [, value]]) => parseJson(value))
  } catch (error) {
    if (error instanceof Error && /WRONGTYPE/.test(error.message)) throw unreadable(what, '', 'a stream')
    throw error
  }
}

/** An event of a run; undefined where it is none. Tokens and thinking come by the thousand, so they are looked at by hand. */
export function asEvent(value: unknown): RunEvent | undefined {
  const event = value as RunEvent | null | undefined
  if (event?.type !== 'token' && event?.type !== 'thinking') return runEventSchema.safeParse(value).data
  const isPiece = [event.runId, event.stage, event.callId, event.text].every((each) => typeof each === 'string')
  return isPiece && Number.isFinite(event.seq) && Number.isFinite(event.ms) ? event : undefined
}

/** The error for something else in Redis than what belongs there. */
export const unreadable = (what: string, path = '', expected = ''): CaesuraError =>
  new CaesuraError('CAESURA_E_STATE', `Redis holds something else than ${what}`, { path, expected })
