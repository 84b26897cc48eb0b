import { Command } from 'commander'
import { chooseProbed, probeNode } from '../app/probing.ts'
import { sqliteStore } from '../app/stores.ts'
import { durationSchema } from '../core/duration.ts'
import { CaesuraError } from '../core/errors.ts'
import type { RunStore } from '../core/ports.ts'
import { printJson, printLines, remark } from './output.ts'
import { probeLines } from './probe-report.ts'
import { progressOn } from './progress.ts'
import { screenOn } from './screen.ts'
import { type NodeFlags, readSettings, wishesOf, withNodeFlags } from './settings.ts'
import { stopOnSignals } from './stop-on-signals.ts'

interface ProbeFlags extends NodeFlags {
  readonly json?: boolean
  readonly repetitions: number
  readonly budget: number
  readonly record: boolean
}

const DEFAULT_REPETITIONS = 5
const MOST_REPETITIONS = 100
const DEFAULT_BUDGET_MS = 60_000
const LEAST_BUDGET_MS = 1_000

/** `probe`: measures a node and keeps the result. Exit 1 when the server failed on the way, 130 or 143 when a signal stopped it. */
export function probeCommand(): Command {
  const command = new Command('probe')
    .description('measure what a node does, above all when a call is aborted')
    .option('--repetitions <n>', 'of each measurement', parseRepetitions, DEFAULT_REPETITIONS)
    .option('--budget <duration>', 'the longest time in all; 60s by default', parseBudget, DEFAULT_BUDGET_MS)
    .option('--json', 'one JSON document on stdout')
    .option('--no-record', 'keep no record')
  return withNodeFlags(command).action(probe)
}

function parseRepetitions(value: string): number {
  const count = Number(value)
  if (/^\d+$/.test(value) && count >= 1 && count <= MOST_REPETITIONS) return count
  throw new CaesuraError('CAESURA_E_USAGE', '--repetitions cannot be read', {
    received: value,
    expected: `a whole number from 1 to ${MOST_REPETITIONS}`,
  })
}

function parseBudget(value: string): number {
  const { data } = durationSchema.safeParse(/^\d+$/.test(value) ? Number(value) : value)
  if (data !== undefined && data >= LEAST_BUDGET_MS) return data
  throw new CaesuraError('CAESURA_E_USAGE', '--budget cannot be read', {
    received: value,
    expected: 'a duration of 1 s or more: a number of ms, or a text such as 30s or 2m',
  })
}

async function probe(flags: ProbeFlags): Promise<void> {
  const { json, repetitions, budget, record, ...nodeFlags } = flags
  const settings = await readSettings(flags)
  const { node, model, notices } = await chooseProbed(wishesOf(nodeFlags, settings))
  const stop = stopOnSignals()
  const progress = progressOn(screenOn(process.stderr))
  let store: RunStore | undefined
  try {
    for (const notice of notices) remark(notice)
    // Opened before a minute is spent on what could not be kept.
    if (record) store = sqliteStore(settings.recordsFile)
    progress.begin(`Probing ${node.name} with ${model}`)
    const result = await probeNode(node, {
      model,
      repetitions,
      budgetMs: budget,
      signal: stop.signal,
      tell: (what, done, of) => progress.tell(`${what} ${done + 1}/${of}`),
    }).finally(() => progress.end())
    if (json) printJson(result)
    else printLines(probeLines(result, screenOn(process.stdout)))
    // Half a probe would hide a whole one from those that look for the newest.
    if (result.stopped !== 'cancelled') store?.writeProbe(result)
    if (result.error !== undefined) {
      remark(`${result.error.code}: ${result.error.message}`)
      process.exitCode = 1
    }
  } catch (error) {
    // Stopped before there was anything to tell of.
    if (stop.exitCode === undefined) throw error
    remark('Stopped before anything was measured.')
  } finally {
    stop.dispose()
    store?.close()
    await node.backend.close()
  }
  if (stop.exitCode !== undefined) process.exitCode = stop.exitCode
}
