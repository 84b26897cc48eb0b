import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { quantile } from 'simple-statistics'
import { connectFleet } from '../src/app/fleet.ts'
import type { RunEvent } from '../src/core/event.ts'
import type { Fleet } from '../src/core/fleet.ts'
import { fleetKeys } from '../src/workers/keys.ts'
import { startRedis } from '../test/fixtures/redis.ts'
import { Chance } from './chaos/chance.ts'
import { ordinary } from './chaos/pipelines.ts'
import { kill, startVictim, type Victim } from './chaos/processes.ts'
import { type Faults, type Story, verify } from './chaos/verify.ts'

// Runs over processes that are killed at random: npm run chaos -- --runs 1000 --seed 1 [--json]
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    live: { type: 'string', default: '40' },
    json: { type: 'boolean', default: false },
  },
})
const RUNS = Number(values.runs)
const LIVE = Number(values.live)
const KILL_MS = 500
/** How long a run may take, ms, on a machine that is at rest; and how many times as long as its slowest run before the kills. */
const LEAST_STUCK_MS = 60_000
const TIMES_CALM = 30

const chance = new Chance(Number(values.seed))

const server = await startRedis()
const { url } = server
const keys = fleetKeys()
const looking = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
looking.on('error', () => undefined)
const victims: Victim[] = [
  ...['p1', 'p2'].map((name): Victim => ({ kind: 'pipelines', name, id: undefined, child: undefined })),
  ...['s1', 's2', 's3'].map((name): Victim => ({ kind: 'stages', name, id: undefined, child: undefined })),
]
await Promise.all(victims.map((victim) => startVictim(victim, url)))
const fleet = await connectFleet({ url })
const sums = { kills: 0, redisRestarts: 0, interrupts: 0, cancels: 0, stuck: 0, lost: 0 }
const recoveries: number[] = []
/** The same without the time in which Redis itself was away. */
const ownRecoveries: number[] = []
const outages: { readonly from: number; until: number }[] = []
const stories: Story[] = []
let started = 0
let done = 0
let over = false
let stuckMs = Number.POSITIVE_INFINITY

// What this machine can do while nothing dies: a run that takes much longer is stuck, and not slow.
const calmFrom = performance.now()
await lanes(Math.min(RUNS, LIVE))
const calmMs = performance.now() - calmFrom
stuckMs = Math.max(LEAST_STUCK_MS, TIMES_CALM * calmMs)
await Promise.all([lanes(RUNS).then(() => (over = true)), killing(), restartingRedis()])

const faults: Faults = { wrongText: [], crossKills: [], doubled: [] }
for (const story of stories) {
  const entries = await looking.xrange(keys.events(story.runId), '-', '+')
  verify(
    story,
    entries.map(([, [, event]]) => JSON.parse(event!) as RunEvent),
    faults,
  )
}
const generated = Map.groupBy(await looking.smembers('chaos:generated'), (each) => each.slice(0, each.lastIndexOf(' ')))
for (const [call, each] of generated) if (each.length > 1) faults.doubled.push(`${call}: ${each.length} times`)
let resumed = 0
for (const { runId } of stories) if (Number(await looking.hget(keys.run(runId), 'epoch')) > 1) resumed += 1

over = true
const spread = (list: readonly number[]) => {
  const p = (q: number) => (list.length === 0 ? 0 : Math.round(quantile([...list], q)))
  return { p50: p(0.5), p95: p(0.95), max: p(1) }
}
const table = {
  runs: stories.length,
  ...sums,
  calmMs: Math.round(calmMs),
  doubled: faults.doubled.length,
  wrongText: faults.wrongText.length,
  crossKills: faults.crossKills.length,
  resumed,
  recoveryMs: spread(recoveries),
  recoveryBesideRedisMs: spread(ownRecoveries),
}
for (const list of Object.values(faults)) for (const line of list.slice(0, 10)) process.stderr.write(`${line}\n`)
for (const { runId, failure } of stories) if (failure !== undefined) process.stderr.write(`${runId}: ${failure}\n`)
if (values.json) process.stdout.write(`${JSON.stringify(table)}\n`)
else {
  const inWords = ({ p50, p95, max }: ReturnType<typeof spread>) => `p50 ${p50}, p95 ${p95}, max ${max}`
  const { recoveryMs, recoveryBesideRedisMs, ...rest } = table
  console.table({
    ...rest,
    recoveryMs: inWords(recoveryMs),
    recoveryBesideRedisMs: inWords(recoveryBesideRedisMs),
  })
}
const bad = table.lost + table.doubled + table.wrongText + table.stuck + table.crossKills
looking.disconnect()
await fleet.close()
for (const { child } of victims) child?.kill('SIGKILL')
await server.stop()
process.exit(bad === 0 ? 0 : 1)

/** Keeps so many runs alive at once until this many have ended. */
async function lanes(runs: number): Promise<void> {
  const lane = async () => {
    while (started < runs) await follow(++started)
  }
  await Promise.all(Array.from({ length: LIVE }, lane))
}

async function follow(number: number): Promise<void> {
  const input = `question ${number}`
  const runId = `chaos-${values.seed}-${number}`
  const story: Story = { runId, input, cancelled: false, signals: [], events: [] }
  stories.push(story)
  const stuck = new AbortController()
  const timer = Number.isFinite(stuckMs) ? setTimeout(() => stuck.abort(), stuckMs) : undefined
  await fleet.submit(chance.pick(ordinary), { input, runId })
  const what = chance.next()
  if (what < 0.5) setTimeout(() => void signal(story, fleet).catch(() => undefined), 100 + chance.next() * 400)
  else if (what < 0.6) {
    story.cancelled = true
    sums.cancels += 1
    setTimeout(() => void fleet.cancel(runId, 'chaos').catch(() => undefined), chance.next() * 500)
  }
  try {
    for await (const event of fleet.events(runId, 0, stuck.signal)) story.events.push(event)
    const run = await fleet.read(runId)
    if (run.record !== undefined) story.record = run.record
    else if (run.status === 'ended') {
      sums.lost += 1
      story.failure = run.dead ?? 'ended without a record'
    } else {
      sums.stuck += 1
      story.failure = `stuck after event ${story.events.at(-1)?.seq} ${JSON.stringify(story.events.at(-1))}`
    }
  } catch (error) {
    sums.lost += 1
    story.failure = String(error)
  } finally {
    clearTimeout(timer)
  }
  done += 1
  if (!values.json && process.stderr.isTTY) process.stderr.write(`\r${done} of ${RUNS} runs, ${sums.kills} kills `)
}

async function signal(story: Story, { interrupt }: Fleet): Promise<void> {
  const input = `change of ${story.runId}`
  story.signals.push(input)
  sums.interrupts += 1
  await interrupt.call(fleet, story.runId, { input })
}

/** Every half second a process dies, and another of its name is started. */
async function killing(): Promise<void> {
  while (!over) {
    await new Promise((resolve) => setTimeout(resolve, KILL_MS))
    const victim = chance.pick(victims)
    if (victim.id === undefined || over) continue
    const id = await kill(victim)
    if (id === undefined) continue
    sums.kills += 1
    if (victim.kind === 'pipelines') void recovery(id, performance.now())
    void startVictim(victim, url)
  }
}

/** How long the runs of a dead owner are without one. */
async function recovery(owner: string, since: number): Promise<void> {
  const live = await looking.zrange(keys.live, '0', '-1')
  const owners = await Promise.all(live.map((runId) => looking.hget(keys.run(runId), 'owner')))
  await Promise.all(
    live.map(async (runId, index) => {
      if (owners[index] !== owner) return
      while (performance.now() - since < stuckMs) {
        const [newest, status] = await looking.hmget(keys.run(runId), 'owner', 'status')
        if (newest !== owner || status === 'ended') {
          const now = performance.now()
          recoveries.push(now - since)
          const awayMs = outages.map(({ from, until }) => Math.max(0, Math.min(until, now) - Math.max(from, since)))
          ownRecoveries.push(now - since - awayMs.reduce((sum, ms) => sum + ms, 0))
          return
        }
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }),
  )
}

/** Three times in the run Redis itself is killed, and comes back from its file. */
async function restartingRedis(): Promise<void> {
  for (const part of [0.25, 0.5, 0.75]) {
    while (!over && done < RUNS * part) await new Promise((resolve) => setTimeout(resolve, 50))
    if (over) return
    const outage = { from: performance.now(), until: Number.POSITIVE_INFINITY }
    outages.push(outage)
    await server.kill()
    await new Promise((resolve) => setTimeout(resolve, 300 + chance.next() * 700))
    await server.restart()
    outage.until = performance.now()
    sums.redisRestarts += 1
  }
}
