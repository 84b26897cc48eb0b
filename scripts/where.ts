// `npm run where`: a fleet of real processes over each way to run a Redis, and what came of it.
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { kinds, type Place } from './where/places.ts'
import { Servers } from './where/server.ts'
import type { TrialResult } from './where/trial.ts'

const { values } = parseArgs({
  options: {
    server: { type: 'string', multiple: true, default: ['redis-server', 'valkey-server'] },
    only: { type: 'string', multiple: true, default: Object.keys(kinds) },
    json: { type: 'boolean', default: false },
  },
})
const trialFile = fileURLToPath(new URL('./where/trial.ts', import.meta.url))
const LIMIT_MS = 120_000

interface Row {
  readonly server: string
  readonly where: string
  readonly result: 'right' | 'wrong' | 'not tried'
  readonly faults: readonly string[]
  readonly found?: TrialResult
}

/** Runs a trial in a process of its own, for the environment says which authorities it trusts. */
async function tried({ url, env, disturb }: Place): Promise<TrialResult> {
  const child = fork(trialFile, [url], { env: { ...process.env, ...env } })
  const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
  let result: TrialResult | undefined
  child.on('message', (message: { underWay?: true; result?: TrialResult }) => {
    if (message.underWay) void disturb?.()
    result ??= message.result
  })
  await once(child, 'exit')
  clearTimeout(limit)
  return (
    result ?? { runs: 0, ended: 0, interrupts: 0, takenOver: 0, faults: ['the trial came to no end'], ms: LIMIT_MS }
  )
}

/** What is wrong with how addresses are refused that can't work. */
async function wrongRefusals({ refused = [] }: Place): Promise<string[]> {
  const faults: string[] = []
  for (const [url, reason, env = {}] of refused) {
    const { refused: said = 'it was taken' } = await tried({ url, env })
    if (!reason.test(said)) faults.push(`${url} should be refused with ${reason}: ${said}`)
  }
  return faults
}

const rows: Row[] = []
for (const program of values.server) {
  const version = versionOf(program)
  if (version === undefined) {
    say(`${program} is not there: it was not tried.`)
    continue
  }
  for (const where of values.only) {
    const servers = await Servers.of(program)
    try {
      const start = kinds[where as keyof typeof kinds]
      if (start === undefined) throw new Error(`--only ${where}: there are ${Object.keys(kinds).join(', ')}`)
      const place = await start(servers)
      const refusals = await wrongRefusals(place)
      const found = await tried(place)
      const faults = [...found.faults, ...refusals, ...(found.refused === undefined ? [] : [found.refused])]
      add({ server: version, where, result: faults.length === 0 ? 'right' : 'wrong', faults, found })
    } catch (error) {
      add({
        server: version,
        where,
        result: 'not tried',
        faults: [(error as Error).message.trim().split('\n').at(-1) ?? ''],
      })
    } finally {
      await servers.stop()
    }
  }
}
if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`)
process.exit(rows.some(({ result }) => result === 'wrong') ? 1 : 0)

function add(row: Row): void {
  rows.push(row)
  const { server, where, result, faults, found } = row
  const figures =
    found &&
    `${found.ended} of ${found.runs} runs, ${found.interrupts} interrupts, ${found.takenOver} taken over, ${found.ms} ms`
  say(`${server.padEnd(16)} ${where.padEnd(9)} ${result.padEnd(9)} ${figures ?? ''}`.trimEnd())
  for (const fault of faults) say(`  ${fault}`)
}

function say(line: string): void {
  process[values.json ? 'stderr' : 'stdout'].write(`${line}\n`)
}

/** As the program tells it: `Redis 7.0.15`. */
function versionOf(program: string): string | undefined {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  const [, name, version] = /^(\w+) server v=(\S+)/.exec(stdout ?? '') ?? []
  return name === undefined ? undefined : `${name} ${version}`
}
