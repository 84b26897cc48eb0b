import { whyNoText } from '../core/answer-end.ts'
import { generateOn } from '../core/backend-call.ts'
import type { Asking, CallRequest } from '../core/call.ts'
import type { Stage } from '../core/pipeline.ts'
import type { Executor } from '../core/ports.ts'
import type { KnownText, StepKind } from '../core/step.ts'
import { tokensOf } from '../core/token-counts.ts'
import { definitionOf, type RunEnvironment } from './environment.ts'
import { historyOf, inputOf } from './turns-of-run.ts'

/** What templates see: see `TemplateScope`. */
type Scope = Readonly<Record<string, unknown>>

/** What a run has come to, as far as prompts see it: the newest interrupt, and what each stage hands on. */
export interface Outcomes {
  readonly lastInterrupt: { readonly input?: string; readonly at: number } | null
  readonly outputs: Readonly<Record<string, string>>
}

/** What templates see at this moment of the run. */
export const scopeOf = (environment: RunEnvironment, { lastInterrupt, outputs }: Outcomes): Scope => ({
  input: inputOf(environment),
  session: environment.journal.run.session ?? null,
  vars: environment.vars,
  interrupt: lastInterrupt ?? {},
  ...Object.fromEntries(environment.pipeline.stages.map(({ id }) => [id, { output: outputs[id] ?? '' }])),
})

const kindOf = ({ catalogue }: RunEnvironment, name: string): StepKind =>
  definitionOf('kind of step', catalogue.steps, name)

/** What a stage's call is made of at this moment of the run. Throws `CAESURA_E_TEMPLATE`, `CAESURA_E_PROMPT_EMPTY`. */
export function workOf(
  environment: RunEnvironment,
  { id, step, asks }: Stage,
  scope: Scope,
): Pick<CallRequest, 'model' | 'messages' | 'options' | 'work'> & Asking {
  const history = historyOf(environment)
  const opened = kindOf(environment, step.kind).open(step, {
    stage: id,
    ...(history !== undefined && { history }),
    render: (template) => environment.render(template, scope),
    emptyOutputs: (template) => emptyOutputs(environment, template, scope),
  })
  if (asks === undefined) return { model: '', messages: [], options: {}, ...opened }
  return { ...asks, model: environment.resolveModel(asks.model), messages: [], ...opened }
}

/** Tells for each stage whose output a template asks for, and whose answer was empty, why it was. */
function emptyOutputs({ pipeline, journal }: RunEnvironment, template: string, scope: Scope): string[] {
  return pipeline.stages.flatMap(({ id }) => {
    const { output } = (scope[id] ?? {}) as { readonly output?: string }
    if (output !== '' || !new RegExp(`\\b${id}\\.output\\b`).test(template)) return []
    const call = [...journal.calls.values()].findLast(({ request }) => request.stage === id)
    if (call === undefined) return []
    if (call.text !== '') return [`${id}.output is empty, because its policy carried nothing on`]
    if (call.end?.end !== 'completed') return [`${id}.output is empty, because its call ended before its first text`]
    return [`${id}.output is empty, because ${whyNoText({ ...call.end, thinking: tokensOf(call, 0).thinking })}`]
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
  const known = (template: string): KnownText => environment.renderKnownStart(template, scope, running)
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
