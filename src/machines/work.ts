import { whyNoText } from '../core/answer-end.ts'
import { generateOn } from '../core/backend-call.ts'
import type { Asking, CallRequest, ChatMessage } from '../core/call.ts'
import type { Stage } from '../core/pipeline.ts'
import type { Executor } from '../core/ports.ts'
import type { KnownText, StepKind } from '../core/step.ts'
import { tokensOf } from '../core/token-counts.ts'
import type { Transcript } from '../core/transcript.ts'
import { definitionOf, type RunEnvironment } from './environment.ts'
import { historyOf, inputOf } from './turns-of-run.ts'

/** What templates see: see `TemplateScope`. */
type Scope = Readonly<Record<string, unknown>>

/** What a run has come to, as far as prompts see it: the newest interrupt, and what each stage hands on. */
export interface Outcomes {
  readonly lastInterrupt: { readonly input?: string; readonly at: number } | null
  readonly outputs: Readonly<Record<string, string>>
  /** Absent in what older versions kept. */
  readonly answers?: Readonly<Record<string, HandedOn>>
}

/** The call of a stage whose answer goes on. `whole`: all of it, so that its value does too. */
export interface HandedOn {
  readonly callId: string
  readonly whole: boolean
}

/**
 * What templates see at this moment of the run, as it is kept with a call. What a stage thought and its value are read from the journal
 * when a template is filled in: they may be long.
 */
export const scopeOf = (environment: RunEnvironment, { lastInterrupt, outputs, answers = {} }: Outcomes): Scope => ({
  input: inputOf(environment),
  session: environment.journal.run.session ?? null,
  vars: environment.vars,
  interrupt: lastInterrupt ?? {},
  ...Object.fromEntries(
    environment.pipeline.stages.map(({ id }) => [
      id,
      { output: outputs[id] ?? '', ...(answers[id] && { from: answers[id] }) },
    ]),
  ),
})

/** What a scope has of a stage. */
interface StageScope {
  readonly output?: string
  readonly from?: HandedOn
}

function filledIn({ pipeline, journal }: RunEnvironment, scope: Scope): Scope {
  const stages = pipeline.stages.map(({ id }) => {
    const { output = '', from } = (scope[id] ?? {}) as StageScope
    const call = from === undefined ? undefined : journal.calls.get(from.callId)
    return [
      id,
      {
        output,
        thinking: call?.thinking ?? '',
        get value() {
          return (from?.whole ? call?.value : undefined) ?? null
        },
      },
    ]
  })
  return { ...scope, ...Object.fromEntries(stages) }
}

const kindOf = ({ catalogue }: RunEnvironment, name: string): StepKind =>
  definitionOf('kind of step', catalogue.steps, name)

/**
 * What a stage's call is made of at this moment of the run, without the pictures of its messages, which are put in when it is sent
 * (`sentRequest`). Throws `CAESURA_E_TEMPLATE`, `CAESURA_E_PROMPT_EMPTY`, `CAESURA_E_IMAGE`.
 */
export function workOf(
  environment: RunEnvironment,
  stage: Stage,
  scope: Scope,
): Pick<CallRequest, 'model' | 'messages' | 'options' | 'work'> & Asking {
  const opened = openedBy(environment, stage, scope)
  const { asks } = stage
  if (asks === undefined) return { model: '', messages: [], options: {}, ...opened }
  const whole = { ...asks, model: environment.resolveModel(asks.model), messages: [], ...opened }
  return {
    ...whole,
    messages: whole.messages.map((message) => (message.images ? { ...message, images: [] } : message)),
  }
}

function openedBy(environment: RunEnvironment, { id, step }: Stage, scope: Scope): ReturnType<StepKind['open']> {
  const seen = filledIn(environment, scope)
  const history = historyOf(environment)
  return kindOf(environment, step.kind).open(step, {
    stage: id,
    ...(history !== undefined && { history }),
    render: (template) => environment.render(template, seen),
    emptyOutputs: (template) => emptyOutputs(environment, template, scope),
  })
}

/**
 * A call as it is sent: with the pictures of its messages. These are in no journal, and so in no state, record or span; whoever takes the
 * run over has them from the pipeline and the variables. Throws as `workOf`.
 */
export function sentRequest(
  environment: RunEnvironment,
  stage: Stage,
  { request, scope = {} }: Transcript,
): CallRequest {
  if (!request.messages.some(({ images }) => images !== undefined)) return request
  const opened = openedBy(environment, stage, scope)
  const pictures = 'messages' in opened ? opened.messages.flatMap(({ images }) => (images ? [images] : [])) : []
  const put = (message: ChatMessage) => (message.images ? { ...message, images: pictures.shift() ?? [] } : message)
  return { ...request, messages: request.messages.map(put) }
}

/** Tells for each stage whose output or value a template asks for, and that has none, why it has not. */
function emptyOutputs({ pipeline, journal }: RunEnvironment, template: string, scope: Scope): string[] {
  return pipeline.stages.flatMap(({ id }) => {
    const { output, from } = (scope[id] ?? {}) as StageScope
    const asked = ['output', 'value'].find((name) => new RegExp(`\\b${id}\\.${name}\\b`).test(template))
    if (asked === undefined || (asked === 'output' ? output !== '' : from?.whole === true)) return []
    const empty = `${id}.${asked} is empty, because`
    const call = [...journal.calls.values()].findLast(({ request }) => request.stage === id)
    if (call === undefined) return []
    if (asked === 'value' && call.end?.end !== 'completed') return [`${empty} its call was cut`]
    if (call.text !== '') return [`${empty} its policy carried nothing on`]
    if (call.end?.end !== 'completed') return [`${empty} its call ended before its first text`]
    return [`${empty} ${whyNoText({ ...call.end, thinking: tokensOf(call, 0).thinking })}`]
  })
}

/**
 * The beginning of a stage's messages that holds whatever the stage `running` answers and whether it is interrupted. `isCut`: the
 * last message goes on. Empty where nothing is known. Throws `CAESURA_E_TEMPLATE`.
 */
export function knownMessages(
  environment: RunEnvironment,
  { step }: Stage,
  scope: Scope,
  running: string,
): ReturnType<NonNullable<StepKind['openAhead']>> {
  const seen = filledIn(environment, scope)
  const known = (template: string): KnownText => environment.renderKnownStart(template, seen, running)
  return (
    kindOf(environment, step.kind).openAhead?.(step, known, historyOf(environment)) ?? { messages: [], isCut: true }
  )
}

/** Who does a call: the nodes, or the kind of its step in this process. */
export function executorOf(environment: RunEnvironment, { work }: CallRequest): Pick<Executor, 'execute'> {
  if (work === undefined) return environment.executor
  const kind = kindOf(environment, work.kind)
  return {
    execute: (request, { clock, signal, observer }) => {
      if (kind.takesTime) observer.mark('work-start')
      const generate = async (_: CallRequest, context: Parameters<NonNullable<StepKind['perform']>>[1]) =>
        kind.perform!(work, context)
      return generateOn({ role: 'step', kind: kind.name, generate }, request, { ...observer, clock, signal })
    },
  }
}
