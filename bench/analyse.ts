/**
 * What `ab analyse` costs: all figures of an experiment on two arms from a records file, each size in a process of its own. One
 * interrupt a trial, about nine trials a session, four metrics. Settings: `largest=N`, 1,000,000 by default.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { planOf, simulatedTrials } from '../scripts/validation/simulated.ts'
import type { MetricPlan } from '../src/core/experiment.ts'
import { analyseTable } from '../src/lab/analyse.ts'
import { tableOf } from '../src/lab/trial-table.ts'
import { sqliteStore } from '../src/records/stores/sqlite.ts'
import { trialRow, WRITE_TRIAL } from '../src/records/stores/sqlite-trial-row.ts'
import { fixed, judge, machine, printTable, setting } from './figures.ts'

const LIMIT_S = 30
const LIMIT_MB = 1_000
/** How much dearer an interrupt may be than among ten times fewer. */
const LIMIT_GROWTH = 1.3

const EXPERIMENT = 'simulated'
const TRIALS_A_SESSION = 8.1
const world = (interrupts: number) =>
  ({ design: 'sessions', units: Math.ceil(interrupts / TRIALS_A_SESSION / 2), factor: 0.95, seed: 1 }) as const
const metrics: readonly MetricPlan[] = [
  { metric: 'interruptToFirstTokenMs', statistics: ['p50', 'p95', 'p99', 'mean'] },
  { metric: 'wastedTokens', statistics: ['mean'] },
  { metric: 'wastedSlotMs', statistics: ['p50', 'mean'] },
  { metric: 'keptTokens', statistics: ['mean'] },
]

interface Cost {
  readonly interrupts: number
  readonly sessions: number
  readonly draws: number
  readonly readS: number
  readonly analyseS: number
  readonly peakMb: number
}

/** Trials without their runs, which analysis does not read. */
function write(file: string, interrupts: number): void {
  sqliteStore(file).close()
  const database = new DatabaseSync(file, { enableForeignKeyConstraints: false })
  const insert = database.prepare(WRITE_TRIAL)
  database.exec('BEGIN')
  let sequence = 0
  for (const trial of simulatedTrials(world(interrupts)))
    insert.run(++sequence, ...trialRow({ name: EXPERIMENT, arm: trial.arm, execution: 'bench' }, trial))
  database.exec('COMMIT')
  database.close()
}

function measure(file: string, interrupts: number): Cost {
  const store = sqliteStore(file)
  const plan = planOf(world(interrupts), metrics)
  const started = performance.now()
  const table = tableOf(plan, store.trials({ experiment: EXPERIMENT, execution: 'bench' }))
  const read = performance.now()
  const analysis = analyseTable(plan, table)
  const done = performance.now()
  store.close()
  return {
    interrupts: table.interrupts.trial.length,
    sessions: table.sessions.length,
    draws: analysis.design.permutations,
    readS: (read - started) / 1_000,
    analyseS: (done - read) / 1_000,
    peakMb: process.resourceUsage().maxRSS / 1_024,
  }
}

const [child, file, size] = process.argv.slice(2)
if (child === 'write' && file !== undefined) write(file, Number(size))
else if (child === 'measure' && file !== undefined) console.log(JSON.stringify(measure(file, Number(size))))
else report()

function report(): void {
  const folder = mkdtempSync(join(tmpdir(), 'caesura-analyse-'))
  const run = (what: string, at: string, interrupts: number) => {
    const { status, stdout } = spawnSync(process.execPath, [process.argv[1]!, what, at, String(interrupts)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`${what} of ${interrupts} interrupts ended with ${status}`)
    return stdout
  }
  const largest = setting('largest', 1_000_000)
  try {
    const costs = [largest / 100, largest / 10, largest].map((interrupts): Cost => {
      const records = join(folder, `${interrupts}.sqlite`)
      run('write', records, interrupts)
      return JSON.parse(run('measure', records, interrupts))
    })
    const seconds = ({ readS, analyseS }: Cost) => readS + analyseS
    console.log(`Analysis of an experiment out of a records file. ${machine()}\n`)
    printTable(
      ['interrupts', 'sessions', 'draws', 'reading s', 'analysis s', 'all s', 'µs an interrupt', 'peak MB'],
      costs.map((cost) => [
        String(cost.interrupts),
        String(cost.sessions),
        String(cost.draws),
        fixed(cost.readS),
        fixed(cost.analyseS),
        fixed(seconds(cost)),
        fixed((seconds(cost) / cost.interrupts) * 1e6, 1),
        fixed(cost.peakMb, 0),
      ]),
    )
    console.log()
    const [, middle, last] = costs
    judge(`${last!.interrupts} interrupts`, seconds(last!), LIMIT_S, 's')
    judge('peak memory', last!.peakMb, LIMIT_MB, 'MB')
    judge(
      'an interrupt, most over ten times fewer',
      (seconds(last!) / seconds(middle!)) * (middle!.interrupts / last!.interrupts),
      LIMIT_GROWTH,
      '×',
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
