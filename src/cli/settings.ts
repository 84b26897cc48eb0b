import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import type { Wishes } from '../app/wishes.ts'
import type { Catalogue } from '../core/catalogue.ts'
import { CaesuraError } from '../core/errors.ts'
import { present } from '../core/present.ts'
import { type Config, defineConfig } from '../nodes/config-schema.ts'
import { type CatalogueFlag, catalogueOf } from './catalogue-flag.ts'
import { readDocumentFile } from './read-file.ts'

/** Looked for in the current folder. */
const CONFIG_FILE = 'caesura.config.yaml'
const RECORDS_FILE = '.caesura/runs.sqlite'

/** What the flags, the environment and the configuration say, before anything is looked up or opened. */
export interface Settings {
  /** Absent without a configuration. */
  readonly configFile?: string
  readonly config?: Config
  readonly recordsFile: string
  /** Knows the backends of the configuration. */
  readonly catalogue: Catalogue
  /** Whether records keep prompts and outputs. */
  readonly keepText: boolean
}

/** Reads the configuration and the environment. Throws what reading a file does, and `CAESURA_E_CONFIG`. */
export async function readSettings(flags: { config?: string } & CatalogueFlag = {}): Promise<Settings> {
  const asked = flags.config ?? (process.env.CAESURA_CONFIG || undefined)
  const file = asked ?? (existsSync(CONFIG_FILE) ? CONFIG_FILE : undefined)
  const catalogue = await catalogueOf(flags)
  const document = file === undefined ? undefined : await readDocumentFile(file)
  const config = document === undefined ? undefined : defineConfig(catalogue, document.value, document)
  const records = config?.records
  const inConfig = file === undefined || records?.file === undefined ? undefined : resolve(dirname(file), records.file)
  return {
    ...present({ configFile: file, config }),
    catalogue,
    recordsFile: process.env.CAESURA_RECORDS || inConfig || RECORDS_FILE,
    keepText: records?.text ?? false,
  }
}

/** The flags that say where a pipeline runs. */
export interface NodeFlags {
  readonly backend?: 'embedded' | 'ollama' | 'auto'
  readonly model?: string
  readonly url?: string
  readonly node?: string
  readonly config?: string
}

export const withNodeFlags = (command: Command): Command =>
  command
    .addOption(new Option('--backend <name>', 'where models run').choices(['embedded', 'ollama', 'auto']))
    .option('--model <name>', "use this model in every stage's place")
    .option('--url <url>', 'the Ollama server')
    .option('--node <name>', 'only this node of the configuration')
    .option('--config <file>', `the configuration; ${CONFIG_FILE} by default`)

export function wishesOf(flags: NodeFlags, settings: Settings): Wishes {
  for (const [name, value] of Object.entries(flags))
    if (typeof value === 'string' && value.trim() === '')
      throw new CaesuraError('CAESURA_E_USAGE', `--${name} is empty`, { received: '""', expected: 'a value' })
  const { backend, model, url, node } = flags
  const wishes = present({ backend, model, url, node })
  const { config, configFile, catalogue } = settings
  const ollamaHost = process.env.OLLAMA_HOST
  return {
    ...wishes,
    environment: process.env,
    catalogue,
    ...present({ ollamaHost }),
    ...(config !== undefined && { config, folder: dirname(resolve(configFile ?? '.')) }),
  }
}
