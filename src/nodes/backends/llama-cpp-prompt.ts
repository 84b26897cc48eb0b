import type { ChatHistoryItem, LlamaModel, Token } from 'node-llama-cpp'
import type { ChatMessage } from '../../core/call.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { Binding } from './llama-cpp-binding.ts'
import { commonPrefix } from './llama-cpp-slots.ts'

/** For a model file without a chat template of its own. */
const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

/** Renders messages to the tokens of a prompt. Throws `CAESURA_E_REQUEST` when the model's template refuses them. */
export type PromptRenderer = (messages: readonly ChatMessage[]) => Token[]

/**
 * Renders with the chat template of the model's file, ChatML where it has none. The template's own special tokens become
 * special tokens; the same characters in a message stay text, so that a message cannot end its turn. Templates that can
 * think are asked not to.
 */
export function promptRenderer({ library }: Binding, model: LlamaModel): PromptRenderer {
  const template = model.fileInfo.metadata.tokenizer?.chat_template ?? CHATML
  // Not `resolveChatWrapper`: for ChatML it takes a wrapper that puts a begin-of-text token first, whatever the file says.
  const wrapper = new library.JinjaTemplateChatWrapper({
    template,
    tokenizer: model.tokenizer,
    reasoning: false,
    functionCallMessageTemplate: 'noJinja',
    joinAdjacentMessagesOfTheSameType: false,
    trimLeadingWhitespaceInResponses: false,
  })
  const { bos, shouldPrependBosToken } = model.tokens

  return (messages) => {
    const chatHistory = [...messages.map(historyItem), { type: 'model' as const, response: [] }]
    let tokens: Token[]
    try {
      tokens = wrapper.generateContextState({ chatHistory }).contextText.tokenize(model.tokenizer)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new CaesuraError('CAESURA_E_REQUEST', `the chat template of the model refuses these messages: ${reason}`, {
        received: messages.map(({ role }) => role).join(', '),
        cause,
      })
    }
    return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens
  }
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
