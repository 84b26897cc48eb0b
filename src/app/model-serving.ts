import { statSync } from 'node:fs'
import { CaesuraError } from '../core/errors.ts'
import { present } from '../core/present.ts'
import { bundledModel, modelNameOf } from '../nodes/backends/model-file.ts'
import { type ScriptTimes, scriptedPieces, timedScript } from '../nodes/backends/scripted-pieces.ts'
import { type ModelServer, type ModelServerSettings, startModelServer } from '../server/model-server/model-server.ts'
import { llamaCpp, scripted } from './nodes.ts'

/** Part of the composition root: the model server and what it serves. */
export { type ModelServer, scriptedPieces }

export interface Serving
  extends Pick<ModelServerSettings, 'slots' | 'queue' | 'host' | 'port' | 'openRequest' | 'figures' | 'log'> {
  /** A GGUF file; the bundled model by default. With a script: the name that it is served under, `scripted` by default. */
  readonly model?: string
  /** In the place of a model: `scriptedPieces` of each call, a piece at a time. */
  readonly script?: ScriptTimes
}

export interface Served {
  readonly server: ModelServer
  /** The first of the names that it is served under. */
  readonly model: string
}

/** As the examples and `ollama create` in models/caesura-demo-3m.md call the bundled model. */
const BUNDLED_ALIAS = 'caesura-demo'

/** Starts a model server. Throws `CAESURA_E_NO_MODEL`, `CAESURA_E_NO_BACKEND`, `CAESURA_E_LISTEN`, and `CAESURA_E_USAGE` for a model that is no file. */
export async function serveModel({ model, script, ...settings }: Serving): Promise<Served> {
  const served = script === undefined ? embeddedModel(model, settings.slots) : scriptedModel(model, script)
  return { server: await startModelServer({ ...settings, ...served }), model: served.names[0] }
}

type What = Pick<ModelServerSettings, 'backend' | 'names' | 'info' | 'modifiedAt' | 'capabilities'>

function embeddedModel(model: string | undefined, slots = 1): What {
  const file =
    model === undefined || modelNameOf(bundledModel) === model || model === BUNDLED_ALIAS ? bundledModel : model
  if (!/\.gguf$/i.test(file))
    throw new CaesuraError('CAESURA_E_USAGE', '--model is not a model file', {
      received: file,
      expected: `a GGUF file, or ${modelNameOf(bundledModel)}, the bundled model`,
    })
  const name = modelNameOf(file)
  const found = statSync(file, { throwIfNoEntry: false })
  return {
    backend: () => llamaCpp({ name, model: file, names: [name], slots }).backend,
    names: file === bundledModel ? [name, BUNDLED_ALIAS] : [name],
    // A file that is not there is for the load to tell of.
    info: { name, ...present({ bytes: found?.size }) },
    ...present({ modifiedAt: found?.mtimeMs }),
  }
}

function scriptedModel(name = 'scripted', times: ScriptTimes): What {
  const node = scripted({ name, script: timedScript(times) })
  const capabilities = ['tools', 'thinking', 'vision']
  return { backend: () => node.backend, names: [name], info: { name }, capabilities }
}
