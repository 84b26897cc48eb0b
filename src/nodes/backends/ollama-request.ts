import type { ChatRequest, Message } from 'ollama'
import type { Asking, CallRequest, ChatMessage, GenerationOptions } from '../../core/call.ts'
import { imageBase64 } from '../../core/image.ts'
import { toolOf } from './tool-description.ts'

/** What `/api/chat` is asked with. */
export function chatRequest({
  model,
  messages,
  options,
  think,
  format,
  tools,
  keepAliveMs,
  parameters,
}: Pick<CallRequest, 'model' | 'messages' | 'options'> & Asking): ChatRequest & {
  stream: true
  truncate: false
  shift: false
} {
  return {
    model,
    messages: messages.map(messageOf),
    options: { ...ollamaOptions(options), ...parameters },
    // Its types know neither every level nor that a number is taken for seconds.
    ...(think !== undefined && { think: think as boolean }),
    ...(format !== undefined && { format: format as string | object }),
    ...(tools !== undefined && { tools: tools.map(toolOf) as unknown as NonNullable<ChatRequest['tools']> }),
    ...(keepAliveMs !== undefined && { keep_alive: keepAliveMs < 0 ? -1 : keepAliveMs / 1000 }),
    // Without these a prompt beyond the context loses its oldest part in silence, and so does an answer that outgrows it.
    truncate: false,
    shift: false,
    stream: true,
  }
}

function ollamaOptions(options: GenerationOptions): NonNullable<ChatRequest['options']> {
  return {
    ...(options.temperature !== undefined && { temperature: options.temperature }),
    ...(options.maxTokens !== undefined && { num_predict: options.maxTokens }),
    ...(options.seed !== undefined && { seed: options.seed }),
    ...(options.topK !== undefined && { top_k: options.topK }),
    ...(options.topP !== undefined && { top_p: options.topP }),
    ...(options.stop !== undefined && { stop: [...options.stop] }),
    ...(options.contextTokens !== undefined && { num_ctx: options.contextTokens }),
  }
}

/** Arguments are a mapping here, and a result names its tool. */
function messageOf({ role, content, images, toolCalls, toolCallId, toolName }: ChatMessage): Message {
  return {
    role,
    content,
    ...(images !== undefined && { images: images.map(imageBase64) }),
    ...(toolCalls !== undefined && {
      tool_calls: toolCalls.map(({ id, name, arguments: given = {} }, index) => ({
        ...(id !== undefined && { id }),
        function: { index, name, arguments: { ...given } },
      })),
    }),
    ...(toolName !== undefined && { tool_name: toolName }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
  }
}
