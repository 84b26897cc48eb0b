import { existsSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import stringWidth from 'string-width'
import { sqliteStore } from '../app/stores.ts'
import { CaesuraError } from '../core/errors.ts'
import type { RunStore, RunSummary } from '../core/ports.ts'
import { present } from '../core/present.ts'
import type { RunRecord } from '../core/record.ts'
import { milliseconds } from '../pages/figures.ts'
import { asTyped } from './as-typed.ts'
import { fleetOption, redisFileOption } from './fleet-address.ts'
import { fleetRecord, fleetRuns } from './fleet-runs.ts'
import type { FleetFlags } from './on-fleet.ts'
import { print, printJson, printLines } from './output.ts'
import { endReport, interruptReport, shortId } from './report.ts'
import { oneLine, type Screen, screenOn } from './screen.ts'
import { readSettings } from './settings.ts'
import { runWaterfall } from './waterfall.ts'

/** `runs`: lists what was recorded, newest first. `runs show RUN`: one record. With `--redis`: those of a fleet. */
export function runsCommand(): Command {
  const show = new Command('show')
    .description('one record; --json prints it as `run --json` did')
    .argument('<run>', 'an id, the beginning of one, or `last`')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .addOption(fleetOption('a run of a fleet'))
    .addOption(redisFileOption())
    .action(async (run: string, _flags: unknown, command: Command) => {
      // `runs` has flags of the same names, and takes those that it finds.
      const { json, ...from } = command.optsWithGlobals<FleetFlags & { json?: boolean }>()
      const record = await readRecord(run, from)
      if (json) return printJson(record)
      const screen = screenOn(process.stdout)
      printLines([...runWaterfall(record, screen), ...interruptReport(record, screen), ...endReport(record, screen)])
    })
  return new Command('runs')
    .description('list the recorded runs')
    .option('--limit <count>', 'how many, the newest first', wholeNumber, 20)
    .option('--pipeline <name>', 'only of this pipeline')
    .option('--trials', 'the trials of experiments too')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .addOption(fleetOption('the runs of a fleet'))
    .addOption(redisFileOption())
    .action(async (flags: FleetFlags & { limit: number; pipeline?: string; trials?: boolean; json?: boolean }) => {
      const { limit, pipeline, trials = false } = flags
      const filter = { limit, ...present({ pipeline }) }
      const { runs, where } =
        flags.redis === undefined ? await recordedRuns(flags, { ...filter, trials }) : await fleetRuns(flags, filter)
      if (flags.json) return printJson({ runs })
      if (runs.length === 0) {
        if (flags.redis !== undefined || trials) return print(`No runs are recorded in ${where}.\n`)
        const { runs: all } = await recordedRuns(flags, { ...filter, limit: 1, trials: true })
        const more = ` but trials of experiments: ${asTyped('`caesura runs --trials`')} lists them`
        return print(`No runs are recorded in ${where}${all.length > 0 ? more : ''}.\n`)
      }
      printLines(runsTable(runs, screenOn(process.stdout)))
    })
    .addCommand(show)
}

async function recordedRuns(flags: FleetFlags, filter: { limit: number; pipeline?: string; trials: boolean }) {
  const { recordsFile: where } = await readSettings(flags)
  return { where, runs: existsSync(where) ? await withRecords(flags, (store) => store.list(filter)) : [] }
}

/** The record of a run: from the records file, or with `--redis` from the fleet. Throws `CAESURA_E_RUN_UNKNOWN`. */
export const readRecord = (run: string, flags: FleetFlags): Promise<RunRecord> =>
  flags.redis === undefined ? withRecords(flags, (store) => store.read(run)) : fleetRecord(run, flags)

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a whole number above 0.')
  return Number(text)
}

/** Opens the records for reading; nothing is made where there are none. */
async function withRecords<T>(flags: FleetFlags, work: (store: RunStore) => T): Promise<T> {
  const { recordsFile } = await readSettings(flags)
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

/** A run in a list; of one that has not ended not all is known. */
type RunRow = Pick<RunSummary, 'runId' | 'pipeline' | 'startedAt' | 'toFirstTokenMs'> &
  Partial<Pick<RunSummary, 'outcome' | 'durationMs' | 'wastedTokens'>> & { readonly status?: string }

/** Columns: id, when, outcome, duration, interrupt → first token, wasted tokens, pipeline. Lines, unended. */
export function runsTable(runs: readonly RunRow[], { width, paint }: Pick<Screen, 'width' | 'paint'>): string[] {
  const rows = runs.map((run) => [
    shortId(run.runId),
    run.startedAt.slice(0, 19).replace('T', ' '),
    run.outcome ?? run.status ?? '',
    run.durationMs === undefined ? '' : milliseconds(run.durationMs),
    run.toFirstTokenMs === undefined ? '' : milliseconds(run.toFirstTokenMs),
    run.wastedTokens === undefined ? '' : String(run.wastedTokens),
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
