/**
 * What readers of one run cost the API, a process of its own: many that read it as it goes, and many that never read. Its memory, and
 * how long other requests take meanwhile. Settings: `readers=N` (2000), `stalled=N` (200).
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { definePipeline } from '../src/app/compose.ts'
import { connectFleet, hostRuns, serveNode } from '../src/app/fleet.ts'
import { scriptedBackend } from '../src/nodes/backends/scripted.ts'
import { startRedis } from '../test/fixtures/redis.ts'
import { fixed, judge, machine, printTable, setting, spread } from './figures.ts'

const readers = setting('readers', 2000)
const stalled = setting('stalled', 200)
/** Tokens of the run that is read, a second, and how many. */
const [RATE, TOKENS] = [10, 100]
/** Of the run that nobody reads: more than a socket holds. */
const [LONG, LONG_TOKENS] = ['x'.repeat(2000), 5000]
const MEMORY_LIMIT_KIB = 256

const redis = await startRedis()
const backend = scriptedBackend(({ model }) =>
  model === 'long'
    ? { tokens: Array(LONG_TOKENS).fill(LONG), firstTokenMs: 1, tokenMs: 0 }
    : { tokens: Array.from({ length: TOKENS }, (_, index) => `w${index} `), firstTokenMs: 1000, tokenMs: 1000 / RATE },
)
const worker = await hostRuns({ redis })
const node = await serveNode({ name: 'n', slots: 8, pool: 'default', backend }, { redis })
const fleet = await connectFleet(redis)
const pipeline = (model: string) =>
  definePipeline({ name: model, stages: [{ id: 'a', model, prompt: '{{ input }}', policy: { trigger: 'never' } }] })

const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const child = spawn(
  process.execPath,
  [main, 'serve', '--port', '0', '--rate', '0', '--allow-inline', '--redis', redis.url, '--json'],
  {
    stdio: ['ignore', 'pipe', 'ignore'],
  },
)
let told = ''
for await (const text of child.stdout.setEncoding('utf8')) {
  told += text
  if (told.includes('}')) break
}
const { url } = JSON.parse(told) as { url: string }
const port = Number(new URL(url).port)

/** MiB that the API holds. */
const memory = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) / 1024

function follow(runId: string): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.write(`GET /v1/runs/${runId}/events HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n`)
  return socket
}

async function looks(until: Promise<unknown>): Promise<{ ms: number[]; most: number }> {
  let isOver = false
  void until.finally(() => {
    isOver = true
  })
  const ms: number[] = []
  let most = 0
  while (!isOver) {
    const began = performance.now()
    await (await fetch(`${url}/healthz`)).text()
    ms.push(performance.now() - began)
    most = Math.max(most, memory())
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { ms, most }
}

const rows: string[][] = []
const before = memory()
const { runId } = await fleet.submit(pipeline('read'), { input: 'i' })
const whole = Array.from({ length: readers }, () => {
  const socket = follow(runId)
  return new Promise<boolean>((resolve) => {
    let last = ''
    socket.setEncoding('utf8').on('data', (text: string) => {
      last = (last + text).slice(-400)
    })
    socket.on('close', () => resolve(last.includes('"run-end"')))
    socket.on('error', () => resolve(false))
  })
})
const reading = await looks(Promise.all(whole))
const told2 = (await Promise.all(whole)).filter(Boolean).length
const a = spread(reading.ms)
rows.push([
  `${readers} read a run of ${RATE} tokens/s`,
  fixed(before, 0),
  fixed(reading.most, 0),
  fixed(a.p50, 1),
  fixed(a.p95, 1),
])

const long = await fleet.submit(pipeline('long'), { input: 'i' })
for await (const event of fleet.events(long.runId)) if (event.type === 'run-end') break
const calm = memory()
const silent = Array.from({ length: stalled }, () => follow(long.runId).pause())
const stall = await looks(new Promise((resolve) => setTimeout(resolve, 20_000)))
const b = spread(stall.ms)
const mib = (LONG.length * LONG_TOKENS) / 2 ** 20
rows.push([
  `${stalled} take nothing of ${fixed(mib, 0)} MiB`,
  fixed(calm, 0),
  fixed(stall.most, 0),
  fixed(b.p50, 1),
  fixed(b.p95, 1),
])

console.log(`Readers of one run. ${machine()}\n`)
printTable(['', 'MiB before', 'MiB at most', '/healthz p50, ms', 'p95'], rows)
console.log()
judge('readers that were not told the end', readers - told2, 0, '')
judge('a reader', ((reading.most - before) * 1024) / readers, MEMORY_LIMIT_KIB, 'KiB')
judge('a reader that takes nothing', ((stall.most - calm) * 1024) / stalled, MEMORY_LIMIT_KIB, 'KiB')
for (const socket of silent) socket.destroy()
child.kill('SIGKILL')
await fleet.close()
await node.close()
await worker.close()
await redis.stop()
process.exit(process.exitCode ?? 0)
