import type { Catalogue } from '../core/catalogue.ts'
import type { Environment } from '../core/environment.ts'
import { CaesuraError } from '../core/errors.ts'
import type { ModelInfo, Node } from '../core/ports.ts'
import type { Config } from '../nodes/config-schema.ts'
import { allNames, type Wanted } from './model-names.ts'

/** What decides where a pipeline runs. */
export interface Wishes {
  /** `auto` without a configuration; with one, its nodes are used unless this is given. */
  readonly backend?: 'embedded' | 'ollama' | 'auto'
  /** Takes the place of every stage's model. With `embedded` also a GGUF file. */
  readonly model?: string
  /** Of an Ollama. Asks for one unless `backend` says otherwise. */
  readonly url?: string
  /** Only this node of the configuration. */
  readonly node?: string
  /** What `OLLAMA_HOST` holds. */
  readonly ollamaHost?: string
  /** Where an Ollama is looked for that nobody named; http://127.0.0.1:11434 by default. */
  readonly usualUrl?: string
  /** Where the API keys are that a configuration names, and the proxies; no keys by default. */
  readonly environment?: Environment
  /** A checked configuration, and the folder that its paths start from. */
  readonly config?: Config
  readonly folder?: string
  /** Knows the backends of the configuration; the one that ships by default. */
  readonly catalogue?: Catalogue
}

/** Where a pipeline runs: what `createEngine` needs of it. */
export interface Surroundings {
  readonly nodes: readonly Node[]
  /** The `model` of each stage → its name on the nodes. */
  readonly models: Readonly<Record<string, string>>
  /** One line each, for stderr: what was chosen and was not asked for. */
  readonly notices: readonly string[]
}

/** `--model` takes every stage's place. */
export const asWished = (wanted: readonly Wanted[], { model }: Wishes): readonly Wanted[] =>
  model === undefined ? wanted : [model]
/** Each stage's model, where one takes the place of all. */
export const underWish = (wanted: readonly Wanted[], { model }: Wishes, found: Record<string, string>) =>
  model === undefined ? found : Object.fromEntries(allNames(wanted).map((stage) => [stage, found[model] ?? model]))

/** How long a server that was asked for may take to answer, ms. */
export const ANSWER_MS = 5_000

/**
 * The models of a node whose server answers `withinMs`. Throws what `Backend.server` does: a server that does not tell its models is no
 * server to run on.
 */
export async function listedBy({ backend }: Node, withinMs: number): Promise<readonly ModelInfo[]> {
  await backend.server(AbortSignal.timeout(withinMs))
  try {
    return await backend.models(AbortSignal.timeout(ANSWER_MS))
  } catch (error) {
    if (!(error instanceof CaesuraError) || error.exitCode !== 1 || error.code === 'CAESURA_E_AUTH') throw error
    throw new CaesuraError('CAESURA_E_NO_SERVER', `no server that tells its models: ${error.message}`, {
      ...error.place,
      cause: error,
    })
  }
}

/** `CAESURA_E_NO_MODEL` with what to type to get it. `names`: what the first missing one may be called. */
export function noModel(
  missing: readonly string[],
  names: readonly string[],
  node: Node,
  models: readonly ModelInfo[],
): CaesuraError {
  const [name = '', ...others] = names
  const pull = (model: string) => node.backend.pullCommand?.(model) ?? ''
  const instead = others.length === 0 ? '' : ` (or ${others.join(', ')})`
  // The bundled model is in no registry.
  const hint =
    name === 'caesura-demo'
      ? `Import the bundled model with \`ollama create\` as models/caesura-demo-3m.md says, or \`${pull('gemma3:1b')}\` and add --model gemma3:1b.`
      : pull(name)
  return new CaesuraError('CAESURA_E_NO_MODEL', `${node.backend.address} has no model ${name}${instead}`, {
    received: missing.join(', '),
    expected: models.length === 0 ? 'the server has no model yet' : models.map((model) => model.name).join(', '),
    ...(hint !== '' && { hint }),
  })
}
