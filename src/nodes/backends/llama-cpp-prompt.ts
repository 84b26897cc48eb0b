import type { ChatHistoryItem, ChatWrapperSettings, LlamaModel, Token } from 'node-llama-cpp'
import type { ChatMessage } from '../../core/call.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { Binding } from './llama-cpp-binding.ts'
import { commonPrefix } from './llama-cpp-slots.ts'
import type { ThoughtMarks } from './thought-splitter.ts'

/** For a model file without a chat template of its own. */
const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

/**
 * Renders messages to the tokens of a prompt. `thinks`: the model is asked to think before it answers. Throws `CAESURA_E_REQUEST` when the
 * model's template refuses them.
 */
export type PromptRenderer = (messages: readonly ChatMessage[], thinks?: boolean) => Token[]

/** What a model's chat template says. */
export interface ChatTemplate {
  readonly render: PromptRenderer
  /** How the model marks its thinking; undefined where the template tells of none. Read once, when it is asked for. */
  thoughts(): ThoughtMarks | undefined
}

/**
 * Renders with the chat template of the model's file, ChatML where it has none. The template's own special tokens become
 * special tokens; the same characters in a message stay text, so that a message cannot end its turn. Templates that can
 * think are asked not to, unless a call says so.
 */
export function chatTemplate({ library }: Binding, model: LlamaModel): ChatTemplate {
  const template = model.fileInfo.metadata.tokenizer?.chat_template ?? CHATML
  // Not `resolveChatWrapper`: for ChatML it takes a wrapper that puts a begin-of-text token first, whatever the file says.
  const wrapperFor = (reasoning: boolean) =>
    new library.JinjaTemplateChatWrapper({
      template,
      tokenizer: model.tokenizer,
      reasoning,
      functionCallMessageTemplate: 'noJinja',
      joinAdjacentMessagesOfTheSameType: false,
      trimLeadingWhitespaceInResponses: false,
    })
  const wrapper = wrapperFor(false)
  let thinker: ReturnType<typeof wrapperFor> | undefined
  const thinking = () => {
    thinker ??= wrapperFor(true)
    return thinker
  }
  const { bos, shouldPrependBosToken } = model.tokens

  const render: PromptRenderer = (messages, thinks = false) => {
    const chatHistory = [...messages.map(historyItem), { type: 'model' as const, response: [] }]
    let tokens: Token[]
    try {
      tokens = (thinks ? thinking() : wrapper)
        .generateContextState({ chatHistory })
        .contextText.tokenize(model.tokenizer)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new CaesuraError('CAESURA_E_REQUEST', `the chat template of the model refuses these messages: ${reason}`, {
        received: messages.map(({ role }) => role).join(', '),
        cause,
      })
    }
    return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens
  }
  return { render, thoughts: () => marksOf(thinking().settings) }
}

/** The blanks around marks differ from what models write. */
function marksOf({ segments }: ChatWrapperSettings): ThoughtMarks | undefined {
  const { prefix, suffix, openOnResponseStart = false } = segments?.thought ?? {}
  if (prefix === undefined || suffix === undefined) return undefined
  const end = suffix.toString().trim()
  const opens = typeof prefix === 'object' && 'type' in prefix && prefix.type === 'openedOnStart'
  const start = opens ? '' : prefix.toString().trim()
  return end === '' ? undefined : { prefix: start, suffix: end, isOpen: opens || openOnResponseStart }
}

/** The tokens that a prompt begins with whatever text its last message goes on with. */
export function openTokens(render: PromptRenderer, messages: readonly ChatMessage[]): Token[] {
  const last = messages.at(-1)
  if (last === undefined) return []
  // What follows may become one token with the last characters, and may not: both are tried.
  const goingOn = (more: string) => render([...messages.slice(0, -1), { ...last, content: last.content + more }])
  const [one, other] = [goingOn('a'), goingOn(' 1')]
  return one.slice(0, commonPrefix(one, other))
}

/** A call that has results of tools among its messages is refused before (`notHere`). */
function historyItem({ role, content }: ChatMessage): ChatHistoryItem {
  if (role === 'assistant') return { type: 'model', response: [content] }
  return { type: role === 'system' ? 'system' : 'user', text: content }
}
