import { Command, Option } from 'commander'
import { stringify } from 'csv-stringify/sync'
import type { Trial } from '../../core/trial.ts'
import { type DataRow, dataColumns, dataRows } from '../../lab/data-rows.ts'
import { printChunks, remark } from '../output.ts'
import { writeWhole } from '../write-file.ts'
import { keptExecution, type RecordsFlags, withExperiments } from './records.ts'

interface DataFlags extends RecordsFlags {
  readonly execution?: string
  readonly format: 'csv' | 'ndjson'
  readonly output?: string
}

/** Rows that are written at once. */
const CHUNK = 1000

/** `ab data NAME`: its trials, one line an interrupt, for other programs. */
export function abDataCommand(): Command {
  return new Command('data')
    .description('the trials of an experiment for other programs: one line an interrupt, warm-ups included')
    .argument('<name>', 'of the experiment')
    .option('--execution <id>', 'which of its executions; the newest by default')
    .addOption(new Option('--format <name>', 'of the lines').choices(['csv', 'ndjson']).default('csv'))
    .option('-o, --output <file>', 'write them to a file')
    .option('--config <file>', 'the configuration')
    .action((name: string, flags: DataFlags) =>
      withExperiments(flags, async (store) => {
        const { execution } = keptExecution(store, name, flags.execution)
        const rows = rowsOf(store.trials(execution), { experiment: name, execution: execution.execution })
        const chunks = flags.format === 'csv' ? csv(rows) : ndjson(rows)
        if (flags.output === undefined) return printChunks(chunks)
        await writeWhole(flags.output, chunks)
        remark(`wrote ${flags.output}`)
      }),
    )
}

function* rowsOf(trials: Iterable<Trial>, of: { experiment: string; execution: string }): Iterable<DataRow[]> {
  let rows: DataRow[] = []
  for (const trial of trials) {
    rows.push(...dataRows(trial, of))
    if (rows.length < CHUNK) continue
    yield rows
    rows = []
  }
  yield rows
}

/**
 * A text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, a tab or a carriage return) gets a `'` in front.
 * Numbers stay numbers.
 */
export function* csv(batches: Iterable<DataRow[]>): Iterable<string> {
  yield stringify([[...dataColumns]])
  for (const rows of batches)
    yield stringify(rows, {
      columns: [...dataColumns],
      cast: { boolean: (value) => String(value) },
      escape_formulas: true,
    })
}

function* ndjson(batches: Iterable<DataRow[]>): Iterable<string> {
  for (const rows of batches) yield rows.map((row) => `${JSON.stringify(row)}\n`).join('')
}
