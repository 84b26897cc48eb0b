import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { sqliteStore } from '../../src/app/stores.ts'
import { abCommand } from '../../src/cli/ab/ab.ts'
import { CaesuraError } from '../../src/core/errors.ts'
import type { Trial } from '../../src/core/trial.ts'
import { until } from '../fixtures/until.ts'
import { fakeOllama } from '../servers/fake-ollama.ts'
import { caesura, startCaesura } from './caesura.ts'
import { capture } from './capture.ts'

let folder: string
const records = () => join(folder, 'runs.sqlite')
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-ab-'))
  // A scripted node says the prompt back at once.
  writeFileSync(join(folder, 'caesura.config.yaml'), 'nodes: [{ name: here, backend: scripted, models: [m] }]\n')
  writeFileSync(
    join(folder, 'two.yaml'),
    'name: two\nstages:\n  - { id: first, model: m, prompt: "{{ input }}" }\n  - { id: second, model: m, prompt: "Well, {{ first.output }}" }\n',
  )
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

/** In this process: most of what is to be seen needs none of its own. */
function ab(...args: string[]) {
  vi.stubEnv('CAESURA_RECORDS', records())
  vi.stubEnv('CAESURA_CONFIG', join(folder, 'caesura.config.yaml'))
  return capture(abCommand(), ...args)
}

const experiment = (more = '', arms = '[{ name: drain, policy: let-finish }, { name: abort, policy: cut-in }]') => {
  writeFileSync(
    join(folder, 'e.yaml'),
    `name: e\npipeline: two.yaml\narms: ${arms}\nworkload: { prompts: [one two three], interrupts: { after: 1ms } }\n${more}\n`,
  )
  return join(folder, 'e.yaml')
}
const trials = (): Trial[] => {
  const store = sqliteStore(records())
  try {
    const execution = store.readExecution('e')
    return execution === undefined ? [] : [...store.trials(execution)].filter(({ warmUp }) => !warmUp)
  } finally {
    store.close()
  }
}
/** Warm-ups too. */
function recorded(): number {
  if (!existsSync(records())) return 0
  const store = sqliteStore(records())
  try {
    return store.experiments()[0]?.trials ?? 0
  } finally {
    store.close()
  }
}
const numbers = () =>
  trials()
    .map(({ trial }) => trial ?? -1)
    .toSorted((a, b) => a - b)
const range = (to: number) => Array.from({ length: to }, (_, index) => index)

describe('caesura ab', () => {
  it('prints what `ab analyse` finds in the records, byte for byte', async () => {
    const ran = await caesura(folder, ['ab', experiment('sessions: 12\naa: true'), '--json', '--report', 'r.html'])
    expect(ran).toMatchObject({ status: 0 })
    expect(JSON.parse(ran.stdout)).toMatchObject({
      experiment: 'e',
      arms: ['drain', 'abort', 'drain-again'].map((name) => ({ name, sessions: 12 })),
      verdict: expect.any(String),
    })
    expect(readFileSync(join(folder, 'r.html'), 'utf8')).toMatch(/^<!doctype html>/)
    const again = ['analyse', 'e', '--json']
    const [first, second] = [await caesura(folder, ['ab', ...again]), await ab(...again)]
    const listed = await ab('list', '--json')
    const data = await ab('data', 'e', '--format', 'ndjson')
    expect(first.stdout).toBe(ran.stdout)
    expect(second.stdout).toBe(ran.stdout)
    expect(JSON.parse(listed.stdout).experiments).toMatchObject([
      { experiment: 'e', trials: 42, ended: { how: 'complete' } },
    ])
    const rows = data.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(
      rows
        .filter(({ warmUp }) => !warmUp)
        .map(({ trial }) => trial)
        .toSorted((a, b) => a - b),
    ).toEqual(range(36))
  })

  it('writes the trials as CSV with one head, quoted where it must be', async () => {
    const arms = '[{ name: "a, \\"b\\"", policy: let-finish }]'
    await ab(experiment('sessions: 2', arms))
    const csv = join(folder, 'trials.csv')
    expect((await ab('data', 'e', '-o', csv)).stderr).toBe(`wrote ${csv}\n`)
    const [head = '', ...lines] = readFileSync(csv, 'utf8').trimEnd().split('\n')
    expect(head).toMatch(/^experiment,execution,arm,session,block,trial,.*,phaseUnattributedMs$/)
    expect(new Set(head.split(',')).size).toBe(head.split(',').length)
    expect(lines).toHaveLength(4)
    for (const line of lines) expect(line).toContain('"a, ""b"""')
  })

  it.each([
    ['a single arm', '', '[{ name: only, policy: cut-in }]'],
    ['one session', 'sessions: 1', undefined],
    [
      'runs that all fail',
      'sessions: 2',
      '[{ name: a, policy: { placement: { other: { otherwise: any } } } }, { name: b, policy: cut-in }]',
    ],
  ])('gives a report and no verdict for %s, without a figure that does not exist', async (what, more, arms) => {
    // A prompt that renders to nothing fails every run.
    if (what.includes('fail'))
      writeFileSync(
        join(folder, 'two.yaml'),
        'name: two\nstages:\n  - { id: first, model: m, prompt: "{% if vars.x %}y{% endif %}" }\n',
      )
    const file = experiment(more, arms)
    const page = join(folder, 'r.html')
    const json = await ab(file, '--json', '--report', page)
    expect(json).toMatchObject({ error: undefined, status: what.includes('fail') ? 1 : undefined })
    expect(JSON.parse(json.stdout)).toMatchObject({ decision: 'none' })
    const text = await ab('analyse', 'e')
    for (const output of [json.stdout, text.stdout, readFileSync(page, 'utf8')])
      expect(output).not.toMatch(/NaN|Infinity|undefined|\bnull\b/)
    expect(Math.max(...text.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it.each([
    ['a file that is not there', ['nosuch.yaml'], 'CAESURA_E_FILE'],
    ['an experiment that nobody made', ['analyse', 'nosuch'], 'CAESURA_E_EXPERIMENT_UNKNOWN'],
    ['the data of one that nobody made', ['data', 'nosuch'], 'CAESURA_E_EXPERIMENT_UNKNOWN'],
    ['an execution that nobody made', ['analyse', 'e', '--execution', 'x'], 'CAESURA_E_EXPERIMENT_UNKNOWN'],
    ['to resume what was never begun', ['e.yaml', '--resume'], 'CAESURA_E_EXPERIMENT_UNKNOWN'],
  ])('refuses %s', async (what, args, code) => {
    const file = experiment('sessions: 1')
    if (what.includes('execution')) await ab(file)
    const { error, stdout } = await ab(...args.map((arg) => (arg === 'e.yaml' ? file : arg)))
    expect(stdout).toBe('')
    expect(error).toBeInstanceOf(CaesuraError)
    expect(error).toMatchObject({ code, exitCode: 2 })
  })

  it('keeps what was measured on SIGINT, and goes on with --resume', async () => {
    await using server = await fakeOllama({ models: ['m'], tokens: Array(10).fill('on '), tokenMs: 4 })
    const env = { OLLAMA_HOST: server.url }
    rmSync(join(folder, 'caesura.config.yaml'))
    const started = startCaesura(folder, ['ab', experiment('sessions: 8\nwarmUp: 1'), '--json'], env)
    await until(() => recorded() >= 4)
    started.child.kill('SIGINT')
    const stopped = await started.ended
    expect(stopped.status).toBe(130)
    expect(JSON.parse(stopped.stdout)).toMatchObject({ experiment: 'e' })
    expect(stopped.stderr).toContain('e.yaml --resume')
    const kept = trials()
    expect(kept.length).toBeLessThan(16)
    expect(kept.every(({ outcome }) => outcome === 'completed')).toBe(true)
    expect(numbers()).toEqual(range(kept.length))

    const resumed = await caesura(folder, ['ab', experiment('sessions: 8\nwarmUp: 1'), '--resume', '--json'], env)
    expect(resumed.status).toBe(0)
    expect(numbers()).toEqual(range(16))
    const ids = new Set(trials().map(({ runId }) => runId))
    expect(kept.every(({ runId }) => ids.has(runId))).toBe(true)
  })

  it('goes on after SIGKILL in the middle of the work, and only with the same design', async () => {
    // Writes follow each other at once: the kill comes in the middle of one as likely as not.
    const file = experiment('sessions: 3000')
    const started = startCaesura(folder, ['ab', file])
    await until(() => recorded() >= 24)
    started.child.kill('SIGKILL')
    await started.ended
    const kept = numbers()
    expect(kept).toEqual(range(kept.length))
    expect((await ab('list')).stdout).toMatch(/^e +[0-9a-f]{8} .*unfinished$/m)

    const { error } = await ab(experiment('sessions: 30'), '--resume')
    expect(error).toMatchObject({ code: 'CAESURA_E_EXPERIMENT_CHANGED', exitCode: 2 })

    experiment('sessions: 3000')
    const resumed = startCaesura(folder, ['ab', file, '--resume'])
    await until(() => recorded() >= kept.length + 24)
    resumed.child.kill('SIGINT')
    expect((await resumed.ended).status).toBe(130)
    expect(numbers()).toEqual(range(numbers().length))
  })

  it('leaves the records of a newer version alone', async () => {
    const database = new DatabaseSync(records())
    database.exec('PRAGMA user_version = 99')
    database.close()
    for (const args of [[experiment()], ['analyse', 'e'], ['data', 'e'], ['list']]) {
      const { error, stdout } = await ab(...args)
      expect(stdout).toBe('')
      expect(error).toMatchObject({ code: 'CAESURA_E_RECORDS', exitCode: 3, place: { received: 'version 99' } })
    }
  })
})
