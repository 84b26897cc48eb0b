import type { Backend, Node } from '../core/ports.ts'
import { present } from '../core/present.ts'
import { type LlamaCppSettings, llamaCppBackend } from '../nodes/backends/llama-cpp.ts'
import { type OllamaSettings, ollamaBackend } from '../nodes/backends/ollama.ts'
import { type OpenAiSettings, openaiBackend } from '../nodes/backends/openai.ts'
import { type Script, scriptedBackend } from '../nodes/backends/scripted.ts'

/** What every node has beside what its backend needs. */
export interface NodeSettings {
  /** Unique in its engine. */
  readonly name: string
  /** Calls at once; 1 by default. */
  readonly slots?: number
  /** `default` by default. */
  readonly pool?: string
  /** The models that it takes calls for; any by default. */
  readonly models?: readonly string[]
}

const nodeOf = ({ name, slots = 1, pool = 'default', models }: NodeSettings, backend: Backend): Node => ({
  name,
  slots,
  pool,
  backend,
  ...present({ models }),
})

/**
 * A node that is an Ollama server. `url` such as `http://127.0.0.1:11434`. `apiKey` and the values of `headers` are in no record and no
 * error. Throws `CAESURA_E_CONFIG` for an address with credentials in it, and for what can't be sent.
 */
export const ollama = (settings: NodeSettings & OllamaSettings): Node => nodeOf(settings, ollamaBackend(settings))

/** A node that is a server with an OpenAI-compatible API. `url` such as `http://127.0.0.1:8080/v1`; else as `ollama`. */
export const openai = (settings: NodeSettings & OpenAiSettings): Node => nodeOf(settings, openaiBackend(settings))

/** A node that is llama.cpp in this process. `model` is the path of a GGUF file; needs the optional peer `node-llama-cpp`. */
export const llamaCpp = (settings: NodeSettings & LlamaCppSettings): Node => nodeOf(settings, llamaCppBackend(settings))

/** A node that says what its script tells it, when it tells it: for tests and simulations. */
export const scripted = ({ script, ...settings }: NodeSettings & { readonly script: Script }): Node =>
  nodeOf(settings, scriptedBackend(script))
