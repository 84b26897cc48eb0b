import { z } from 'zod'
import { type ChatMessage, thinkLevels } from '../core/call.ts'
import { countSchema, durationSchema } from '../core/duration.ts'
import { CaesuraError } from '../core/errors.ts'
import { numberWithin, textWithin, wholeWithin } from '../core/number-schema.ts'
import { present } from '../core/present.ts'
import { orList } from '../core/problems.ts'
import { type Step, type StepProblem, stepKind } from '../core/step.ts'
import { BETWEEN } from '../core/turn.ts'
import { mentionsInterruptInput } from '../pipelines/template.ts'

/** A message of a prompt: its text is a Liquid template. */
export interface MessageTemplate {
  readonly role: ChatMessage['role']
  readonly content: string
}

/** The place of the conversation's turns among the messages: `{ history: }` in a file. */
export interface HistoryPlace {
  readonly history: null
}

type MessagePart = MessageTemplate | HistoryPlace

const isHistory = (part: MessagePart | ChatMessage): part is HistoryPlace => 'history' in part

/** A call of a model: its prompt is `system` and `prompt`, or `messages`. */
export interface ModelStep extends Step {
  readonly kind: 'model'
  /** Liquid templates. */
  readonly system?: string
  readonly prompt?: string
  readonly messages?: readonly MessagePart[]
}

const MESSAGES = 'a list of 1 to 100 messages'
const THINK = `true, false, ${orList(thinkLevels)}`
/** Longer parameters of a server are hardly meant. */
const MOST_PARAMETERS = 10_000

/** What the engine sets itself, of a request to either kind of server. */
const ownParameters = [
  'model',
  'messages',
  'stream',
  'stream_options',
  'options',
  'think',
  'keep_alive',
  'format',
  'tools',
]

const messageSchema = z.strictObject({
  role: z.enum(['system', 'user', 'assistant'], 'system, user or assistant'),
  content: z.string('a text').describe('A Liquid template.'),
})

const historySchema = z.strictObject({
  history: z.null('nothing').describe('The turns before this one, as `history` of the pipeline says.'),
})

/** Its JSON Schema would be a recursive one, whose definitions have no place inside of other schemas. */
const json = z.json()

/** Undefined for what is no JSON, or contains itself. */
function jsonOf(value: unknown): string | undefined {
  try {
    return json.safeParse(value).success ? JSON.stringify(value) : undefined
  } catch {
    return undefined
  }
}

const parametersSchema = z.record(z.string(), z.any()).check(({ value, issues }) => {
  const own = Object.keys(value).find((name) => ownParameters.includes(name))
  if (own !== undefined) {
    const params = { expected: 'a parameter that the engine does not set itself' }
    issues.push({ code: 'custom', path: [own], input: own, message: 'is set by the engine', params })
  }
  const text = jsonOf(value)
  if (text !== undefined && text.length <= MOST_PARAMETERS) return
  const params = { expected: `JSON of at most ${MOST_PARAMETERS} characters` }
  const message = text === undefined ? 'is no JSON' : 'is too large'
  issues.push({ code: 'custom', input: 'another mapping', message, params })
})

const FOR_EVER = -1

const optionsSchema = z.strictObject({
  temperature: numberWithin(0, 2).optional().describe('0 is greedy.'),
  maxTokens: countSchema.optional().describe('The most tokens to generate.'),
  seed: wholeWithin(0, 2_147_483_647).optional(),
  topK: wholeWithin(0, 1_000_000).optional(),
  topP: numberWithin(0, 1).optional(),
  stop: z
    .array(z.string('a text').min(1, 'a text that is not empty'))
    .max(16, 'at most 16 texts')
    .optional()
    .describe('Texts that end the answer.'),
  contextTokens: wholeWithin(1, 10_000_000)
    .optional()
    .describe('The size of the context window. On Ollama a change reloads the model.'),
})

export const modelShape = {
  model: textWithin(500).describe("An alias of the configuration, or a model's name as the server knows it."),
  system: z.string('a text').optional().describe('The system prompt; a Liquid template.'),
  prompt: z
    .string('a text')
    .optional()
    .describe('A Liquid template; it sees input, <stage>.output, interrupt.input, interrupt.at and vars.*.'),
  messages: z
    .array(z.union([messageSchema, historySchema]), MESSAGES)
    .min(1, MESSAGES)
    .max(100, MESSAGES)
    .optional()
    .describe('In place of `system` and `prompt`: what the model is shown, in order. An empty one is left out.'),
  options: optionsSchema.optional().describe("What steers sampling; what is left out is the server's default."),
  think: z
    .union([z.boolean(), z.enum(thinkLevels)], THINK)
    .optional()
    .describe(
      'Whether, and how hard, the model thinks before it answers; as the server does by itself where it is left out.',
    ),
  keepAlive: z
    .union([z.literal(FOR_EVER), durationSchema], 'a duration such as 30m, 0, or -1 for ever')
    .optional()
    .describe('How long an Ollama keeps the model in memory after the call; -1 for ever.'),
  parameters: parametersSchema
    .optional()
    .describe(
      'Handed to the server as they are, such as min_p: among the options of Ollama, else beside the messages.',
    ),
}

export const model = stepKind<z.output<z.ZodObject<typeof modelShape>>, ModelStep, never>({
  name: 'model',
  summary: 'Asks a model. Costs its tokens, and a slot of a node while it generates.',
  shape: modelShape,
  takesTime: true,
  jsonSchema: { oneOf: [{ required: ['prompt'] }, { required: ['messages'] }] },
  read: ({ model, system, prompt, messages, options, think, keepAlive, parameters }) => ({
    step: { kind: 'model', ...present({ system, prompt, messages }) },
    asks: { model, options: present(options ?? {}), ...present({ think, keepAliveMs: keepAlive, parameters }) },
  }),
  templates: ({ system, prompt, messages }) => [
    { path: ['system'], source: system },
    { path: ['prompt'], source: prompt, emptyHint: 'Write `prompt: "{{ input }}"`.' },
    ...(Array.isArray(messages) ? messages : []).slice(0, 100).map((message: unknown, index) => ({
      path: ['messages', index, 'content'],
      source: Object(message).content as unknown,
      emptyHint: 'Write the text of the message, such as "{{ input }}".',
    })),
  ],
  problems({ system, prompt, messages }, { hasHistory }) {
    if (messages === undefined)
      return prompt === undefined ? [{ path: ['prompt'], message: 'is missing', expected: 'a text, or messages' }] : []
    const misplaced = historyProblems(messages, hasHistory)
    if (misplaced.length > 0) return misplaced
    const beside = prompt !== undefined ? 'prompt' : system !== undefined ? 'system' : undefined
    if (beside === undefined) return []
    const expected = 'messages alone, or system and prompt'
    return [{ path: ['messages'], message: `stands beside ${beside}`, expected, received: 'both' }]
  },
  warnings: (step, policy) =>
    policy.then !== 'again' || templatesIn(step).some(({ content }) => mentionsInterruptInput(content))
      ? []
      : [
          {
            key: step.messages === undefined ? 'prompt' : 'messages',
            message: 'starts again after an interrupt, but its prompt never asks for interrupt.input',
            hint: 'Add `{% if interrupt.input %}{{ interrupt.input }}{% endif %}` to the prompt.',
          },
        ],
  open(step, { stage, render, emptyOutputs, history }) {
    const parts = messagesIn(step, history !== undefined)
    const messages = parts.map((part) => (isHistory(part) ? part : { role: part.role, content: render(part.content) }))
    const asked = messages.findLast((message) => !isHistory(message) && message.role !== 'system')
    if (asked === undefined || isHistory(asked) || asked.content.trim() === '') {
      const message = `the prompt of stage ${stage} is empty after its template was filled in`
      const why = templatesIn(step)
        .flatMap(({ content }) => emptyOutputs(content))
        .join('; ')
      throw new CaesuraError('CAESURA_E_PROMPT_EMPTY', why === '' ? message : `${message}: ${why}`)
    }
    return { messages: withHistory(messages, history).filter(({ content }) => content !== '') }
  },
  openAhead(step, known, history) {
    const parts: (ChatMessage | HistoryPlace)[] = []
    const opened = (isCut: boolean) => ({ messages: withHistory(parts, history), isCut })
    for (const part of messagesIn(step, history !== undefined)) {
      if (isHistory(part)) {
        if (history !== undefined && history.length > 0) parts.push(part)
        continue
      }
      const { text, isCut } = known(part.content)
      if (text !== '' || (isCut && parts.length > 0 && part.role !== 'system'))
        parts.push({ role: part.role, content: text })
      if (isCut) return opened(isCut)
    }
    return opened(false)
  },
})

/** The parts of a step's messages, however they were written. `hasHistory`: the turns stand between `system` and `prompt`. */
const messagesIn = ({ system, prompt, messages }: ModelStep, hasHistory: boolean): readonly MessagePart[] =>
  messages ?? [
    ...(system === undefined ? [] : [{ role: 'system' as const, content: system }]),
    ...(hasHistory ? [{ history: null }] : []),
    { role: 'user', content: prompt ?? '' },
  ]

/** The templates of a step's messages. */
const templatesIn = (step: ModelStep): MessageTemplate[] =>
  messagesIn(step, false).filter((part): part is MessageTemplate => !isHistory(part))

/** What is wrong with the places of the turns among messages as they were written. */
function historyProblems(messages: unknown, hasHistory: boolean): StepProblem[] {
  const places = (Array.isArray(messages) ? messages : []).flatMap((message: unknown, index) =>
    Object.hasOwn(Object(message), 'history') ? [index] : [],
  )
  const [first, second] = places
  if (first === undefined) return []
  const refuse = (index: number, message: string, expected: string): StepProblem[] => [
    { path: ['messages', index, 'history'], message, expected },
  ]
  if (!hasHistory)
    return refuse(first, 'stands in a pipeline without a history', '`history: { turns: N }` beside `stages`')
  if (second !== undefined) return refuse(second, 'stands there a second time', 'one place for the turns')
  return []
}

/** Messages with the turns in their place. A user's message next to a turn's own is one with it: models expect the two speakers to alternate. */
function withHistory(
  parts: readonly (ChatMessage | HistoryPlace)[],
  history: readonly ChatMessage[] = [],
): ChatMessage[] {
  const messages: ChatMessage[] = []
  let isBesideTurn = false
  const add = (message: ChatMessage, isTurn: boolean) => {
    const last = messages.at(-1)
    const isOne = (isTurn || isBesideTurn) && last?.role === 'user' && message.role === 'user' && message.content !== ''
    if (isOne)
      messages[messages.length - 1] = { ...last, ...message, content: last.content + BETWEEN + message.content }
    else messages.push(message)
    isBesideTurn = isTurn
  }
  for (const part of parts) {
    if (!isHistory(part)) add(part, false)
    else for (const turn of history) add(turn, true)
  }
  return messages
}
