/**
 * What `ab` adds to the times of the runs that it makes: the same runs, on a scripted backend in this process, made by an experiment
 * that keeps its records, and by a bare loop over an engine that keeps none; in turns. Settings: `rounds=N`, `warmup=N`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runExperiment } from '../src/app/experimenting.ts'
import { sqliteStore } from '../src/app/stores.ts'
import type { Experiment } from '../src/core/experiment.ts'
import type { RunRecord } from '../src/core/record.ts'
import { createEngine, definePipeline, scripted } from '../src/index.ts'
import { fixed, judge, machine, printTable, setting, spread } from './figures.ts'

const LIMIT_MS = 0.2
const RUNS = 20
const INTERRUPT_MS = 3

const pipeline = definePipeline({
  name: 'harness',
  stages: [
    { id: 'draft', model: 'm', prompt: '{{ input }}', policy: { response: 'abort' } },
    { id: 'refine', model: 'm', prompt: '{{ input }} {{ draft.output }}' },
  ],
})
const node = () => scripted({ name: 'bench', script: { tokens: Array(4).fill('word '), firstTokenMs: 1, tokenMs: 1 } })

const experiment: Experiment = {
  name: 'harness',
  arms: [{ name: 'abort', policy: 'abort', pipeline }],
  baseline: 'abort',
  aa: false,
  workload: { prompts: ['a question'], interrupts: { kind: 'list', atMs: [INTERRUPT_MS] }, vars: {} },
  sessions: RUNS,
  turns: 1,
  blocks: RUNS,
  seed: 1,
  warmUp: 0,
  washoutMs: 0,
  nonce: false,
  load: { kind: 'closed', users: 1, thinkMs: 0 },
  metrics: [{ metric: 'interruptToFirstTokenMs', statistics: ['p50'] }],
  budget: {},
}

const folder = mkdtempSync(join(tmpdir(), 'caesura-harness-'))
const store = sqliteStore(join(folder, 'runs.sqlite'))

/** The records of a round, and what it took beside them, ms a run. */
interface Round {
  readonly records: readonly RunRecord[]
  readonly besideMs: number
}

async function roundOf(work: () => Promise<RunRecord[]>): Promise<Round> {
  const from = performance.now()
  const records = await work()
  const inside = records.reduce((sum, { durationMs }) => sum + durationMs, 0)
  return { records, besideMs: (performance.now() - from - inside) / records.length }
}

async function throughHarness(): Promise<RunRecord[]> {
  const { execution } = await runExperiment(experiment, {
    nodes: [node()],
    models: {},
    store,
    keepText: false,
    resume: false,
    signal: new AbortController().signal,
  })
  return [...store.trials({ experiment: 'harness', execution })].map(({ runId }) => store.read(runId))
}

async function bare(): Promise<RunRecord[]> {
  await using engine = createEngine({ nodes: [node()] })
  const records: RunRecord[] = []
  for (let run = 0; run < RUNS; run++) {
    const handle = engine.start(pipeline, {
      input: 'a question',
      signals: [{ stage: 'draft', afterMs: INTERRUPT_MS }],
    })
    for await (const _ of handle.events);
    records.push(await handle.result)
  }
  return records
}

for (let round = setting('warmup', 10); round > 0; round--) {
  await throughHarness()
  await bare()
}
const rounds = setting('rounds', 60)
const withHarness: Round[] = []
const without: Round[] = []
for (let round = 0; round < rounds; round++) {
  // Who goes first changes, so that nothing favours the second.
  if (round % 2 === 0) withHarness.push(await roundOf(throughHarness))
  without.push(await roundOf(bare))
  if (round % 2 === 1) withHarness.push(await roundOf(throughHarness))
}
store.close()
rmSync(folder, { recursive: true })

const figures = {
  'interrupt → first token': (record: RunRecord) => record.interrupts[0]?.toFirstTokenMs,
  'start → first token': (record: RunRecord) => record.stages[0]?.firstTokenMs,
  'length of the run': (record: RunRecord) => record.durationMs,
}
type Read = (record: RunRecord) => number | undefined
const of = (rounds: readonly Round[], read: Read) =>
  spread(rounds.flatMap(({ records }) => records.flatMap((one) => read(one) ?? [])))
console.log(`What ab adds to the times of a run, ${rounds * RUNS} runs each. ${machine()}\n`)
const rows = Object.entries(figures).map(([name, read]) => ({
  name,
  harness: of(withHarness, read),
  loop: of(without, read),
  // The machine changes from minute to minute: a round is compared with its neighbour.
  added: spread(withHarness.map((round, index) => of([round], read).p50 - of([without[index]!], read).p50)).p50,
}))
printTable(
  ['ms', 'ab, p50', 'bare loop, p50', 'added, p50 of rounds', 'ab, p99', 'bare loop, p99'],
  rows.map(({ name, harness, loop, added }) => [
    name,
    ...[harness.p50, loop.p50, added, harness.p99, loop.p99].map((ms) => fixed(ms, 3)),
  ]),
)
const beside = (all: readonly Round[]) => fixed(spread(all.map(({ besideMs }) => besideMs)).p50, 3)
console.log(`\nbetween two runs, p50: ab ${beside(withHarness)} ms, bare loop ${beside(without)} ms\n`)
for (const { name, added } of rows) judge(`added to ${name}`, added, LIMIT_MS, 'ms')
