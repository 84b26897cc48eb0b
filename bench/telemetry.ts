/**
 * What telemetry costs: CPU a run at a rate of runs a second, and the delay of tokens to their readers, with spans of every run, of one
 * run in ten, and of none, in turns in one process; the collector in another one. Then a burst, and a collector that is away.
 * Settings: `rate=N` runs a second, `seconds=N` a block, `blocks=N`, `down=N` seconds away.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createEngine, definePipeline, type EngineSettings, scripted, systemClock } from '../src/index.ts'
import { runSpans, spanCount } from '../src/telemetry/run-spans.ts'
import { telemetrySettings } from '../src/telemetry/settings.ts'
import { openTelemetry } from '../src/telemetry/telemetry.ts'
import { OtlpSink } from '../test/fixtures/otlp-sink.ts'
import { spanSettings } from '../test/telemetry/sent.ts'
import { fixed, judge, machine, printTable, setting, spread } from './figures.ts'

if (process.send !== undefined) {
  const sink = new OtlpSink()
  await sink.up()
  process.on('message', async (asked) => {
    if (asked === 'down') await sink.down()
    if (asked === 'up') await sink.up()
    process.send!({ spans: sink.spans.length, ids: new Set(sink.spans.map(({ spanId }) => spanId)).size })
  })
  process.on('disconnect', () => process.exit(0))
  process.send(sink.url)
  await once(process, 'disconnect')
}

const rate = setting('rate', 1000)
const seconds = setting('seconds', 3)
const blocks = setting('blocks', 8)
const down = setting('down', 60)

const collector = fork(fileURLToPath(import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
const [url] = (await once(collector, 'message')) as [string]
const ask = async (what: 'down' | 'up' | 'count') => {
  const answered = once(collector, 'message')
  collector.send(what)
  return ((await answered) as [{ spans: number; ids: number }])[0]
}

const lines: string[] = []
const telemetryOf = (more: Record<string, string> = {}) =>
  openTelemetry(telemetrySettings({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/v1/traces`, ...more }), {
    service: 'bench',
    instance: 'bench',
    version: '0',
    log: (line) => lines.push(line),
    closeMs: 30_000,
  })

const pipeline = definePipeline({
  name: 'telemetry',
  stages: [
    { id: 'draft', model: 'm', prompt: '{{ input }}', policy: { trigger: { tokens: 6 }, response: 'abort' } },
    { id: 'refine', model: 'm', prompt: '{{ input }} {{ draft.output }}' },
  ],
})
const tokens = Array.from({ length: 12 }, (_, index) => (index % 6 === 5 ? ' end.' : ' token'))

interface Block {
  readonly cpuUsARun: number
  readonly lateMs: number[]
}

/** Runs of two stages with an interrupt, started at the rate; every run has a reader. */
async function block(telemetry?: EngineSettings['telemetry']): Promise<Block> {
  const said = new Map<string, number[]>()
  const { backend, ...rest } = scripted({ name: 'n', slots: 100_000, script: { tokens, firstTokenMs: 5, tokenMs: 2 } })
  const node = {
    ...rest,
    backend: {
      ...backend,
      generate: ((request, context) => {
        const times: number[] = []
        said.set(`${request.runId} ${request.callId}`, times)
        const token = (text: string) => {
          times.push(systemClock.now())
          context.token(text)
        }
        return backend.generate(request, { ...context, token })
      }) satisfies typeof backend.generate,
    },
  }
  const engine = createEngine({ nodes: [node], ...(telemetry !== undefined && { telemetry }) })
  const lateMs: number[] = []
  const cpu = process.cpuUsage()
  const ended: Promise<unknown>[] = []
  const began = performance.now()
  const runs = rate * seconds
  while (ended.length < runs) {
    const due = Math.min(runs, Math.floor(((performance.now() - began) / 1000) * rate))
    while (ended.length < due) {
      const run = engine.start(pipeline, { input: 'question' })
      ended.push(
        (async () => {
          const read = new Map<string, number>()
          for await (const event of run.events) {
            if (event.type !== 'token') continue
            const index = read.get(event.callId) ?? 0
            read.set(event.callId, index + 1)
            lateMs.push((systemClock.now() - said.get(`${run.runId} ${event.callId}`)![index]!) / 1e6)
          }
          await run.result
          for (const callId of read.keys()) said.delete(`${run.runId} ${callId}`)
        })(),
      )
    }
    await sleep(1)
  }
  await Promise.all(ended)
  // What was made meanwhile is to be sent at the cost of this block.
  await telemetry?.close()
  const used = process.cpuUsage(cpu)
  await engine.close()
  return { cpuUsARun: (used.user + used.system) / runs, lateMs }
}

const arms = {
  off: () => block(),
  'at most 50 a second (default)': () => block(telemetryOf()),
  'one run in ten': () => block(telemetryOf({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.1' })),
  'every run': () => block(telemetryOf({ OTEL_TRACES_SAMPLER: 'always_on' })),
}
type Arm = keyof typeof arms
const names = Object.keys(arms) as Arm[]
const results = Object.fromEntries(names.map((name) => [name, [] as Block[]])) as unknown as Record<Arm, Block[]>
for (let round = -1; round < blocks; round++) {
  for (const name of names.map((_, at) => names[(at + round + names.length) % names.length]!)) {
    const result = await arms[name]()
    if (round >= 0) results[name].push(result)
  }
}

console.log(`${rate} runs/s of two stages with an interrupt, blocks of ${seconds} s, ${blocks} an arm. ${machine()}\n`)
const median = (values: number[]) => spread(values).p50
const cpuOf = (name: Arm) => results[name].map(({ cpuUsARun }) => cpuUsARun)
const p99Of = (name: Arm) => results[name].map(({ lateMs }) => spread(lateMs).p99)
const ratios = (name: Arm) => cpuOf(name).map((cpu, index) => cpu / results.off[index]!.cpuUsARun)
printTable(
  ['spans of', 'CPU µs a run', 'over off', 'token → reader p99, ms'],
  names.map((name) => [
    name,
    fixed(median(cpuOf(name)), 0),
    fixed(median(ratios(name)), 3),
    fixed(median(p99Of(name)), 3),
  ]),
)

// What a run's spans cost by themselves.
const telemetry = telemetryOf()
const engine = createEngine({
  nodes: [scripted({ name: 'n', slots: 1000, script: { tokens, firstTokenMs: 1, tokenMs: 0.2 } })],
  telemetry,
})
const record = await engine.start(pipeline, { input: 'question' }).result
const perRun = spanCount(record)
const turns = 5000
for (let turn = 0; turn < turns; turn++) runSpans(record, spanSettings)
const began = performance.now()
for (let turn = 0; turn < turns; turn++) runSpans(record, spanSettings)
console.log(`\nmaking the ${perRun} spans of a run: ${fixed(((performance.now() - began) * 1000) / turns, 1)} µs`)

// A burst, all at once.
const before = await ask('count')
const burst = Math.ceil(10_000 / perRun)
for (let run = 0; run < burst; run++) telemetry.runEnded({ ...record, runId: `burst-${run}` })
await telemetry.close()
const after = await ask('count')
console.log(`a burst of ${burst * perRun} spans: ${after.spans - before.spans - perRun} arrived`)

// A collector that is away.
await ask('down')
const away = telemetryOf()
globalThis.gc?.()
const heap = process.memoryUsage().heapUsed
const until = performance.now() + down * 1000
let ended = 0
while (performance.now() < until) {
  for (let run = 0; run < rate / 100; run++) away.runEnded({ ...structuredClone(record), runId: `away-${ended++}` })
  await sleep(10)
}
globalThis.gc?.()
console.log(
  `${down} s without a collector, ${ended} runs ended: ${fixed((process.memoryUsage().heapUsed - heap) / 1e6, 1)} MB more heap; lines logged: ${lines.length} (${lines.join(' / ')})`,
)
await ask('up')
await away.close()
const late = await ask('count')
console.log(`${late.spans - after.spans} spans of them arrived when it was back`)
await engine.close()

console.log()
judge('CPU a run, default over off', median(ratios('at most 50 a second (default)')) - 1, 0.02, 'of it')
judge('p99 of token delay, every run − off', median(p99Of('every run')) - median(p99Of('off')), 0.2, 'ms')
judge('spans of the burst that are missing', burst * perRun + perRun - (after.spans - before.spans), 0, 'spans')
collector.disconnect()
