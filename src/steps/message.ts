import { z } from 'zod'
import { type ChatMessage, chatRoles, type ToolCallSeen } from '../core/call.ts'
import { CaesuraError } from '../core/errors.ts'
import { checkImages, readImage } from '../core/image.ts'
import { textWithin } from '../core/number-schema.ts'
import { isRecord } from '../core/problems.ts'
import type { Opening, StepProblem, TemplatePlace } from '../core/step.ts'

/** A message of a prompt: its texts are Liquid templates. */
export interface MessageTemplate {
  readonly role: ChatMessage['role']
  readonly content?: string
  /** `data:` URLs, or templates that give one. */
  readonly images?: readonly string[]
  /** Calls, or a template that gives a JSON list of them. */
  readonly toolCalls?: string | readonly ToolCallSeen[]
  readonly toolCallId?: string
  readonly toolName?: string
}

const MOST_IMAGES = 16
const MOST_CALLS = 128
const CALLS = 'a list of calls ({ name, arguments, id? }), or a template that gives one as JSON'
const callSchema = z.strictObject({
  id: textWithin(200).optional(),
  name: textWithin(128),
  arguments: z.record(z.string(), z.any(), 'a mapping').default({}),
})

export const messageSchema = z.strictObject({
  role: z.enum(chatRoles, 'system, user, assistant or tool'),
  content: z.string('a text').optional().describe('A Liquid template.'),
  images: z
    .array(z.string('a text'), 'a list of pictures')
    .max(MOST_IMAGES, `at most ${MOST_IMAGES} pictures`)
    .optional()
    .describe('Of the user: a file beside the pipeline file, a data: URL, or a template that gives one.'),
  toolCalls: z
    .union([z.string(), z.array(callSchema).min(1).max(MOST_CALLS)], CALLS)
    .optional()
    .describe('Of the assistant: the tools that it called, or a template that gives them as JSON.'),
  toolCallId: z.string('a text').optional().describe('Of a tool: the id of the call that this is the result of.'),
  toolName: z.string('a text').optional().describe('Of a tool: its name.'),
})

/** What stands in a message of which role only. */
const rolesOf = { images: 'user', toolCalls: 'assistant', toolCallId: 'tool', toolName: 'tool' } as const

/** Whether a picture's text is a template, and no picture itself. */
const isTemplate = (image: unknown): boolean =>
  typeof image === 'string' && !/^\s*data:/i.test(image) && /\{[{%]/.test(image)

/** The templates of a message as it was written. `path`: to the message, from the stage. */
export function messageTemplates(written: unknown, path: readonly PropertyKey[]): TemplatePlace[] {
  const { role, content, images, toolCalls, toolCallId, toolName } = Object(written) as Record<string, unknown>
  const mayBeEmpty = role === 'tool' || toolCalls !== undefined || images !== undefined
  const emptyHint = 'Write the text of the message, such as "{{ input }}".'
  return [
    { path: [...path, 'content'], source: content, ...(!mayBeEmpty && { emptyHint }) },
    ...(Array.isArray(images) ? (images as unknown[]) : [])
      .slice(0, MOST_IMAGES)
      .flatMap((source, index) => (isTemplate(source) ? [{ path: [...path, 'images', index], source }] : [])),
    ...Object.entries({ toolCalls, toolCallId, toolName })
      .filter(([, source]) => typeof source === 'string')
      .map(([key, source]) => ({ path: [...path, key], source })),
  ]
}

/** What the schema cannot tell of a message as it was written. */
export function messageProblems(written: unknown, path: readonly PropertyKey[]): StepProblem[] {
  if (!isRecord(written)) return []
  const { role, content, images, toolCalls, toolCallId, toolName } = written
  const problems: StepProblem[] = []
  for (const [key, owner] of Object.entries(rolesOf)) {
    if (written[key] === undefined || role === owner || !chatRoles.includes(role as ChatMessage['role'])) continue
    const message = `stands in a message of role ${String(role)}`
    problems.push({ path: [...path, key], message, expected: `${key} in a message of role ${owner}` })
  }
  if (content === undefined && toolCalls === undefined && images === undefined)
    problems.push({ path: [...path, 'content'], message: 'is missing', expected: 'a text' })
  if (role === 'tool' && toolCallId === undefined && toolName === undefined)
    problems.push({ path, message: 'does not say which call it answers', expected: 'toolCallId, toolName or both' })
  for (const [index, image] of (Array.isArray(images) ? (images as unknown[]) : []).slice(0, MOST_IMAGES).entries()) {
    if (typeof image !== 'string' || isTemplate(image)) continue
    const fault = imageFault(image)
    if (fault !== undefined) problems.push({ path: [...path, 'images', index], ...fault })
  }
  return problems
}

function imageFault(image: string): Omit<StepProblem, 'path'> | undefined {
  try {
    readImage(image)
    return undefined
  } catch (error) {
    const { message, place } = error as CaesuraError
    return { message, expected: place.expected ?? '', received: place.received, code: 'CAESURA_E_IMAGE' }
  }
}

/** The message as a model is shown it. Throws `CAESURA_E_TEMPLATE`, `CAESURA_E_IMAGE`. */
export function filledIn(template: MessageTemplate, { stage, render }: Pick<Opening, 'stage' | 'render'>): ChatMessage {
  const { role, content = '', images = [], toolCalls, toolCallId, toolName } = template
  const pictures = images
    .map((image) => (isTemplate(image) ? render(image) : image))
    .filter((image) => image.trim() !== '')
  const calls = typeof toolCalls === 'string' ? callsIn(render(toolCalls), stage) : toolCalls
  const texts = Object.entries({ toolCallId, toolName }).flatMap(([key, text]) => {
    const filled = text === undefined ? '' : render(text)
    return filled === '' ? [] : [[key, filled]]
  })
  return {
    role,
    content: render(content),
    ...(pictures.length > 0 && { images: pictures.map((picture) => imageIn(picture, stage)) }),
    ...(calls !== undefined && calls.length > 0 && { toolCalls: calls }),
    ...Object.fromEntries(texts),
  }
}

/** Whether there is anything in it. A tool may well have answered nothing. */
export const saysAnything = ({ role, content, images, toolCalls }: ChatMessage): boolean =>
  content !== '' || images !== undefined || toolCalls !== undefined || role === 'tool'

function imageIn(picture: string, stage: string): string {
  try {
    return readImage(picture)
  } catch (error) {
    const { message, place } = error as CaesuraError
    throw new CaesuraError('CAESURA_E_IMAGE', `a picture of stage ${stage} ${message}`, place)
  }
}

/** Throws `CAESURA_E_IMAGE`. */
export function checkTogether(messages: readonly ChatMessage[], stage: string): void {
  try {
    checkImages(messages.flatMap(({ images = [] }) => images))
  } catch (error) {
    const { message, place } = error as CaesuraError
    throw new CaesuraError('CAESURA_E_IMAGE', `the pictures of stage ${stage} ${message}`, place)
  }
}

/** An empty text is no call at all. */
function callsIn(text: string, stage: string): ToolCallSeen[] {
  if (text.trim() === '') return []
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  const parsed = z
    .array(callSchema)
    .max(MOST_CALLS)
    .safeParse(value ?? undefined)
  if (parsed.success) return parsed.data as ToolCallSeen[]
  throw new CaesuraError('CAESURA_E_TEMPLATE', `toolCalls of stage ${stage} gives no list of calls`, {
    expected: 'JSON such as [{"name": "search", "arguments": {"query": "x"}}]',
    hint: 'Write toolCalls: "{{ STAGE.value.calls | json }}".',
  })
}
