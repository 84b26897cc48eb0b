import type { BackendKind } from '../../../core/backend-kind.ts'
import { llamaCppKind } from './llama-cpp.ts'
import { ollamaKind } from './ollama.ts'
import { openaiKind } from './openai.ts'
import { scriptedKind } from './scripted.ts'

/** All that a node can be. A new backend is its own file, its test and its kind in this list. */
export const backends: readonly BackendKind[] = [ollamaKind, openaiKind, llamaCppKind, scriptedKind]
