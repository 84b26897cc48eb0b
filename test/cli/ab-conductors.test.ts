import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { sqliteStore } from '../../src/app/stores.ts'
import type { Trial } from '../../src/core/trial.ts'
import { until } from '../fixtures/until.ts'
import { type OllamaLike, startOllamaLike } from '../servers/ollama-like.ts'
import { caesura, type Started, startCaesura } from './caesura.ts'

// Each step is a process.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

let folder: string
let server: OllamaLike
let started: Started[]
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-conductors-'))
  server = await startOllamaLike({
    models: ['m', 'hold'],
    version: '0.32.0',
    slots: 1,
    script: ({ body }) =>
      body.model === 'hold'
        ? { tokens: Array(20_000).fill('on '), intervalMs: 20 }
        : { tokens: Array(10).fill('on '), intervalMs: 4 },
  })
  started = []
  writeFileSync(join(folder, 'two.yaml'), 'name: two\nstages: [{ id: only, model: m, prompt: "{{ input }}" }]\n')
})
afterEach(async () => {
  for (const { child } of started) child.kill('SIGKILL')
  await Promise.all(started.map(({ ended }) => ended))
  await server.close()
  rmSync(folder, { recursive: true })
})

const SESSIONS = 30
const PLANNED = 2 * SESSIONS

function experiment(sessions = SESSIONS): string {
  const arms = '[{ name: drain, policy: let-finish }, { name: abort, policy: cut-in }]'
  const workload = '{ prompts: [one two three] }'
  writeFileSync(
    join(folder, 'e.yaml'),
    `name: e\npipeline: two.yaml\narms: ${arms}\nworkload: ${workload}\nsessions: ${sessions}\nwarmUp: 1\n`,
  )
  return 'e.yaml'
}

function ab(...args: string[]): Started {
  const process = startCaesura(folder, ['ab', ...args], { OLLAMA_HOST: server.url })
  started.push(process)
  return process
}

function kept<T>(read: (store: ReturnType<typeof sqliteStore>) => T): T {
  const store = sqliteStore(join(folder, 'runs.sqlite'))
  try {
    return read(store)
  } finally {
    store.close()
  }
}
const trials = (): Trial[] =>
  kept((store) => {
    const execution = store.readExecution('e')
    return execution === undefined ? [] : [...store.trials(execution)]
  })
const numbers = () =>
  trials()
    .flatMap(({ trial }) => trial ?? [])
    .toSorted((a, b) => a - b)
const runs = () => kept((store) => store.list().map(({ runId }) => runId))
const range = (to: number) => Array.from({ length: to }, (_, index) => index)

const measured = (least: number) => until(() => existsSync(join(folder, 'runs.sqlite')) && numbers().length >= least)

/** As if the conductor had given no heartbeat for long. */
function heartbeatIsOld(): void {
  const database = new DatabaseSync(join(folder, 'runs.sqlite'))
  database.exec('PRAGMA busy_timeout = 5000; UPDATE conductors SET beat_unix_ms = beat_unix_ms - 60000')
  database.close()
}

/** Takes the server's only slot, so that nobody makes a trial until it is let go. */
async function holdServer(): Promise<() => void> {
  const hold = new AbortController()
  const body = JSON.stringify({ model: 'hold', messages: [{ role: 'user', content: 'x' }] })
  await fetch(`${server.url}/api/chat`, { method: 'POST', body, signal: hold.signal })
  return () => hold.abort()
}

/** An execution with a few trials, that a SIGINT stopped. */
async function stopped(): Promise<void> {
  const first = ab(experiment())
  await measured(3)
  first.child.kill('SIGINT')
  expect(await first.ended).toMatchObject({ status: 130 })
}

describe('an execution has one conductor', () => {
  it('of two that resume it at once one makes exactly what is missing, and the other is refused by name', async () => {
    await stopped()
    const before = numbers().length
    // However long one of them takes to start, the other has not ended by then.
    const letGo = await holdServer()
    const both = [ab('e.yaml', '--resume', '--json'), ab('e.yaml', '--resume', '--json')]
    const refused = await Promise.race(both.map(({ ended }) => ended))
    expect(refused.status).toBe(2)
    const { error } = JSON.parse(refused.stdout)
    expect(error.code).toBe('CAESURA_E_EXPERIMENT_TAKEN')
    const conductor = both.find(({ child }) => child.exitCode === null)
    letGo()
    expect(await conductor?.ended).toMatchObject({ status: 0 })
    expect(numbers()).toEqual(range(PLANNED))
    expect(before).toBeLessThan(PLANNED)
    expect(error.message).toContain(`process ${conductor?.child.pid} on `)
    expect(error.received).toMatch(
      /^execution [0-9a-f]{8} of e: conducted since \d{4}-.*Z, last heartbeat \d+\.\d s ago$/,
    )
  })

  it('is running for `ab list` while it has one, and is not resumed', async () => {
    const first = ab(experiment(500))
    await measured(1)
    const second = await ab('e.yaml', '--resume').ended
    expect(second.status).toBe(2)
    expect(second.stderr).toContain('CAESURA_E_EXPERIMENT_TAKEN')
    expect((await caesura(folder, ['ab', 'list'])).stdout).toMatch(/^e .*running$/m)
    const listed = JSON.parse((await caesura(folder, ['ab', 'list', '--json'])).stdout)
    expect(listed.experiments[0].conductor).toMatchObject({ pid: first.child.pid })
    first.child.kill('SIGINT')
    expect((await first.ended).status).toBe(130)
    expect((await caesura(folder, ['ab', 'list'])).stdout).toMatch(/^e .*stopped$/m)
  })

  it('that was killed leaves it to the next one at once', async () => {
    const first = ab(experiment())
    await measured(3)
    first.child.kill('SIGKILL')
    await first.ended
    expect(await ab('e.yaml', '--resume').ended).toMatchObject({ status: 0 })
    expect(numbers()).toEqual(range(PLANNED))
  })

  it('that paused for too long has lost it: it writes nothing more, and says so', async () => {
    const first = ab(experiment(), '--json')
    await measured(3)
    first.child.kill('SIGSTOP')
    heartbeatIsOld()
    const second = ab('e.yaml', '--resume')
    const before = numbers().length
    await measured(before + 1)
    first.child.kill('SIGCONT')
    const lost = await first.ended
    expect(lost.status).toBe(1)
    expect(JSON.parse(lost.stdout).error).toMatchObject({
      code: 'CAESURA_E_EXPERIMENT_LOST',
      message: expect.stringContaining(`process ${second.child.pid} on `),
    })
    expect(await second.ended).toMatchObject({ status: 0 })
    expect(numbers()).toEqual(range(PLANNED))
    expect(kept((store) => store.readExecution('e')?.ended?.how)).toBe('complete')
  })

  it('that paused until the other had made everything writes nothing more either', async () => {
    const first = ab(experiment())
    await measured(3)
    first.child.kill('SIGSTOP')
    heartbeatIsOld()
    expect(await ab('e.yaml', '--resume').ended).toMatchObject({ status: 0 })
    const complete = runs()
    first.child.kill('SIGCONT')
    const { status, stderr } = await first.ended
    expect(status).toBe(1)
    expect(stderr).toContain('CAESURA_E_EXPERIMENT_LOST')
    expect(runs()).toEqual(complete)
    expect(kept((store) => store.readExecution('e')?.ended?.how)).toBe('complete')
    const again = await ab('e.yaml', '--resume', '--json').ended
    expect(JSON.parse(again.stdout).error.code).toBe('CAESURA_E_EXPERIMENT_UNKNOWN')
  })
})

describe('trials that an older version made twice', () => {
  it('are told of in the analysis, in JSON and on the page, and the first of each counts', async () => {
    expect(await ab(experiment(), '--json').ended).toMatchObject({ status: 0 })
    const once = JSON.parse((await caesura(folder, ['ab', 'analyse', 'e', '--json'])).stdout)
    kept((store) => {
      for (const { runId, startedUnixMs, warmUp } of [...store.trials(store.readExecution('e')!)].slice(0, 8))
        if (!warmUp)
          store.write({
            ...store.read(runId),
            runId: `${runId}-b`,
            startedUnixMs: startedUnixMs + 1,
            durationMs: 9_999,
          })
    })
    const twice = trials().length
    const json = await caesura(folder, ['ab', 'analyse', 'e', '--json', '--report', 'r.html'])
    const analysis = JSON.parse(json.stdout)
    const leftOut =
      twice -
      once.arms.reduce((sum: number, arm: { trials: number; warmUps: number }) => sum + arm.trials + arm.warmUps, 0)
    expect(leftOut).toBeGreaterThan(0)
    expect(analysis.checks.duplicates).toEqual({ leftOut, ok: false })
    expect(analysis.arms).toEqual(once.arms)
    expect(analysis.comparisons).toEqual(once.comparisons)
    const words = `${leftOut} runs left out: two processes made the same trials at once`
    expect((await caesura(folder, ['ab', 'analyse', 'e'])).stdout.replace(/\s+/g, ' ')).toContain(words)
    expect(readFileSync(join(folder, 'r.html'), 'utf8')).toContain(words)
  })
})
