import { Command } from 'commander'
import { catalogue } from '../compose.ts'
import { readConfig } from '../core/config-schema.ts'
import { CaesuraError, CaesuraErrors } from '../core/errors.ts'
import { readPipeline } from '../core/pipeline-schema.ts'
import { didYouMean, isRecord, oneOrMany, type Source, show, type Warning } from '../core/problems.ts'
import { readDocumentFile } from './read-file.ts'
import { warningText } from './show-error.ts'

/** One file as `check --json` tells it. */
interface CheckedFile {
  readonly file: string
  /** Absent where the file could not be read so far. */
  readonly kind?: 'pipeline' | 'config'
  readonly ok: boolean
  readonly warnings?: readonly Warning[]
  readonly errors?: readonly CaesuraError[]
}

/** `check FILE…`: validates pipelines and configurations, all errors at once. Exit 2 when one does not hold. */
export function checkCommand(): Command {
  return new Command('check')
    .description('validate pipelines and configurations; all errors at once, with file:line:column')
    .argument('<file...>', 'YAML or JSON files')
    .option('--json', 'one JSON document on stdout')
    .action(async (files: string[], { json = false }: { json?: boolean }) => {
      const checked: CheckedFile[] = []
      for (const file of files) checked.push(await checkFile(file))
      const errors = checked.flatMap((file) => file.errors ?? [])
      if (json) {
        process.stdout.write(`${JSON.stringify({ files: checked }, undefined, 2)}\n`)
        // The document above tells all; the main program would add a second one.
        if (errors.length > 0) process.exitCode = 2
        return
      }
      for (const { file, kind, ok, warnings = [] } of checked) {
        for (const warning of warnings) process.stderr.write(`${warningText(warning)}\n`)
        if (ok) process.stdout.write(`OK ${file} (${kind === 'config' ? 'configuration' : 'pipeline'})\n`)
      }
      if (errors.length > 0) throw oneOrMany(errors)
    })
}

async function checkFile(file: string): Promise<CheckedFile> {
  try {
    const document = await readDocumentFile(file)
    const kind = kindOf(document.value, document)
    const read =
      kind === 'config' ? readConfig(document.value, document) : readPipeline(catalogue, document.value, document)
    const { errors, warnings } = read
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

const kinds = { stages: 'pipeline', nodes: 'config', models: 'config', redis: 'config', records: 'config' } as const

function kindOf(value: unknown, source: Source): 'pipeline' | 'config' {
  const keys = isRecord(value) ? Object.keys(value) : []
  for (const [key, kind] of Object.entries(kinds)) if (keys.includes(key)) return kind
  const at = { ...(source.file !== undefined && { file: source.file }), line: 1, column: 1 }
  if (keys.includes('arms')) {
    throw new CaesuraError('CAESURA_E_USAGE', 'This looks like an experiment; this version has no experiments yet.', at)
  }
  const hint = keys.map((key) => didYouMean(key, Object.keys(kinds))).find((text) => text !== undefined)
  throw new CaesuraError('CAESURA_E_PIPELINE', 'The file is neither a pipeline nor a configuration.', {
    ...at,
    received: isRecord(value) ? `the keys ${show(keys.slice(0, 5).join(', ') || 'none')}` : show(value),
    expected: 'a mapping with stages (a pipeline), or with nodes or models (a configuration)',
    ...(hint !== undefined && { hint }),
  })
}
