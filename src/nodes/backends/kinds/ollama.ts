import type { z } from 'zod'
import { backendKind } from '../../../core/backend-kind.ts'
import { present } from '../../../core/present.ts'
import { ollamaAddress } from '../ollama-address.ts'
import { DEFAULT_OLLAMA_URL } from '../ollama-url.ts'
import { httpOf, httpSecrets, httpShape } from './http.ts'

const ollamaShape = httpShape(DEFAULT_OLLAMA_URL, 'Where the server listens.')
type OllamaConfig = z.output<z.ZodObject<typeof ollamaShape>>

/** `backend: ollama`. */
export const ollamaKind = backendKind<OllamaConfig>({
  name: 'ollama',
  summary: 'A server that speaks the Ollama API.',
  shape: ollamaShape,
  async open(config, place) {
    const { ollamaBackend } = await import('../ollama.ts')
    return ollamaBackend(httpOf(config, place))
  },
  secrets: httpSecrets,
  flags: ['url', 'apiKeyEnv'],
  fromFlags: ({ url, apiKeyEnv }, { OLLAMA_HOST }, known) =>
    present({ url: url ?? (known ? undefined : ollamaAddress(present({ ollamaHost: OLLAMA_HOST }))), apiKeyEnv }),
})
