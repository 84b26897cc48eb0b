/**
 * What the way over Redis costs, each part in a process of its own: an interrupt until the next call's request is at the server, a
 * cancel until the socket is closed there, runs a second with a model that does nothing, tokens to one reader. Against a job a call,
 * tokens in a stream and a channel for cancels, written by hand on BullMQ. Settings: `rounds=N`, `warmup=N`, `runs=N`, `live=N`, `scale=0` (leaves out how cost grows).
 */
import type { ChildProcess } from 'node:child_process'
import { Queue, QueueEvents } from 'bullmq'
import { Redis } from 'ioredis'
import { definePipeline } from '../src/app/compose.ts'
import { connectFleet } from '../src/app/fleet.ts'
import { startRedis } from '../test/fixtures/redis.ts'
import { fixed, judge, machine, printTable, setting, spread } from './figures.ts'
import { type Part, startPart } from './fleet-process.ts'
import { ModelServer, monotonicMs } from './model-server.ts'

const LONG = '5/2/200'
const SHORT = '1/1/2'
const AT_TOKEN = 12
const rounds = setting('rounds', 150)
const warmup = setting('warmup', 50)

const redis = await startRedis()
const { url } = redis
const client = new Redis(url, { maxRetriesPerRequest: null })
const parts: ChildProcess[] = []
const start = async (...names: Part[]) => {
  for (const name of names) parts.push(await startPart(name, url, server.url))
}
const stop = () => {
  for (const part of parts.splice(0)) part.kill('SIGKILL')
}
const server = await ModelServer.start()
const fleet = await connectFleet({ url })

const pipeline = definePipeline({
  name: 'interrupted',
  stages: [
    { id: 'draft', model: LONG, prompt: '{{ input }}', policy: { trigger: 'signal', response: 'abort' } },
    { id: 'refine', model: SHORT, prompt: '{{ input }} {{ draft.output }} {{ interrupt.input }}' },
  ],
})

async function interrupted(): Promise<number> {
  const { runId } = await fleet.submit(pipeline, { input: 'question' })
  let [at, tokens] = [0, 0]
  for await (const event of fleet.events(runId)) {
    if (event.type !== 'token' || ++tokens !== AT_TOKEN) continue
    at = monotonicMs()
    void fleet.interrupt(runId, { input: 'change' })
  }
  const [, second = 0] = await server.arrivals(2)
  await server.leavings(1)
  return second - at
}

async function cancelled(): Promise<number> {
  const { runId } = await fleet.submit(pipeline, { input: 'question' })
  let [at, tokens] = [0, 0]
  for await (const event of fleet.events(runId)) {
    if (event.type !== 'token' || ++tokens !== AT_TOKEN) continue
    at = monotonicMs()
    void fleet.cancel(runId)
  }
  await server.arrivals(1)
  const [left = 0] = await server.leavings(1)
  return left - at
}

const hand = new Queue<{ model: string; content: string }>('hand', { connection: client.duplicate() })
const handEvents = new QueueEvents('hand', { connection: client.duplicate() })
const tokens = client.duplicate()

/** `goOn`: the next call is made when the first has ended. */
async function byHand(goOn: boolean): Promise<number> {
  const job = await hand.add('call', { model: LONG, content: 'question' })
  let [last, count, at] = ['0', 0, 0]
  while (count < AT_TOKEN) {
    const found = (await tokens.xread('BLOCK', 1000, 'STREAMS', `tokens:${job.id}`, last)) as
      | [string, [string, string[]][]][]
      | null
    for (const [id] of found?.[0]?.[1] ?? []) [last, count] = [id, count + 1]
  }
  at = monotonicMs()
  await client.publish('cancel', job.id!)
  await job.waitUntilFinished(handEvents)
  if (goOn) {
    const next = await hand.add('call', { model: SHORT, content: 'question change' })
    await next.waitUntilFinished(handEvents)
  }
  const arrivals = await server.arrivals(goOn ? 2 : 1)
  const [left = 0] = await server.leavings(1)
  return (goOn ? arrivals[1]! : left) - at
}

console.log(`Over Redis, ${rounds} rounds after ${warmup}. ${machine()}\n`)
await start('pipelines', 'stages', 'hand')
await handEvents.waitUntilReady()
const arms = {
  'interrupt → next request, `abort`': interrupted,
  'the same by hand': () => byHand(true),
  'cancel → socket closed': cancelled,
  'the same by hand ': () => byHand(false),
}
const samples = Object.fromEntries(Object.keys(arms).map((name) => [name, [] as number[]]))
for (let round = 0; round < warmup + rounds; round++) {
  for (const [name, arm] of Object.entries(arms)) {
    const ms = await arm()
    if (round >= warmup) samples[name]!.push(ms)
  }
}
printTable(
  ['ms', 'p50', 'p95', 'p99'],
  Object.entries(samples).map(([name, list]) => {
    const { p50, p95, p99 } = spread(list)
    return [name.trim(), fixed(p50), fixed(p95), fixed(p99)]
  }),
)
const [interrupt, , cancel] = Object.values(samples).map(spread)
console.log()
judge('interrupt → next request, p50', interrupt!.p50, 4, 'ms')
judge('interrupt → next request, p95', interrupt!.p95, 10, 'ms')
judge('cancel → socket closed, p50', cancel!.p50, 1.5, 'ms')
judge('cancel → socket closed, p95', cancel!.p95, 3, 'ms')
stop()

const runs = setting('runs', 4000)
const empty = definePipeline({
  name: 'no-op',
  stages: [
    { id: 'a', model: 'scripted', prompt: 'x', policy: { trigger: 'never' } },
    { id: 'b', model: 'scripted', prompt: '{{ a.output }}', policy: { trigger: 'never' } },
  ],
})

/** Runs a second, submitted as fast as they are taken. */
async function throughput(begin: () => Promise<unknown>, ended: () => Promise<number>): Promise<number> {
  const before = await ended()
  const began = performance.now()
  for (let begun = 0; begun < runs; ) {
    const room = Math.min(runs - begun, 400 - (begun - ((await ended()) - before)))
    await Promise.all(Array.from({ length: room }, begin))
    begun += room
    if (room < 20) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  while ((await ended()) - before < runs) await new Promise((resolve) => setTimeout(resolve, 5))
  return (runs / (performance.now() - began)) * 1000
}

await start('pipelines', 'no-op')
const finished = () => client.zcard('{caesura}:finished')
const submit = () => fleet.submit(empty, { input: 'i' })
await throughput(submit, finished)
const through = await throughput(submit, finished)
stop()
await start('hand-no-op')
const chain = new Queue('empty', { connection: client.duplicate() })
const alone = await throughput(
  () => chain.add('run', { left: 2 }, { removeOnComplete: true }),
  async () => Number((await client.get('empty:done')) ?? 0),
)
stop()
console.log()
printTable(
  ['runs of two calls, a model that does nothing', 'runs/s'],
  [
    ['fleet: one process of pipelines, one of stages', fixed(through, 0)],
    ['BullMQ alone: three empty jobs in a chain', fixed(alone, 0)],
  ],
)
console.log()
judge('no-op runs, time a run', 1000 / through, 0.5, 'ms')

/** Ended runs as they are kept, without having been run. */
async function seed(count: number): Promise<void> {
  const lua = `for i = 1, tonumber(ARGV[1]) do
    local id = 'seed-' .. ARGV[2] .. '-' .. i
    redis.call('HSET', '{caesura}:run:' .. id, 'status', 'ended', 'record', '{}')
    redis.call('ZADD', '{caesura}:finished', ARGV[3] + i / 1000, id)
  end`
  for (let done = 0; done < count; done += 1000) await client.eval(lua, 0, 1000, `${count}-${done}`, Date.now())
}

if (setting('scale', 1) === 1) {
  const scale: [string, number][] = []
  await start('pipelines', 'no-op')
  for (const kept of [1000, 10_000, 90_000]) {
    const missing = kept - (await finished())
    if (missing > 0) await seed(missing)
    scale.push([`${kept} ended runs kept`, await throughput(submit, finished)])
  }
  stop()
  for (const waiting of [10, 10_000]) {
    await Promise.all(Array.from({ length: waiting }, submit))
    const before = await finished()
    await start('pipelines', 'no-op')
    while ((await finished()) === before) await new Promise((resolve) => setTimeout(resolve, 5))
    scale.push([`${waiting} runs waiting before`, await throughput(submit, finished)])
    stop()
    await client.flushall()
  }
  await start('pipelines', '16 no-op')
  scale.push(['16 nodes of 4 slots', await throughput(submit, finished)])
  stop()
  console.log()
  printTable(
    ['the same with', 'runs/s'],
    scale.map(([name, rate]) => [name, fixed(rate, 0)]),
  )
  console.log()
  const [few, , many] = scale.map(([, rate]) => rate)
  judge('time a run, 90,000 kept over 1,000', few! / many!, 1.3, '×')
  judge('time a run, 10,000 waiting before over 10', scale[3]![1] / scale[4]![1], 1.3, '×')
  judge('time a run, 16 nodes over 1', few! / scale[5]![1], 1.3, '×')
}

const live = setting('live', 1000)
const stamps = definePipeline({
  name: 'stamps',
  stages: [{ id: 'a', model: 'stamps', prompt: 'x', options: { maxTokens: 100 }, policy: { trigger: 'never' } }],
})
await start('pipelines', 'stamps')
const late: number[] = []
const streams = Array.from({ length: live }, async () => {
  const { runId } = await fleet.submit(stamps, { input: 'i' })
  for await (const event of fleet.events(runId)) {
    if (event.type === 'token') late.push(monotonicMs() - Number(event.text))
  }
})
const began = performance.now()
await Promise.all(streams)
const rate = late.length / ((performance.now() - began) / 1000)
stop()
const under = spread(late)
console.log()
printTable(
  ['token made → in the reader’s hands, ms', 'p50', 'p95', 'p99', 'tokens/s'],
  [[`${live} runs of 20 tokens/s, one reader`, fixed(under.p50), fixed(under.p95), fixed(under.p99), fixed(rate, 0)]],
)
console.log()
judge('token → reader, p99', under.p99, 10, 'ms')
server[Symbol.dispose]()
await redis.stop()
process.exit(process.exitCode ?? 0)
