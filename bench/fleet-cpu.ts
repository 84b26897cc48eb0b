/**
 * Where the time of a fleet under load goes: CPU time of each process for a run of two calls with a model that does nothing, and for a
 * token to one reader. Unlike runs a second, it says the same on a machine that has other things to do. Settings: `runs=N`,
 * `live=N`, `prof=1` (writes a CPU profile of each process into the working directory).
 */
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { definePipeline } from '../src/app/compose.ts'
import { connectFleet } from '../src/app/fleet.ts'
import { startRedis } from '../test/fixtures/redis.ts'
import { fixed, machine, printTable, setting, spread } from './figures.ts'
import { type Part, startPart } from './fleet-process.ts'
import { monotonicMs } from './model-server.ts'

const redis = await startRedis()
const { url } = redis
const client = new Redis(url, { maxRetriesPerRequest: null })
const fleet = await connectFleet({ url })
const redisPid = Number(/process_id:(\d+)/.exec(await client.info('server'))![1])
let parts: { name: string; child: ChildProcess }[] = []
if (setting('prof', 0) === 1) process.execArgv.push('--cpu-prof')

async function start(...names: Part[]): Promise<void> {
  for (const name of names) parts.push({ name, child: await startPart(name, url) })
}

/** Disconnected, they end by themselves and write their profile. */
async function stop(): Promise<void> {
  for (const { child } of parts) child.disconnect()
  await Promise.all(parts.map(({ child }) => new Promise((resolve) => child.once('exit', resolve))))
  parts = []
}

/** CPU time of a process so far, ms: user and system time, in hundredths of a second. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

const cpu = (): Map<string, number> =>
  new Map([
    ...parts.map(({ name, child }): [string, number] => [name, cpuMs(child.pid!)]),
    ['Redis', cpuMs(redisPid)],
    ['submits and reads', cpuMs(process.pid)],
  ])

async function measure(unit: string, work: () => Promise<number>): Promise<void> {
  await client.config('RESETSTAT')
  const before = cpu()
  const began = performance.now()
  const count = await work()
  const tookMs = performance.now() - began
  const used = [...cpu()].map(([name, ms]): [string, number] => [name, ms - before.get(name)!])
  const sum = used.reduce((total, [, ms]) => total + ms, 0)
  printTable(
    ['process', `CPU µs a ${unit}`],
    [...used, ['all', sum] as [string, number]].map(([name, ms]) => [name, fixed((ms * 1000) / count, 1)]),
  )
  console.log(`${fixed(count / (tookMs / 1000), 0)} a second; two cores could do ${fixed((2000 * count) / sum, 0)}`)
  const stats = await client.info('commandstats')
  const rows = [...stats.matchAll(/cmdstat_(\S+?):calls=(\d+),usec=(\d+)/g)]
    .map(([, name = '', calls, micros]): [string, number, number] => [name, Number(calls), Number(micros)])
    .sort(([, , a], [, , b]) => b - a)
    .slice(0, 8)
    .map(([name, calls, micros]) => [name, fixed(calls / count), fixed(micros / count)])
  printTable(['command', `calls a ${unit}`, `µs a ${unit}`], rows)
  console.log()
}

console.log(`CPU time of a fleet. ${machine()}\n`)
const empty = definePipeline({
  name: 'no-op',
  stages: [
    { id: 'a', model: 'scripted', prompt: 'x', policy: { trigger: 'never' } },
    { id: 'b', model: 'scripted', prompt: '{{ a.output }}', policy: { trigger: 'never' } },
  ],
})
async function empties(count: number): Promise<number> {
  const ended = () => client.zcard('{caesura}:finished')
  const before = await ended()
  for (let begun = 0; begun < count; ) {
    const room = Math.max(0, Math.min(count - begun, 400 - (begun - ((await ended()) - before))))
    await Promise.all(Array.from({ length: room }, () => fleet.submit(empty, { input: 'i' })))
    begun += room
    if (room < 20) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  while ((await ended()) - before < count) await new Promise((resolve) => setTimeout(resolve, 5))
  return count
}
await start('pipelines', 'no-op')
const runs = setting('runs', 4000)
await empties(runs / 2)
await measure('run', () => empties(runs))
await stop()

const live = setting('live', 500)
const stamps = definePipeline({
  name: 'stamps',
  stages: [{ id: 'a', model: 'stamps', prompt: 'x', options: { maxTokens: 100 }, policy: { trigger: 'never' } }],
})
await start('pipelines', 'stamps')
const late: number[] = []
await measure('token', async () => {
  await Promise.all(
    Array.from({ length: live }, async () => {
      const { runId } = await fleet.submit(stamps, { input: 'i' })
      for await (const event of fleet.events(runId)) {
        if (event.type === 'token') late.push(monotonicMs() - Number(event.text))
      }
    }),
  )
  return late.length
})
const { p50, p95, p99 } = spread(late)
console.log(`token → reader, ms: p50 ${fixed(p50)}, p95 ${fixed(p95)}, p99 ${fixed(p99)}`)
await stop()
await fleet.close()
client.disconnect()
await redis.stop()
process.exit(0)
