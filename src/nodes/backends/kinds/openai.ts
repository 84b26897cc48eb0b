import { z } from 'zod'
import { backendKind } from '../../../core/backend-kind.ts'
import { present } from '../../../core/present.ts'
import { httpOf, httpSecrets, httpShape } from './http.ts'

const openaiShape = {
  ...httpShape(
    'http://127.0.0.1:8080/v1',
    "The API's base, such as http://127.0.0.1:8080/v1; without a path, /v1 is meant.",
  ),
  witness: z
    .literal('slots')
    .optional()
    .describe('Waits after an abort until GET /slots of a llama.cpp server shows the slot free.'),
}
type OpenAiConfig = z.output<z.ZodObject<typeof openaiShape>>

/** `backend: openai`. */
export const openaiKind = backendKind<OpenAiConfig>({
  name: 'openai',
  summary: 'A server with an OpenAI-compatible API: llama.cpp, vLLM, LM Studio and others.',
  shape: openaiShape,
  async open(config, place) {
    const { openaiBackend } = await import('../openai.ts')
    return openaiBackend({ ...httpOf(config, place), ...present({ witness: config.witness }) })
  },
  secrets: httpSecrets,
  flags: ['url', 'apiKeyEnv'],
  fromFlags: ({ url, apiKeyEnv }) => present({ url, apiKeyEnv }),
})
