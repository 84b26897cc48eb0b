/**
 * What telemetry costs: CPU a run at a rate of runs a second, and the delay of tokens to their readers, with spans of every run, of the
 * default sample, and of none, in short turns in one process; the collector in another one. Then a burst, and a collector that is away.
 * Settings: `rate=N` runs a second, `ms=N` a turn, `turns=N` an arm, `down=N` seconds away.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { quantile } from 'simple-statistics'
import { createEngine, definePipeline, type Engine, scripted, systemClock } from '../src/index.ts'
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
const turnMs = setting('ms', 1000)
const turns = setting('turns', 40)
const down = setting('down', 60)

const collector = fork(fileURLToPath(import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
const [url] = (await once(collector, 'message')) as [string]
const ask = async (what: 'down' | 'up' | 'count') => {
  const answered = once(collector, 'message')
  collector.send(what)
  return ((await answered) as [{ spans: number; ids: number }])[0]
}

const lines: string[] = []
const telemetryOf = (more: Record<string, string> = {}, isScraped = false) =>
  openTelemetry(telemetrySettings({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/v1/traces`, ...more }), {
    service: 'bench',
    instance: 'bench',
    version: '0',
    log: (line) => lines.push(line),
    closeMs: 30_000,
    isScraped,
  })

const pipeline = definePipeline({
  name: 'telemetry',
  stages: [
    { id: 'draft', model: 'm', prompt: '{{ input }}', policy: { trigger: { tokens: 6 }, response: 'abort' } },
    { id: 'refine', model: 'm', prompt: '{{ input }} {{ draft.output }}' },
  ],
})
const tokens = Array.from({ length: 12 }, (_, index) => (index % 6 === 5 ? ' end.' : ' token'))

interface Turn {
  readonly cpuUsARun: number
  readonly lateMs: number[]
}

/** When each token was said, by run and call, ns. */
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

/** Runs of two stages with an interrupt, started at the rate; every run has a reader. */
async function turn(telemetry: Arm): Promise<Turn> {
  const { engine } = telemetry
  const lateMs: number[] = []
  const cpu = process.cpuUsage()
  const ended: Promise<unknown>[] = []
  const began = performance.now()
  const runs = (rate * turnMs) / 1000
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
  // What was made meanwhile is to be sent at the cost of this turn.
  while (telemetry.isSending()) await sleep(5)
  const used = process.cpuUsage(cpu)
  return { cpuUsARun: (used.user + used.system) / runs, lateMs }
}

interface Arm {
  readonly engine: Engine
  isSending(): boolean
}

async function arm(more?: Record<string, string>, isScraped = false): Promise<Arm> {
  if (more === undefined) return { engine: createEngine({ nodes: [node] }), isSending: () => false }
  const telemetry = await telemetryOf({ OTEL_BSP_SCHEDULE_DELAY: '200', ...more }, isScraped)
  return { engine: createEngine({ nodes: [node], telemetry }), isSending: () => telemetry.waiting > 0 }
}

const arms = {
  off: await arm(),
  'at most 50 a second (default)': await arm({}),
  'the same, and figures to be scraped': await arm({}, true),
  'every run': await arm({ OTEL_TRACES_SAMPLER: 'always_on' }),
}
const names = Object.keys(arms) as (keyof typeof arms)[]
const results = Object.fromEntries(names.map((name) => [name, [] as Turn[]])) as unknown as Record<
  keyof typeof arms,
  Turn[]
>
for (let round = -3; round < turns; round++) {
  for (const name of names.map((_, at) => names[(at + round + 3) % names.length]!)) {
    const result = await turn(arms[name])
    if (round >= 0) results[name].push(result)
  }
}

console.log(`${rate} runs/s of two stages with an interrupt, ${turns} turns of ${turnMs} ms an arm. ${machine()}\n`)
const median = (values: number[]) => spread(values).p50
const cpuOf = (name: keyof typeof arms) => results[name].map(({ cpuUsARun }) => cpuUsARun)
const p99Of = (name: keyof typeof arms) => results[name].map(({ lateMs }) => spread(lateMs).p99)
const ratios = (name: keyof typeof arms) => cpuOf(name).map((cpu, index) => cpu / results.off[index]!.cpuUsARun)
printTable(
  ['spans of', 'CPU µs a run', 'over off, p50', 'p25', 'p75', 'token → reader p99, ms'],
  names.map((name) => [
    name,
    fixed(median(cpuOf(name)), 0),
    ...[0.5, 0.25, 0.75].map((q) => fixed(quantile(ratios(name), q), 3)),
    fixed(median(p99Of(name)), 3),
  ]),
)

// What a run's spans cost by themselves.
const telemetry = await telemetryOf({ OTEL_TRACES_SAMPLER: 'always_on' })
const engine = createEngine({
  nodes: [scripted({ name: 'n', slots: 1000, script: { tokens, firstTokenMs: 1, tokenMs: 0.2 } })],
  telemetry,
})
const record = await engine.start(pipeline, { input: 'question' }).result
const perRun = spanCount(record)
const times = 20_000
for (let time = 0; time < times; time++) runSpans(record, spanSettings)
const began = performance.now()
for (let time = 0; time < times; time++) runSpans(record, spanSettings)
console.log(`\nmaking the ${perRun} spans of a run: ${fixed(((performance.now() - began) * 1000) / times, 1)} µs`)

// A burst, all at once.
const before = await ask('count')
const burst = Math.ceil(10_000 / perRun)
for (let run = 0; run < burst; run++) telemetry.runEnded({ ...record, runId: `burst-${run}` })
await telemetry.close()
const after = await ask('count')
console.log(`a burst of ${burst * perRun} spans: ${after.spans - before.spans - perRun} arrived`)

// A collector that is away.
await ask('down')
const away = await telemetryOf()
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
