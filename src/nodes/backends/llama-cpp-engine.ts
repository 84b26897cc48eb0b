import { stat } from 'node:fs/promises'
import type { LlamaModel } from 'node-llama-cpp'
import { CaesuraError } from '../../core/errors.ts'
import { checkGgufHeader } from './gguf-header.ts'
import type { Binding } from './llama-cpp-binding.ts'
import { type PromptRenderer, promptRenderer } from './llama-cpp-prompt.ts'
import { SequenceSlots } from './llama-cpp-slots.ts'

/** A model in memory with one context. */
export interface LlamaEngine {
  readonly model: LlamaModel
  /** Messages → tokens. */
  readonly render: PromptRenderer
  readonly slots: SequenceSlots
  /** Tokens that one sequence holds. */
  readonly contextTokens: number
  /** Frees the memory. No call may be left. */
  dispose(): Promise<void>
}

export interface EngineSettings {
  /** The model's file, absolute. */
  readonly file: string
  readonly slots: number
  readonly threads: number
  readonly batchTokens: number
  readonly contextTokens?: number
  readonly gpu: boolean
}

/** The window without a setting, tokens, unless the model was trained on a smaller one: Ollama's, so that memory stays bounded. */
const CONTEXT_TOKENS = 4096

/** Reads the model and makes its context. Throws `CAESURA_E_NO_MODEL`, naming the file. */
export async function loadEngine(binding: Binding, settings: EngineSettings): Promise<LlamaEngine> {
  const { file, slots, threads, batchTokens, gpu } = settings
  await checkGgufHeader(file, await modelBytes(file))
  let model: LlamaModel | undefined
  binding.takeError()
  try {
    model = await binding.llama.loadModel({ modelPath: file })
    const wanted = settings.contextTokens ?? CONTEXT_TOKENS
    const contextTokens = Math.min(wanted, model.trainContextSize)
    const context = await model.createContext({
      sequences: slots,
      contextSize: contextTokens,
      batchSize: Math.min(contextTokens, batchTokens * slots),
      threads,
      // On a CPU llama.cpp's flash attention makes a token of a long context three to four times slower.
      flashAttention: gpu ? 'auto' : false,
    })
    const sequences = Array.from({ length: slots }, () => context.getSequence())
    const loaded = model
    return {
      model,
      render: promptRenderer(binding, model),
      slots: new SequenceSlots(sequences),
      contextTokens: context.contextSize,
      // Disposes the context and its sequences too.
      dispose: () => loaded.dispose(),
    }
  } catch (cause) {
    await model?.dispose()
    const reason = cause instanceof Error ? cause.message : String(cause)
    // What llama.cpp has logged reaches this thread one turn later.
    await new Promise(setImmediate)
    const detail = binding.takeError() ?? reason
    throw new CaesuraError('CAESURA_E_NO_MODEL', `llama.cpp cannot load the model ${file}: ${detail}`, { file, cause })
  }
}

/** The size of the model's file. Throws `CAESURA_E_NO_MODEL`. */
export async function modelBytes(file: string): Promise<number> {
  const found = await stat(file).catch((cause: unknown) => {
    throw new CaesuraError('CAESURA_E_NO_MODEL', `there is no model file ${file}`, { file, cause })
  })
  if (!found.isFile()) throw new CaesuraError('CAESURA_E_NO_MODEL', `${file} is not a model file`, { file })
  return found.size
}
