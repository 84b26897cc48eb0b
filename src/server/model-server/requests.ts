import { z } from 'zod'
import {
  type Asking,
  type ChatMessage,
  chatRoles,
  type GenerationOptions,
  type JsonSchema,
  thinkLevels,
} from '../../core/call.ts'
import { CaesuraError } from '../../core/errors.ts'
import { imageUrl } from '../../core/image.ts'
import { present } from '../../core/present.ts'
import { schemaProblem } from '../../core/schema-check.ts'
import { Refusal } from './refusal.ts'

/** What `/api/chat` and `/api/generate` have in common once they are read. */
export interface AnswerRequest {
  /** As it was asked for; not checked yet. */
  readonly model: string
  /** Empty: the model is to be loaded, or unloaded, and nothing is to be said. */
  readonly messages: readonly ChatMessage[]
  /** What is asked for beside that. */
  readonly asks: Pick<Asking, 'think' | 'format' | 'tools'>
  /** False: the answer comes in one piece. */
  readonly stream: boolean
  /** Whether the model leaves memory after this (`keep_alive` 0). */
  readonly unload: boolean
  /** Reads the options, which Ollama does after it has looked for the model. Throws a `Refusal` (500). */
  options(): GenerationOptions
}

const duration = /^[-+]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+)$/
/** Seconds, or a duration of Go. */
const keepAlive = z
  .union([z.number(), z.string().refine((text) => duration.test(text), { params: { go: 'duration' } })])
  .nullish()
  .transform((value) => (typeof value === 'string' ? !/[1-9]/.test(value) : value === 0))

const unsupported = z.unknown().optional()
const shared = {
  model: z.string().nullish(),
  stream: z.boolean().nullish(),
  options: z.record(z.string(), z.unknown()).nullish(),
  keep_alive: keepAlive,
  format: z.unknown().optional(),
  think: z.unknown().optional(),
  logprobs: unsupported,
}
const images = z.array(z.string()).nullish()
const argumentsSchema = z.record(z.string(), z.unknown())
const toolCall = z.object({
  id: z.string().nullish(),
  function: z.object({ name: z.string(), arguments: argumentsSchema.nullish() }),
})
const tool = z.object({
  function: z.object({ name: z.string(), description: z.string().nullish(), parameters: argumentsSchema.nullish() }),
})
const message = z.object({
  role: z.string(),
  content: z.string().nullish(),
  images,
  tool_calls: z.array(toolCall).nullish(),
  tool_name: z.string().nullish(),
  tool_call_id: z.string().nullish(),
})
const chatBody = z.object({
  ...shared,
  messages: z.array(message).nullish(),
  tools: z.array(tool).nullish(),
})
const generateBody = z.object({
  ...shared,
  prompt: z.string().nullish(),
  system: z.string().nullish(),
  suffix: unsupported,
  images,
  template: unsupported,
  raw: unsupported,
  context: unsupported,
})
const showBody = z.object({ model: z.string().nullish(), name: z.string().nullish() })

/**
 * Messages of one request. Each costs the rendering of the prompt a fifth of a millisecond, in which nothing else is answered, and a
 * token or more of the window.
 */
export const MOST_MESSAGES = 512

/** Throws a `Refusal` (400). */
export function readChat(text: unknown): AnswerRequest {
  const body = read(chatBody, 'ChatRequest', text)
  refuseGiven({ logprobs: body.logprobs })
  const tools = (body.tools ?? []).map(({ function: { name, description, parameters } }) => ({
    name,
    ...(description ? { description } : {}),
    parameters: checkedSchema(parameters ?? {}, `parameters of the tool ${name}`),
  }))
  return requestOf(body, (body.messages ?? []).map(messageOf), tools.length > 0 ? { tools } : {})
}

/** Throws a `Refusal` (400). */
function messageOf({ role, content, images: pictures, ...of }: z.infer<typeof message>): ChatMessage {
  const known = chatRoles.find((each) => each === role)
  if (known === undefined) throw new Refusal(400, `the role ${JSON.stringify(role)} is not supported by this server`)
  const calls = (of.tool_calls ?? []).map(({ id, function: { name, arguments: given } }) => ({
    ...(id ? { id } : {}),
    name,
    arguments: given ?? {},
  }))
  return {
    role: known,
    content: content ?? '',
    ...(pictures && pictures.length > 0 && { images: pictures.map(pictureOf) }),
    ...(calls.length > 0 && { toolCalls: calls }),
    ...(of.tool_name && { toolName: of.tool_name }),
    ...(of.tool_call_id && { toolCallId: of.tool_call_id }),
  }
}

/** Throws a `Refusal` (400). */
function pictureOf(base64: string): string {
  const odd = base64.search(/[^A-Za-z0-9+/=\s]/)
  if (odd !== -1) throw new Refusal(400, `illegal base64 data at input byte ${odd}`)
  try {
    return imageUrl(Buffer.from(base64, 'base64'))
  } catch (error) {
    if (!(error instanceof CaesuraError)) throw error
    throw new Refusal(400, `an image ${error.message}: ${error.place.expected}`)
  }
}

/** Throws a `Refusal` (400). */
export function readGenerate(text: unknown): AnswerRequest {
  const { prompt, system, ...body } = read(generateBody, 'GenerateRequest', text)
  const { suffix, images: pictures, template, raw, context, logprobs } = body
  refuseGiven({ suffix, template, raw, context, logprobs })
  const asked: ChatMessage[] = prompt ? [messageOf({ role: 'user', content: prompt, images: pictures })] : []
  return requestOf(body, system && prompt ? [{ role: 'system', content: system }, ...asked] : asked)
}

/** The model that is asked after. Throws a `Refusal` (400). */
export function readShow(text: unknown): string {
  const { model, name } = read(showBody, 'ShowRequest', text)
  return model || name || ''
}

type Shared = Pick<z.infer<typeof chatBody>, 'model' | 'stream' | 'options' | 'keep_alive' | 'format' | 'think'>

const requestOf = (
  body: Shared,
  messages: readonly ChatMessage[],
  more: Pick<Asking, 'tools'> = {},
): AnswerRequest => ({
  model: body.model ?? '',
  messages,
  asks: { ...more, ...thinkOf(body.think), ...formatOf(body.format) },
  stream: body.stream ?? true,
  unload: body.keep_alive,
  options: () => generationOptions(body.options ?? {}),
})

/** Throws a `Refusal` (400), in Ollama's words. */
function thinkOf(think: unknown): Pick<Asking, 'think'> {
  if (think === undefined || think === null) return {}
  const known = [true, false, ...thinkLevels].find((each) => each === think)
  if (known !== undefined) return { think: known }
  const words = 'must be "high", "medium", "low", "max", true, or false'
  throw new Refusal(400, `invalid think value: ${JSON.stringify(think)} (${words})`)
}

/** Throws a `Refusal` (500 for what is no schema at all, in Ollama's words). */
function formatOf(format: unknown): Pick<Asking, 'format'> {
  if (format === undefined || format === null || format === '') return {}
  if (format === 'json') return { format }
  const parsed = argumentsSchema.safeParse(format)
  if (parsed.success) return { format: checkedSchema(parsed.data, 'JSON schema in format') }
  const said = JSON.stringify(JSON.stringify(format))
  throw new Refusal(500, `invalid format: ${said}; expected "json" or a valid JSON Schema object`)
}

/** Throws a `Refusal` (400): for a schema that is recursive too, which some backends could not follow. */
function checkedSchema(schema: JsonSchema, what: string): JsonSchema {
  const problem = schemaProblem(schema)
  if (problem === undefined) return schema
  throw new Refusal(400, `invalid ${what}: it ${problem.message}`)
}

/** What this server cannot do is refused: an answer that ignored it would be another one than was asked for. */
function refuseGiven(fields: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(fields)) {
    const isEmpty = Array.isArray(value) ? value.length === 0 : !value
    if (!isEmpty) throw new Refusal(400, `${name} is not supported by this server`)
  }
}

function read<T>(schema: z.ZodType<T>, name: string, text: unknown): T {
  if (typeof text !== 'string' || text === '') throw new Refusal(400, 'missing request body')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Refusal(
      400,
      /unexpected end|unterminated|expected .* at position/i.test(reason) ? 'unexpected EOF' : reason,
    )
  }
  // Before each of them is looked at.
  const { messages } = (json ?? {}) as { messages?: unknown }
  if (Array.isArray(messages) && messages.length > MOST_MESSAGES)
    throw new Refusal(400, `${messages.length} messages are too many: this server takes at most ${MOST_MESSAGES}`)
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new Refusal(400, goSentence(parsed.error.issues[0], name, json))
}

const goTypes: Readonly<Record<string, string>> = { boolean: 'bool', number: 'float64', array: '[]', record: 'map' }

/** What Go's decoder says of a value of a wrong type. */
function goSentence(issue: z.core.$ZodIssue | undefined, name: string, json: unknown): string {
  const path = issue?.path ?? []
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], json)
  const kind = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value
  if (path[0] === 'keep_alive') return `time: invalid duration ${JSON.stringify(value)}`
  const got = kind === 'boolean' ? 'bool' : kind
  if (path.length === 0) return `json: cannot unmarshal ${got} into Go value of type api.${name}`
  const expected = issue?.code === 'invalid_type' ? issue.expected : ''
  const fields = path.filter((key) => typeof key === 'string').join('.')
  return `json: cannot unmarshal ${got} into Go struct field ${name}.${fields} of type ${goTypes[expected] ?? expected}`
}

const optionTypes = {
  temperature: 'float32',
  top_p: 'float32',
  num_predict: 'integer',
  seed: 'integer',
  top_k: 'integer',
  num_ctx: 'integer',
} as const

/** Throws a `Refusal` (500). Options that are not known are ignored, as by Ollama. */
function generationOptions(options: Readonly<Record<string, unknown>>): GenerationOptions {
  const numberOf = (name: keyof typeof optionTypes): number | undefined => {
    const value = options[name] ?? undefined
    if (value === undefined || typeof value === 'number') return value
    throw new Refusal(500, `option "${name}" must be of type ${optionTypes[name]}`)
  }
  const wholeOf = (name: keyof typeof optionTypes) => {
    const value = numberOf(name)
    return value === undefined ? undefined : Math.trunc(value)
  }
  /** 0 and less mean "no limit" or "the default". */
  const positive = (value: number | undefined) => (value !== undefined && value > 0 ? value : undefined)
  const stop = z.array(z.string()).nullish().safeParse(options.stop)
  if (!stop.success) throw new Refusal(500, 'option "stop" must be of type array')
  const [temperature, topP, seed] = [numberOf('temperature'), numberOf('top_p'), wholeOf('seed')]
  const [maxTokens, contextTokens] = [positive(wholeOf('num_predict')), positive(wholeOf('num_ctx'))]
  const topK = wholeOf('top_k')
  return {
    ...present({ temperature, topP, seed, maxTokens }),
    ...(topK !== undefined && topK >= 0 && { topK }),
    ...present({ contextTokens }),
    ...(stop.data && stop.data.length > 0 && { stop: stop.data.filter((text) => text !== '') }),
  }
}
