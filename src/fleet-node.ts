import { basename } from 'node:path'
import { configuredNode } from './configured-nodes.ts'
import type { NodeConfig } from './core/config-schema.ts'
import type { Node } from './core/ports.ts'
import { modelNameOf } from './model-names.ts'
import { type ScriptTimes, timedScript } from './model-serving.ts'
import { scripted } from './nodes.ts'
import { ollamaAddress } from './ollama-address.ts'

export type { ScriptTimes }

/** What a node needs beside its configuration. */
export interface NodePlace {
  /** Paths of the configuration start from it. */
  readonly folder: string
  /** Where the API keys are that the configuration names. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Of a scripted node. */
  readonly times?: ScriptTimes
}

/** The node that a stage worker serves. Throws `CAESURA_E_CONFIG`. */
export function fleetNode(config: NodeConfig, { folder, environment, times = {} }: NodePlace): Node {
  const { name, slots, pool, models = [] } = config
  // A node that lists no models takes calls for any.
  if (config.backend === 'scripted') return scripted({ name, slots, pool, models, script: timedScript(times) })
  const node = configuredNode(config, folder, environment)
  if (config.backend !== 'llama-cpp' || config.models !== undefined) return node
  return { ...node, models: [...new Set([modelNameOf(config.model), basename(config.model).replace(/\.gguf$/i, '')])] }
}

/** The Ollama that is meant where none is named. `host`: what `OLLAMA_HOST` holds. Throws `CAESURA_E_USAGE`. */
export const defaultOllamaUrl = (host: string | undefined): string =>
  ollamaAddress(host === undefined ? {} : { ollamaHost: host })
