/**
 * How long `GET /v1/runs` takes with many runs that have ended: each request by itself, and 20 at once, with what a request to another
 * path takes meanwhile. The API is a process of its own. Settings: `runs=N` (30000), `requests=N` a figure (200).
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { startRedis } from '../test/fixtures/redis.ts'
import { fixed, judge, machine, printTable, setting, spread } from './figures.ts'

const LIMIT_MS = 50
const AT_ONCE = 20
const TENANTS = 100
const runs = setting('runs', 30_000)
const requests = setting('requests', 200)

const redis = await startRedis()
const client = new Redis(redis.url, { maxRetriesPerRequest: null })
const folder = mkdtempSync(join(tmpdir(), 'caesura-lists-'))
writeFileSync(join(folder, 'p.yaml'), 'name: p\nstages:\n  - { id: a, model: m, prompt: "{{ input }}" }\n')

const PROMPT = 'x'.repeat(1000)
const call = {
  ...{ id: 'a', callId: 'a.1', attempt: 1, node: 'n', backend: 'ollama', model: 'm', settlement: 'completed' },
  text: PROMPT,
  tokens: { prompt: 10, generated: 200, delivered: 200, wasted: 0 },
  ...{ startMs: 0, firstTokenMs: 90, lastTokenMs: 900, settledMs: 901, slotMs: 900, wastedSlotMs: 0 },
  marks: Array.from({ length: 12 }, (_, index) => ({ name: 'call-start', ms: index })),
}

/** As the commands of a fleet leave a run: its spec, its record and its place in the sets. */
async function seed(): Promise<void> {
  const { openFleetRedis } = await import('../src/workers/redis.ts')
  const fleet = await openFleetRedis(redis)
  const began = Date.now() - runs
  for (let from = 0; from < runs; from += 500) {
    const page = Array.from({ length: Math.min(500, runs - from) }, (_, index) => from + index)
    await Promise.all(
      page.map(async (run) => {
        const [runId, tenant, pipeline] = [`run-${run}`, `t${run % TENANTS}`, run % 10 === 0 ? 'q' : 'p']
        const outcome = run % 100 === 0 ? 'failed' : 'completed'
        const spec = JSON.stringify({
          pipeline: { name: pipeline, stages: [{ id: 'a', prompt: PROMPT }] },
          input: PROMPT,
        })
        const line = {
          outcome,
          startedAt: new Date(began + run).toISOString(),
          durationMs: 1000,
          interrupts: 0,
          wastedTokens: 0,
        }
        const record = JSON.stringify({
          ...{ schema: 'caesura.record/1', runId, pipeline, traceId: '0'.repeat(32), outcome, output: PROMPT },
          ...{ startedAt: line.startedAt, durationMs: 1000, stages: [call, call], interrupts: [] },
          cost: { generatedTokens: 400, wastedTokens: 0, slotMs: 1800, wastedSlotMs: 0 },
        })
        await fleet.call('submit', runId, spec, began + run, tenant, pipeline, '', '')
        const end = [
          'line',
          JSON.stringify({ pipeline, submittedAt: began + run, tenant, seq: 40, ended: line }),
          outcome,
          pipeline,
          '',
          '',
          'end',
          record,
          86_400_000,
          began + run,
          1_000_000,
        ]
        await fleet.call('appendAll', 5 + end.length, runId, 0, 0, '', 0, ...end)
      }),
    )
  }
  fleet.close()
}

const main = new URL('../src/cli/main.ts', import.meta.url).pathname
async function startApi() {
  const flags = ['serve', '--port', '0', '--rate', '0', '--pipelines', folder, '--redis', redis.url, '--json']
  const child = spawn(process.execPath, [main, ...flags], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  let told = ''
  for await (const text of child.stdout.setEncoding('utf8')) {
    told += text
    if (told.includes('}')) break
  }
  return { child, url: (JSON.parse(told) as { url: string }).url }
}

/** ms of CPU that the API has used (in Linux, whose clock ticks are 10 ms). */
function usedMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return 10 * (Number(fields[11]) + Number(fields[12]))
}

/** ms of CPU that Redis has used. */
async function redisMs(): Promise<number> {
  const told = await client.info('cpu')
  return (
    1000 * ['user', 'sys'].reduce((sum, kind) => sum + Number(new RegExp(`used_cpu_${kind}:(\\S+)`).exec(told)?.[1]), 0)
  )
}

let refused = 0

async function timed(url: string): Promise<number> {
  const began = performance.now()
  const response = await fetch(url)
  await response.text()
  // Where the machine is so busy that Redis does not answer in time: in the table as such.
  if (!response.ok) refused += 1
  return performance.now() - began
}

await seed()
const { child, url } = await startApi()
const queries: Record<string, () => string> = {
  'no filter': () => '',
  tenant: () => `?tenant=t${Math.floor(Math.random() * TENANTS)}`,
  'tenant and outcome': () => `?tenant=t${Math.floor(Math.random() * TENANTS)}&outcome=failed`,
  'pipeline and outcome': () => '?pipeline=q&outcome=failed',
  'tenant that has none': () => '?tenant=nobody',
  'tenant, 500 a page': () => `?tenant=t${Math.floor(Math.random() * TENANTS)}&limit=500`,
}
console.log(`GET /v1/runs, ${runs} runs that have ended, of ${TENANTS} tenants. ${machine()}\n`)
const rows: string[][] = []
const judged: [string, number][] = []
for (const [name, query] of Object.entries(queries)) {
  for (let round = 0; round < 200; round++) await timed(`${url}/v1/runs${query()}`)
  const before = [usedMs(child.pid!), await redisMs()] as const
  const alone: number[] = []
  for (let round = 0; round < requests; round++) alone.push(await timed(`${url}/v1/runs${query()}`))
  const together: number[] = []
  const beside: number[] = []
  for (let round = 0; round < requests; round += AT_ONCE) {
    const all = Array.from({ length: AT_ONCE }, () => timed(`${url}/v1/runs${query()}`))
    beside.push(await timed(`${url}/healthz`))
    together.push(...(await Promise.all(all)))
  }
  const asked = alone.length + together.length
  const cpu = [(usedMs(child.pid!) - before[0]) / asked, ((await redisMs()) - before[1]) / asked]
  const [a, t, b] = [spread(alone), spread(together), spread(beside)]
  rows.push([name, ...[a.p50, a.p95, t.p50, t.p95, b.p95, ...cpu].map((ms) => fixed(ms, 1))])
  judged.push([name, a.p95], [`${name}, ${AT_ONCE} at once`, t.p95])
}
if (refused > 0) judge('requests that were refused', refused, 0, '')
printTable(
  ['ms', 'alone p50', 'p95', `${AT_ONCE} at once p50`, 'p95', '/healthz meanwhile p95', 'CPU a request: API', 'Redis'],
  rows,
)
console.log()
for (const [name, p95] of judged) judge(name, p95, LIMIT_MS, 'ms')
child.kill('SIGKILL')
client.disconnect()
await redis.stop()
rmSync(folder, { recursive: true })
process.exit(process.exitCode ?? 0)
