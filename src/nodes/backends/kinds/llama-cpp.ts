import { basename, isAbsolute, join, resolve } from 'node:path'
import type { z } from 'zod'
import { backendKind } from '../../../core/backend-kind.ts'
import { textWithin, wholeWithin } from '../../../core/number-schema.ts'
import { present } from '../../../core/present.ts'
import { bundledModel, modelNameOf } from '../model-file.ts'

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
  async open({ model, threads }, { slots, folder }) {
    const { llamaCppBackend } = await import('../llama-cpp.ts')
    const file = isAbsolute(model) ? model : join(folder, model)
    return llamaCppBackend({ model: file, slots, names: [modelNameOf(file)], ...present({ threads }) })
  },
  modelNames: ({ model }) => [...new Set([modelNameOf(model), basename(model).replace(/\.gguf$/i, '')])],
  flags: ['model'],
  fromFlags: ({ model }, _, known) =>
    present({ model: model === undefined ? (known ? undefined : bundledModel) : resolve(model) }),
})
