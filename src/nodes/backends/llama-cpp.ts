import type { Backend } from '../../core/ports.ts'
import { backendOn } from './llama-cpp-backend.ts'
import type { LlamaCppSettings } from './llama-cpp-settings.ts'

export type { LlamaCppSettings } from './llama-cpp-settings.ts'

/**
 * A model in this process, through llama.cpp. Needs the optional peer `node-llama-cpp`; package and model are loaded with the
 * first call or by `load`, and kept until `close`.
 *
 * Options that a call leaves out: temperature 0.8, top-k 40, top-p 0.9, a random seed (Ollama's defaults); no penalty for
 * repeats, no min-p. `contextTokens` of a call can only make the window smaller. Counts are exact, on a cancelled and on a
 * failed call too; the token that ends an answer is not counted.
 *
 * A call fails with `CAESURA_E_NO_BACKEND`, `CAESURA_E_NO_MODEL`, `CAESURA_E_CONTEXT_FULL`, `CAESURA_E_REQUEST` (the chat
 * template refuses the messages) or `CAESURA_E_MODEL_ERROR` (llama.cpp failed); none is worth a retry.
 */
export const llamaCppBackend = (settings: LlamaCppSettings): Backend => backendOn(settings)
