import { whyNoText } from '../core/answer-end.ts'
import type { CallRequest, ChatMessage } from '../core/call.ts'
import { CaesuraError } from '../core/errors.ts'
import { isModelStage, type ModelStage, type Stage } from '../core/pipeline.ts'
import { tokensOf } from '../core/token-counts.ts'
import type { RunEnvironment } from './environment.ts'

/** What templates see: see `TemplateScope`. */
type Scope = Readonly<Record<string, unknown>>

/** What a run has come to, as far as prompts see it: the newest interrupt, and what each stage hands on. */
export interface Outcomes {
  readonly lastInterrupt: { readonly input?: string; readonly at: number } | null
  readonly outputs: Readonly<Record<string, string>>
}

/** What templates see at this moment of the run. */
export const scopeOf = ({ pipeline, input, vars }: RunEnvironment, { lastInterrupt, outputs }: Outcomes): Scope => ({
  input,
  vars,
  interrupt: lastInterrupt ?? {},
  ...Object.fromEntries(pipeline.stages.map(({ id }) => [id, { output: outputs[id] ?? '' }])),
})

/** What a stage asks for at this moment of the run. Throws `CAESURA_E_TEMPLATE`, `CAESURA_E_PROMPT_EMPTY`. */
export function workOf(
  environment: RunEnvironment,
  stage: Stage,
  scope: Scope,
): Pick<CallRequest, 'model' | 'messages' | 'options' | 'say'> {
  if (!isModelStage(stage)) return { model: '', messages: [], options: {}, say: environment.render(stage.say, scope) }
  const { model, options } = stage
  return { model: environment.resolveModel(model), messages: messagesOf(environment, stage, scope), options }
}

/** A stage's messages, filled in. Throws `CAESURA_E_TEMPLATE`, `CAESURA_E_PROMPT_EMPTY`. */
function messagesOf(environment: RunEnvironment, stage: ModelStage, scope: Scope): ChatMessage[] {
  const { render } = environment
  const system = stage.system === undefined ? '' : render(stage.system, scope)
  const prompt = render(stage.prompt, scope)
  if (prompt.trim() === '') {
    const message = `the prompt of stage ${stage.id} is empty after its template was filled in`
    const why = emptyOutputs(environment, stage, scope).join('; ')
    throw new CaesuraError('CAESURA_E_PROMPT_EMPTY', why === '' ? message : `${message}: ${why}`)
  }
  return [...(system === '' ? [] : [{ role: 'system' as const, content: system }]), { role: 'user', content: prompt }]
}

/** Of the stages whose output a prompt asks for, those whose answer was empty, each with the reason. */
function emptyOutputs({ pipeline, journal }: RunEnvironment, { prompt }: ModelStage, scope: Scope): string[] {
  return pipeline.stages.flatMap(({ id }) => {
    const { output } = (scope[id] ?? {}) as { readonly output?: string }
    if (output !== '' || !new RegExp(`\\b${id}\\.output\\b`).test(prompt)) return []
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
  { renderKnownStart }: RunEnvironment,
  stage: ModelStage,
  scope: Scope,
  running: string,
): { readonly messages: readonly ChatMessage[]; readonly isCut: boolean } {
  const messages: ChatMessage[] = []
  let isCut = false
  if (stage.system !== undefined) {
    const { text, isCut: isSystemCut } = renderKnownStart(stage.system, scope, running)
    isCut = isSystemCut
    if (text !== '') messages.push({ role: 'system', content: text })
  }
  if (!isCut) {
    const prompt = renderKnownStart(stage.prompt, scope, running)
    isCut = prompt.isCut
    if (prompt.text !== '' || messages.length > 0) messages.push({ role: 'user', content: prompt.text })
  }
  return { messages, isCut }
}
