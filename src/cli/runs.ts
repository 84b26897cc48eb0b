import { existsSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import stringWidth from 'string-width'
import { CaesuraError } from '../core/errors.ts'
import type { RunStore, RunSummary } from '../core/ports.ts'
import { sqliteStore } from '../stores.ts'
import { milliseconds } from './figures.ts'
import { print, printJson, printLines } from './output.ts'
import { endReport, interruptReport, shortId } from './report.ts'
import { oneLine, type Screen, screenOn } from './screen.ts'
import { readSettings } from './settings.ts'
import { runWaterfall } from './waterfall.ts'

/** `runs`: lists what was recorded, newest first. `runs show RUN`: one record. */
export function runsCommand(): Command {
  const show = new Command('show')
    .description('one record; --json prints it as `run --json` did')
    .argument('<run>', 'an id, the beginning of one, or `last`')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .action(async (run: string, _flags: unknown, command: Command) => {
      // `runs` has flags of the same names, and takes those that it finds.
      const { json, config } = command.optsWithGlobals<{ json?: boolean; config?: string }>()
      const record = await withRecords(config, (store) => store.read(run))
      if (json) return printJson(record)
      const screen = screenOn(process.stdout)
      printLines([...runWaterfall(record, screen), ...interruptReport(record, screen), ...endReport(record, screen)])
    })
  return new Command('runs')
    .description('list the recorded runs')
    .option('--limit <count>', 'how many, the newest first', wholeNumber, 20)
    .option('--pipeline <name>', 'only of this pipeline')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .action(async (flags: { limit: number; pipeline?: string; json?: boolean; config?: string }) => {
      const { limit, pipeline } = flags
      const { recordsFile } = await readSettings(flags)
      const filter = { limit, ...(pipeline !== undefined && { pipeline }) }
      const runs = existsSync(recordsFile) ? await withRecords(flags.config, (store) => store.list(filter)) : []
      if (flags.json) return printJson({ runs })
      if (runs.length === 0) return print(`No runs are recorded in ${recordsFile}.\n`)
      printLines(runsTable(runs, screenOn(process.stdout)))
    })
    .addCommand(show)
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a whole number above 0.')
  return Number(text)
}

/** Opens the records for reading; nothing is made where there are none. */
export async function withRecords<T>(config: string | undefined, work: (store: RunStore) => T): Promise<T> {
  const { recordsFile } = await readSettings(config === undefined ? {} : { config })
  if (!existsSync(recordsFile))
    throw new CaesuraError('CAESURA_E_RUN_UNKNOWN', 'no run is recorded yet', {
      file: recordsFile,
      hint: 'Record one with `caesura run PIPELINE`, or name another file with CAESURA_RECORDS.',
    })
  const store = sqliteStore(recordsFile)
  try {
    return work(store)
  } finally {
    store.close()
  }
}

/** Columns: id, when, outcome, duration, interrupt → first token, wasted tokens, pipeline. Lines, unended. */
export function runsTable(runs: readonly RunSummary[], { width, paint }: Pick<Screen, 'width' | 'paint'>): string[] {
  const rows = runs.map((run) => [
    shortId(run.runId),
    run.startedAt.slice(0, 19).replace('T', ' '),
    run.outcome,
    milliseconds(run.durationMs),
    run.toFirstTokenMs === undefined ? '' : milliseconds(run.toFirstTokenMs),
    String(run.wastedTokens),
  ])
  const heads = ['run', 'started (UTC)', 'outcome', 'took', 'to token', 'wasted']
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => stringWidth(row[column] ?? ''))),
  )
  const right = new Set([3, 4, 5])
  const line = (cells: readonly string[], last: string) => {
    const text = cells.map((cell, column) =>
      right.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
    )
    return oneLineOf(`${text.join('  ')}  `, last, width)
  }
  return [paint('quiet', line(heads, 'pipeline')), ...rows.map((row, index) => line(row, runs[index]?.pipeline ?? ''))]
}

const oneLineOf = (head: string, tail: string, width: number) =>
  head.length + 4 > width ? head.trimEnd().slice(0, width) : head + oneLine(tail, width - head.length)
