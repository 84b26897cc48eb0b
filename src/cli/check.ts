import { Command } from 'commander'
import type { Catalogue } from '../core/catalogue.ts'
import type { Document } from '../core/document.ts'
import { CaesuraError, CaesuraErrors } from '../core/errors.ts'
import { present } from '../core/present.ts'
import { didYouMean, isRecord, oneOrMany, type Reading, type Source, show, type Warning } from '../core/problems.ts'
import { readExperiment } from '../lab/design/experiment-schema.ts'
import { readConfig } from '../nodes/config-schema.ts'
import { readPipeline } from '../pipelines/pipeline-schema.ts'
import { type CatalogueFlag, catalogueOf, catalogueOption } from './catalogue-flag.ts'
import { filesBeside } from './load-experiment.ts'
import { readDocumentFile } from './read-file.ts'
import { warningText } from './show-error.ts'

type Kind = 'pipeline' | 'config' | 'experiment'

const inWords: Record<Kind, string> = { pipeline: 'pipeline', config: 'configuration', experiment: 'experiment' }

/** One file as `check --json` tells it. */
interface CheckedFile {
  readonly file: string
  /** Absent where the file could not be read so far. */
  readonly kind?: Kind
  readonly ok: boolean
  readonly warnings?: readonly Warning[]
  readonly errors?: readonly CaesuraError[]
}

/** `check FILE…`: validates pipelines, configurations and experiments, all errors at once. Exit 2 when one does not hold. */
export function checkCommand(): Command {
  return new Command('check')
    .description('validate pipelines, configurations and experiments; all errors at once, with file:line:column')
    .argument('<file...>', 'YAML or JSON files')
    .addOption(catalogueOption())
    .option('--json', 'one JSON document on stdout')
    .action(async (files: string[], { json = false, ...flags }: { json?: boolean } & CatalogueFlag) => {
      const read = readersOf(await catalogueOf(flags))
      const checked: CheckedFile[] = []
      for (const file of files) checked.push(await checkFile(file, read))
      const errors = checked.flatMap((file) => file.errors ?? [])
      if (json) {
        process.stdout.write(`${JSON.stringify({ files: checked }, undefined, 2)}\n`)
        // The document above tells all; the main program would add a second one.
        if (errors.length > 0) process.exitCode = 2
        return
      }
      for (const { file, kind, ok, warnings = [] } of checked) {
        for (const warning of warnings) process.stderr.write(`${warningText(warning)}\n`)
        if (ok) process.stdout.write(`OK ${file} (${inWords[kind ?? 'pipeline']})\n`)
      }
      if (errors.length > 0) throw oneOrMany(errors)
    })
}

async function checkFile(file: string, readers: Readers): Promise<CheckedFile> {
  try {
    const document = await readDocumentFile(file)
    const kind = kindOf(document.value, document)
    const { errors, warnings } = await readers[kind](document, file)
    return {
      file,
      kind,
      ok: errors.length === 0,
      ...(warnings.length > 0 && { warnings }),
      ...(errors.length > 0 && { errors }),
    }
  } catch (error) {
    if (error instanceof CaesuraErrors) return { file, ok: false, errors: error.errors }
    if (error instanceof CaesuraError) return { file, ok: false, errors: [error] }
    throw error
  }
}

type Readers = Record<Kind, (document: Document, file: string) => Reading<unknown> | Promise<Reading<unknown>>>

const readersOf = (catalogue: Catalogue): Readers => ({
  pipeline: (document) => readPipeline(catalogue, document.value, document),
  config: (document) => readConfig(catalogue, document.value, document),
  experiment: (document, file) => readExperiment(catalogue, document.value, document, filesBeside(file)),
})

const kinds = {
  arms: 'experiment',
  workload: 'experiment',
  stages: 'pipeline',
  nodes: 'config',
  models: 'config',
  redis: 'config',
  records: 'config',
} as const

function kindOf(value: unknown, source: Source): Kind {
  const keys = isRecord(value) ? Object.keys(value) : []
  for (const [key, kind] of Object.entries(kinds)) if (keys.includes(key)) return kind
  const at = { ...present({ file: source.file }), line: 1, column: 1 }
  const hint = keys.map((key) => didYouMean(key, Object.keys(kinds))).find((text) => text !== undefined)
  throw new CaesuraError(
    'CAESURA_E_PIPELINE',
    'The file is neither a pipeline, nor a configuration, nor an experiment.',
    {
      ...at,
      received: isRecord(value) ? `the keys ${show(keys.slice(0, 5).join(', ') || 'none')}` : show(value),
      expected: 'a mapping with stages (a pipeline), nodes or models (a configuration), or arms (an experiment)',
      ...present({ hint }),
    },
  )
}
