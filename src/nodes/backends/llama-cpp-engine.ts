import { stat } from 'node:fs/promises'
import type { LlamaGrammar, LlamaGrammarEvaluationState, LlamaModel } from 'node-llama-cpp'
import type { DocumentFormat } from '../../core/call.ts'
import { CaesuraError } from '../../core/errors.ts'
import { checkGgufHeader } from './gguf-header.ts'
import type { Binding } from './llama-cpp-binding.ts'
import { type ChatTemplate, chatTemplate } from './llama-cpp-prompt.ts'
import { SequenceSlots } from './llama-cpp-slots.ts'

/** A model in memory with one context. */
export interface LlamaEngine extends ChatTemplate {
  readonly model: LlamaModel
  readonly slots: SequenceSlots
  /** Tokens that one sequence holds. */
  readonly contextTokens: number
  /** What holds an answer to a format while it is sampled. Throws `CAESURA_E_REQUEST`. */
  grammarState(format: DocumentFormat): Promise<LlamaGrammarEvaluationState>
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
      ...chatTemplate(binding, model),
      grammarState: async (format) =>
        new binding.library.LlamaGrammarEvaluationState({ model: loaded, grammar: await grammarFor(binding, format) }),
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

/**
 * The package knows a part of JSON Schema, and lets the rest pass: the answer is checked against all of it when it is there.
 */
async function grammarFor({ llama }: Binding, format: DocumentFormat): Promise<LlamaGrammar> {
  try {
    if (format === 'json') return await llama.getGrammarFor('json')
    // Its types would have the schema written out.
    const make = llama.createGrammarForJsonSchema as (schema: unknown) => Promise<LlamaGrammar>
    return await make.call(llama, format)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new CaesuraError('CAESURA_E_REQUEST', `llama.cpp makes no grammar of the format: ${reason}`, { cause })
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
