import type { Asking, ChatMessage, DocumentFormat, GenerationOptions, Think, ToolCallSeen } from '../../core/call.ts'
import { toolOf } from './tool-description.ts'

/** What is asked of a model. */
interface Chat extends Asking {
  readonly model: string
  readonly messages: readonly ChatMessage[]
  readonly options: GenerationOptions
}

/** What `/chat/completions` is asked with. */
export const chatBody = ({ model, messages, options, think, format, tools, parameters }: Chat) => ({
  model,
  messages: messagesOf(messages),
  ...(options.temperature !== undefined && { temperature: options.temperature }),
  ...(options.maxTokens !== undefined && { max_tokens: options.maxTokens }),
  ...(options.seed !== undefined && { seed: options.seed }),
  ...(options.topK !== undefined && { top_k: options.topK }),
  ...(options.topP !== undefined && { top_p: options.topP }),
  ...(options.stop !== undefined && { stop: [...options.stop] }),
  ...(think !== undefined && thinkingOf(think)),
  ...(format !== undefined && { response_format: responseFormat(format) }),
  ...(tools !== undefined && { tools: tools.map(toolOf) }),
  ...parameters,
})

/**
 * Servers know two ways to be told: `reasoning_effort` (OpenAI, Ollama's /v1, OpenRouter) and an argument of the chat template (vLLM, llama.cpp,
 * SGLang). Both are sent, for the API does not say whose it is.
 */
const thinkingOf = (think: Think) => ({
  reasoning_effort: think === false ? 'none' : think === true ? 'medium' : think === 'max' ? 'high' : think,
  chat_template_kwargs: { enable_thinking: think !== false },
})

/** `strict` is left out: it allows a part of JSON Schema alone, and the answer is checked here anyway. */
const responseFormat = (format: DocumentFormat) =>
  format === 'json' ? { type: 'json_object' } : { type: 'json_schema', json_schema: { name: 'answer', schema: format } }

/**
 * Such servers want an id of every call, and of every result. A call without one gets a number; a result without one belongs to the first
 * call of its tool that has no result yet.
 */
function messagesOf(messages: readonly ChatMessage[]) {
  const open: { readonly id: string; readonly name: string }[] = []
  let number = 0
  const callOf = ({ id = `call_${++number}`, name, arguments: given = {} }: ToolCallSeen) => {
    open.push({ id, name })
    return { id, type: 'function' as const, function: { name, arguments: JSON.stringify(given) } }
  }
  const answered = ({ toolCallId, toolName }: ChatMessage) => {
    const at = open.findIndex(({ id, name }) => (toolCallId === undefined ? name === toolName : id === toolCallId))
    const [call] = at === -1 ? [] : open.splice(at, 1)
    return toolCallId ?? call?.id ?? toolName
  }
  return messages.map((message) => {
    const { role, content, images, toolCalls } = message
    if (role === 'tool') return { role, content, tool_call_id: answered(message) }
    return {
      role,
      content: images === undefined ? content : partsOf(content, images),
      ...(toolCalls !== undefined && { tool_calls: toolCalls.map(callOf) }),
    }
  })
}

const partsOf = (text: string, images: readonly string[]) => [
  ...(text === '' ? [] : [{ type: 'text', text }]),
  ...images.map((url) => ({ type: 'image_url', image_url: { url } })),
]
