import { Command } from 'commander'
import type { ExperimentRecords, HowFar } from '../app/experimenting.ts'
import { measureOverhead, overheadFrom } from '../app/overhead.ts'
import { sqliteStore } from '../app/stores.ts'
import { durationSchema } from '../core/duration.ts'
import { CaesuraError } from '../core/errors.ts'
import { present } from '../core/present.ts'
import type { Overhead } from '../lab/overhead/result.ts'
import { milliseconds } from '../pages/figures.ts'
import { printJson, printLines, remark } from './output.ts'
import { overheadLines } from './overhead-report.ts'
import { progressOn } from './progress.ts'
import { screenOn } from './screen.ts'
import { whole } from './script-flags.ts'
import { readSettings } from './settings.ts'
import { stopOnSignals } from './stop-on-signals.ts'
import { writeWhole } from './write-file.ts'

interface OverheadFlags {
  readonly quick?: boolean
  readonly json?: boolean
  readonly report?: string
  readonly seed: number
  readonly budget?: number
  readonly blocks?: number
  readonly model?: string
  readonly url?: string
  readonly ollamaModel?: string
  readonly from?: string
  readonly config?: string
}

const LARGEST_SEED = 2 ** 31 - 1
const MOST_BLOCKS = 1_000
const DEFAULT_BLOCKS = { quick: 9, full: 40 } as const
const DEFAULT_BUDGET_MS = { quick: 50_000, named: 120_000, full: 15 * 60_000 } as const
const LEAST_BUDGET_MS = 1_000

/** `overhead`: measures which share of an interrupt is HTTP, and which is drain, abort, slot, connection, load, prefill. Exit 130 or 143 when a signal stopped it. */
export function overheadCommand(): Command {
  return new Command('overhead')
    .description('answer "is it HTTP?": the same engine in-process and behind HTTP, interrupted in every way')
    .option(
      '--quick',
      'the contrasts only, in about a minute, or two with --url; else the interactions too, in about 15',
    )
    .option('--report <file>', 'writes a page of HTML')
    .option('--json', 'one JSON document on stdout')
    .option('--seed <n>', 'of the order, the interrupts and the intervals', whole('--seed', 0, LARGEST_SEED), 1)
    .option(
      '--budget <duration>',
      'for all of it: no block begins that would end later, and what is begun may take a tenth longer; 50s with --quick, 2m with --quick and --url, else 15m',
      parseBudget,
    )
    .option('--blocks <n>', 'the most blocks; 9 with --quick, else 40', whole('--blocks', 1, MOST_BLOCKS))
    .option('--model <file>', 'a GGUF file; the bundled model by default')
    .option(
      '--url <url>',
      'an Ollama with the same model: the answer is for it then. Without it the answer is for a server of our own on this machine, unless OLLAMA_HOST names one that has the model',
    )
    .option('--ollama-model <name>', 'what Ollama calls it; caesura-demo by default')
    .option('--from <execution>', 'measures nothing: the result of a recorded execution, or of the last one')
    .option('--config <file>', 'the configuration: where records are')
    .action(overhead)
}

function parseBudget(value: string): number {
  const { data } = durationSchema.safeParse(/^\d+$/.test(value) ? Number(value) : value)
  if (data !== undefined && data >= LEAST_BUDGET_MS) return data
  throw new CaesuraError('CAESURA_E_USAGE', '--budget cannot be read', {
    received: value,
    expected: 'a duration of 1 s or more: a number of ms, or a text such as 45s or 10m',
  })
}

async function overhead(flags: OverheadFlags): Promise<void> {
  const { report, json, from } = flags
  const { recordsFile } = await readSettings(flags)
  const store = sqliteStore(recordsFile)
  const stop = stopOnSignals()
  try {
    const result = from === undefined ? await measured(flags, store, stop.signal) : overheadFrom(store, from)
    if (report !== undefined) {
      // Charts take as long to load as a model: only who wants a page pays for them.
      const { overheadPage } = await import('../lab/report/overhead-page.ts')
      await writeWhole(report, overheadPage(result))
    }
    if (json) printJson(result)
    else printLines(overheadLines(result, screenOn(process.stdout)))
    if (report !== undefined) remark(`wrote ${report}`)
  } catch (error) {
    // Stopped before there was anything to tell of.
    if (stop.exitCode === undefined) throw error
    remark('Stopped before anything was measured.')
  } finally {
    stop.dispose()
    store.close()
  }
  if (stop.exitCode !== undefined) process.exitCode = stop.exitCode
}

async function measured(flags: OverheadFlags, store: ExperimentRecords, signal: AbortSignal): Promise<Overhead> {
  const { seed, quick = false, model, url, ollamaModel, blocks, budget } = flags
  const size = quick ? 'quick' : 'full'
  const budgetMs = budget ?? DEFAULT_BUDGET_MS[quick && url !== undefined ? 'named' : size]
  const ollamaHost = process.env.OLLAMA_HOST
  const progress = progressOn(screenOn(process.stderr))
  const notices: string[] = []
  const ends = performance.now() + budgetMs
  progress.begin(`Measuring overhead (${size}, ${milliseconds(budgetMs)} at most)`)
  try {
    return await measureOverhead({
      ...{ store, quick, seed, signal, budgetMs },
      blocks: blocks ?? DEFAULT_BLOCKS[size],
      ...present({ model, url, ollamaHost, ollamaModel }),
      tell: (step) => progress.tell(typeof step === 'string' ? step : inWords(step, ends - performance.now())),
      notice: (line) => notices.push(line),
    })
  } finally {
    progress.end()
    for (const line of notices) remark(line)
  }
}

const inWords = ({ arm, block }: HowFar, leftMs: number): string =>
  `${block === undefined ? 'warm-up' : `block ${block + 1}`}, ${arm}, ${milliseconds(Math.max(0, leftMs))} left at most`
