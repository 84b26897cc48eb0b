import { basename, isAbsolute, join, resolve } from 'node:path'
import type { z } from 'zod'
import { backendKind } from '../core/backend-kind.ts'
import { textWithin, wholeWithin } from '../core/number-schema.ts'
import type { Backend } from '../core/ports.ts'
import { present } from '../core/present.ts'
import { backendOn } from './llama-cpp-backend.ts'
import type { LlamaCppSettings } from './llama-cpp-settings.ts'
import { bundledModel, modelNameOf } from './model-file.ts'

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

const llamaCppShape = {
  model: textWithin(4096).describe("A GGUF file, relative to the configuration's folder."),
  threads: wholeWithin(1, 256).optional(),
}
type LlamaCppConfig = z.output<z.ZodObject<typeof llamaCppShape>>

/** `backend: llama-cpp`. */
export const llamaCppKind = backendKind<LlamaCppConfig>({
  name: 'llama-cpp',
  summary: 'A model in this process, through llama.cpp.',
  shape: llamaCppShape,
  open({ model, threads }, { slots, folder }) {
    const file = isAbsolute(model) ? model : join(folder, model)
    return llamaCppBackend({ model: file, slots, names: [modelNameOf(file)], ...present({ threads }) })
  },
  modelNames: ({ model }) => [...new Set([modelNameOf(model), basename(model).replace(/\.gguf$/i, '')])],
  flags: ['model'],
  fromFlags: ({ model }, _, known) =>
    present({ model: model === undefined ? (known ? undefined : bundledModel) : resolve(model) }),
})
