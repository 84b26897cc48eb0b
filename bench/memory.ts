/**
 * What many runs cost: heap of a live run (waiting in the middle of its first call), CPU of a whole run as their number grows, heap
 * after many have finished. Scripted backend on real time. Needs --expose-gc; starts itself with it. Settings: `live=N`,
 * `finished=N`.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEngine, definePipeline, type RunHandle, type RunRecord, scripted } from '../src/index.ts'
import { fixed, judge, machine, printTable, setting } from './figures.ts'

const LIMIT_KB_A_RUN = 20
/** How much dearer a run may be among the most than among the fewest; the rest is noise of the machine. */
const LIMIT_GROWTH = 1.3
const TOKENS = 20
const FLAT_WITHIN_KB_A_RUN = 0.05

const { gc } = globalThis
if (gc === undefined) {
  const [script = '', ...rest] = process.argv.slice(1)
  const { status } = spawnSync(process.execPath, ['--expose-gc', script, ...rest], { stdio: 'inherit' })
  process.exit(status ?? 1)
}

const tokens = Array.from({ length: TOKENS }, (_, index) => ` token${index}`)
const pipeline = definePipeline({
  name: 'memory',
  stages: [
    { id: 'draft', model: 'm', prompt: '{{ input }}', policy: { trigger: 'signal', response: 'abort' } },
    { id: 'refine', model: 'm', prompt: '{{ input }} {{ draft.output }}' },
  ],
})
const live = setting('live', 10_000)
const finished = setting('finished', 50_000)

/** Ten tokens at once, then `waitMs` in the middle of the call, then the rest. */
const engineWaiting = (waitMs: number) =>
  createEngine({
    nodes: [
      scripted({
        name: 'half',
        slots: live,
        script: ({ stage }) =>
          stage === 'draft' ? { tokens: tokens.slice(0, TOKENS / 2), endMs: waitMs } : { tokens, firstTokenMs: 1 },
      }),
    ],
  })

async function heapNow(): Promise<number> {
  for (let pass = 0; pass < 3; pass++) {
    gc?.()
    await sleep(20)
  }
  return process.memoryUsage().heapUsed
}

const readAll = async (run: RunHandle): Promise<void> => {
  for await (const event of run.events) void event
}

interface Crowd {
  readonly runs: number
  readonly bytesARun: number
  readonly cpuUsARun: number
}

/** Starts `count` runs, waits until each is in the middle of its call, then lets them end. */
async function crowd(count: number, withReader: boolean): Promise<Crowd> {
  await using engine = engineWaiting(count * 0.4 + 2_000)
  const before = await heapNow()
  const cpuBefore = process.cpuUsage()
  const runs = Array.from({ length: count }, () => engine.start(pipeline, { input: 'question' }))
  const readers = withReader ? runs.map(readAll) : []
  await sleep(count * 0.1 + 300)
  const cpuStarted = process.cpuUsage(cpuBefore)
  const bytesARun = ((await heapNow()) - before) / count
  const cpuBetween = process.cpuUsage()
  const wrong = (await Promise.all(runs.map((run) => run.result))).filter((record) => !isWhole(record)).length
  if (wrong > 0) throw new Error(`${wrong} runs went wrong`)
  await Promise.all(readers)
  const cpuEnded = process.cpuUsage(cpuBetween)
  const used = cpuStarted.user + cpuStarted.system + cpuEnded.user + cpuEnded.system
  return { runs: count, bytesARun, cpuUsARun: used / count }
}

const isWhole = ({ outcome, stages }: RunRecord): boolean =>
  outcome === 'completed' && stages.length === 2 && stages[1]?.tokens.generated === TOKENS

console.log(`Many runs in one process, two stages of 10 and ${TOKENS} tokens. ${machine()}\n`)
await crowd(1_000, true) // warm
const crowds: [Crowd, Crowd][] = []
for (const count of [live / 10, live / 2, live]) crowds.push([await crowd(count, false), await crowd(count, true)])
printTable(
  ['live runs', 'heap kB a run', 'with a reader', 'CPU µs a whole run', 'with a reader'],
  crowds.map(([plain, read]) => [
    String(plain.runs),
    fixed(plain.bytesARun / 1_000),
    fixed(read.bytesARun / 1_000),
    fixed(plain.cpuUsARun, 0),
    fixed(read.cpuUsARun, 0),
  ]),
)

await using engine = engineWaiting(0)
const wave = async (count: number) => {
  const runs = Array.from({ length: count }, () => engine.start(pipeline, { input: 'question' }))
  await Promise.all(runs.map((run) => run.result))
}
await wave(1_000)
const heapBefore = await heapNow()
for (let done = 0; done < finished; done += 1_000) await wave(1_000)
const left = ((await heapNow()) - heapBefore) / 1_000
console.log(
  `\nheap after ${finished} finished runs: ${fixed(left, 0)} kB more than before, ${fixed(left / finished, 4)} kB a run`,
)
judge('heap of a live run, no reader', crowds.at(-1)![0].bytesARun / 1_000, LIMIT_KB_A_RUN, 'kB')
judge('heap of a live run, one reader', crowds.at(-1)![1].bytesARun / 1_000, LIMIT_KB_A_RUN, 'kB')
judge('heap left by a finished run', left / finished, FLAT_WITHIN_KB_A_RUN, 'kB')
judge('CPU a run, most live over fewest', crowds.at(-1)![0].cpuUsARun / crowds[0]![0].cpuUsARun, LIMIT_GROWTH, '×')
