import type { Observing } from '../app/observing.ts'
import { serveHere } from '../app/process-serving.ts'
import type { Api, ServingSettings } from '../app/serving.ts'
import { chooseSurroundings, modelsOfAliases } from '../app/surroundings.ts'
import { modelsAsked, type Pipeline } from '../core/pipeline.ts'
import { present } from '../core/present.ts'
import { type NodeFlags, type Settings, wishesOf } from './settings.ts'

/** The flags of `serve` that are of use without a Redis only, and a bound that both hosts have. */
export interface ServedNodeFlags extends NodeFlags {
  readonly runs?: number
  readonly maxWaiting: number
}

interface Here {
  readonly flags: ServedNodeFlags
  readonly settings: Settings
  readonly serving: ServingSettings
  readonly telemetry: Observing | undefined
}

/** Serves runs that this process hosts, on the nodes on which `run` would make them, and says so. Throws as `chooseSurroundings` and `serveHere`. */
export async function hostHere({ flags, settings, serving, telemetry }: Here): Promise<Api> {
  const { pipelines, allowInline = false, log } = serving
  const wishes = wishesOf(nodeFlags(flags), settings)
  const { nodes, models, notices } = await chooseSurroundings(modelsOf(pipelines), wishes)
  const names = nodes.map(({ name }) => name).join(', ')
  const told = [`No Redis is named: this process hosts the runs itself, on ${names}. They end with it.`, ...notices]
  log?.info(told.join(' '))
  return serveHere({
    ...serving,
    nodes,
    models: allowInline ? { ...modelsOfAliases(nodes, settings.config), ...models } : models,
    recordsFile: settings.recordsFile,
    limits: { maxWaiting: flags.maxWaiting, ...present({ runs: flags.runs }) },
    ...present({ telemetry }),
  })
}

const modelsOf = (pipelines: ReadonlyMap<string, Pipeline>) => [...pipelines.values()].flatMap(modelsAsked)

function nodeFlags({ backend, model, url, node }: NodeFlags): NodeFlags {
  return present({ backend, model, url, node })
}
