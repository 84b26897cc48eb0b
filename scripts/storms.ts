/**
 * Ordinary runs with known answers, while all goes wrong around them: npm run storms -- --seed 7 --minutes 5 [--live 20] [--json]. Processes
 * and Redis pause, Redis refuses, links are silent or slow, clocks differ by a day. Exits with 1 where a run was lost, doubled, wrong or
 * stuck, or a process ended by itself.
 */
import { parseArgs } from 'node:util'
import { connectFleet } from '../src/app/fleet.ts'
import { Chance } from './chaos/chance.ts'
import { House } from './storms/house.ts'
import { Allowance, doubledCalls, noFindings } from './storms/oracle.ts'
import { Traffic } from './storms/traffic.ts'
import { forecast, type Storm } from './storms/weather.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '5' },
    live: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
})
const [seed, minutes, live] = [Number(values.seed), Number(values.minutes), Number(values.live)]
if (!(Number.isInteger(seed) && minutes > 0 && Number.isInteger(live) && live > 0)) {
  console.error('--seed and --live take whole numbers, --minutes a number above 0')
  process.exit(2)
}
const STORMS_MS = minutes * 60_000
/** In a short run the storms are short as well. */
const LONGEST_MS = Math.min(20_000, STORMS_MS / 12)
const CALM_RUNS = 2 * live
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

const house = await House.open()
const findings = noFindings()
const fleet = await connectFleet({ url: house.redis.url })
// Weather and traffic draw apart: how many runs there are depends on the machine.
const weather = new Chance(seed)
const traffic = new Traffic({
  house,
  fleet,
  findings,
  chance: new Chance(seed + 1),
  allowance: new Allowance(Number.POSITIVE_INFINITY),
})

let left = CALM_RUNS
await traffic.play(live, () => left-- > 0)
const calmMs = Math.max(...traffic.tookMs)
const allowance = new Allowance(calmMs)
traffic.allowance = allowance

const storms: Record<string, number> = {}
const endsAt = performance.now() + STORMS_MS
const playing = traffic.play(live, () => performance.now() < endsAt)
for (const storm of forecast(house, weather, LONGEST_MS)) {
  await pause(weather.between(500, 3000))
  if (performance.now() + storm.ms > endsAt) break
  await blow(storm)
}
await playing
findings.doubled.push(...doubledCalls(house.seen.asked))
findings.exited.push(...house.seen.exited)
findings.unhandled.push(...house.seen.unhandled)
traffic.close()
await fleet.close()
await house.close()

const numbers = Object.fromEntries(Object.entries(findings).map(([name, list]) => [name, list.length]))
const table = { seed, minutes, ...traffic.counts, calmMs: Math.round(calmMs), ...numbers, storms }
for (const [name, list] of Object.entries(findings) as [string, string[]][])
  for (const line of list.slice(0, 10)) process.stderr.write(`${name}: ${line}\n`)
if (values.json) process.stdout.write(`${JSON.stringify(table)}\n`)
else {
  const { storms: _, ...rest } = table
  console.table(rest)
  console.table(storms)
}
process.exit(Object.values(numbers).every((count) => count === 0) ? 0 : 1)

async function blow(storm: Storm): Promise<void> {
  const span = { name: storm.name, from: performance.now(), until: Number.POSITIVE_INFINITY }
  allowance.spans.push(span)
  storms[storm.name] = (storms[storm.name] ?? 0) + 1
  if (process.env.STORMS_LOG !== undefined) process.stderr.write(`--- ${storm.name} for ${storm.ms} ms\n`)
  await storm.begin()
  await pause(storm.ms)
  await storm.end()
  span.until = performance.now()
  if (!values.json && process.stderr.isTTY) process.stderr.write(`\r${traffic.counts.runs} runs, ${storm.name}      `)
}
