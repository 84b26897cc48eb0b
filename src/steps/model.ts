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
import { formatSchema, jsonOf, limitsToolCalls, toolsOf, toolsSchema } from './asking.ts'
import {
  checkTogether,
  filledIn,
  type MessageTemplate,
  messageProblems,
  messageSchema,
  messageTemplates,
  saysAnything,
} from './message.ts'

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

const MOST_MESSAGES = 100
const MESSAGES = `a list of 1 to ${MOST_MESSAGES} messages`
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
  'response_format',
  'tools',
]

const historySchema = z.strictObject({
  history: z.null('nothing').describe('The turns before this one, as `history` of the pipeline says.'),
})

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
    .max(MOST_MESSAGES, MESSAGES)
    .optional()
    .describe('In place of `system` and `prompt`: what the model is shown, in order. An empty one is left out.'),
  options: optionsSchema.optional().describe("What steers sampling; what is left out is the server's default."),
  think: z
    .union([z.boolean(), z.enum(thinkLevels)], THINK)
    .optional()
    .describe(
      'Whether, and how hard, the model thinks before it answers; as the server does by itself where it is left out.',
    ),
  format: formatSchema
    .optional()
    .describe('`json` or a JSON Schema: what the answer has to be. It is checked, and is STAGE.value.'),
  tools: toolsSchema.optional().describe('What the model may call. Its calls are told; nothing is run.'),
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
  read: ({ model, system, prompt, messages, options, think, format, tools, keepAlive, parameters }) => ({
    step: { kind: 'model', ...present({ system, prompt, messages: messages?.map(present) }) } as ModelStep,
    asks: {
      model,
      options: present(options ?? {}),
      ...present({ think, format, tools: toolsOf(tools), keepAliveMs: keepAlive, parameters }),
    },
  }),
  templates: ({ system, prompt, messages }) => [
    { path: ['system'], source: system },
    { path: ['prompt'], source: prompt, emptyHint: 'Write `prompt: "{{ input }}"`.' },
    ...writtenMessages(messages).flatMap((message, index) => messageTemplates(message, ['messages', index])),
  ],
  problems: (written, { hasHistory }) => [
    ...promptProblems(written, hasHistory),
    ...writtenMessages(written.messages).flatMap((message, index) =>
      Object.hasOwn(Object(message), 'history') ? [] : messageProblems(message, ['messages', index]),
    ),
    ...toolProblems(written),
  ],
  warnings: (step, policy) =>
    policy.then !== 'again' || templatesIn(step).some(({ content = '' }) => mentionsInterruptInput(content))
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
    const messages = parts.map((part) => (isHistory(part) ? part : filledIn(part, { stage, render })))
    const asked = messages.findLast((message) => !isHistory(message) && message.role !== 'system')
    const hasText =
      asked !== undefined &&
      !isHistory(asked) &&
      (asked.content.trim() !== '' || saysAnything({ ...asked, content: '' }))
    if (!hasText) {
      const message = `the prompt of stage ${stage} is empty after its template was filled in`
      const why = templatesIn(step)
        .flatMap(({ content = '' }) => emptyOutputs(content))
        .join('; ')
      throw new CaesuraError('CAESURA_E_PROMPT_EMPTY', why === '' ? message : `${message}: ${why}`)
    }
    const all = withHistory(messages, history).filter(saysAnything)
    checkTogether(all, stage)
    return { messages: all }
  },
  openAhead(step, known, history) {
    const parts: (ChatMessage | HistoryPlace)[] = []
    const opened = (isCut: boolean) => ({ messages: withHistory(parts, history), isCut })
    for (const part of messagesIn(step, history !== undefined)) {
      if (isHistory(part)) {
        if (history !== undefined && history.length > 0) parts.push(part)
        continue
      }
      const { role, content = '', ...more } = part
      // What servers make of pictures and of calls is no text that goes on.
      if (Object.keys(more).length > 0) return opened(true)
      const { text, isCut } = known(content)
      if (text !== '' || (isCut && parts.length > 0 && role !== 'system')) parts.push({ role, content: text })
      if (isCut) return opened(isCut)
    }
    return opened(false)
  },
})

const writtenMessages = (messages: unknown): unknown[] =>
  Array.isArray(messages) ? (messages as unknown[]).slice(0, MOST_MESSAGES) : []

/** Of a stage as it was written. */
type Written = Readonly<Record<string, unknown>>

function promptProblems({ system, prompt, messages }: Written, hasHistory: boolean): StepProblem[] {
  if (messages === undefined)
    return prompt === undefined ? [{ path: ['prompt'], message: 'is missing', expected: 'a text, or messages' }] : []
  const misplaced = historyProblems(messages, hasHistory)
  if (misplaced.length > 0) return misplaced
  const beside = prompt !== undefined ? 'prompt' : system !== undefined ? 'system' : undefined
  if (beside === undefined) return []
  const expected = 'messages alone, or system and prompt'
  return [{ path: ['messages'], message: `stands beside ${beside}`, expected, received: 'both' }]
}

function toolProblems({ format, tools, timeout }: Written): StepProblem[] {
  const problems: StepProblem[] = []
  if (format !== undefined && tools !== undefined) {
    const hint = 'Servers hold the answer to its format, and no call is seen.'
    problems.push({
      path: ['tools'],
      message: 'stands beside format',
      expected: 'one of the two',
      received: 'both',
      hint,
    })
  }
  if (tools === undefined && limitsToolCalls(timeout)) {
    const expected = 'a limit of a stage with tools'
    problems.push({ path: ['timeout', 'toolCall'], message: 'limits calls of tools, and the stage has none', expected })
  }
  return problems
}

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
