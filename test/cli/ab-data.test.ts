import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sqliteStore } from '../../src/app/stores.ts'
import { caesura } from './caesura.ts'

let folder: string
const file = (name: string) => join(folder, name)
const analyse = (...args: string[]) => caesura(folder, ['ab', 'analyse', ...args])

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-ab-data-'))
  writeFileSync(file('caesura.config.yaml'), 'nodes: [{ name: here, backend: scripted, models: [m] }]\n')
  writeFileSync(
    file('two.yaml'),
    'name: two\nstages:\n  - { id: first, model: m, prompt: "{{ input }}" }\n  - { id: second, model: m, prompt: "Well, {{ first.output }}" }\n',
  )
  writeFileSync(
    file('e.yaml'),
    [
      'name: e',
      'pipeline: two.yaml',
      'arms:',
      '  - { name: drain, policy: { response: drain, carry: sentences } }',
      '  - { name: abort, policy: cut-in }',
      '  - { name: blunt, policy: { response: abort, carry: none } }',
      'aa: true',
      'workload: { prompts: [one two three], interrupts: { after: 1ms } }',
      'sessions: 14',
    ].join('\n'),
  )
  const ran = await caesura(folder, ['ab', 'e.yaml', '--json'])
  expect(ran.status, ran.stderr).toBe(0)
  writeFileSync(file('ran.json'), ran.stdout)
  writeFileSync(file('t.ndjson'), (await caesura(folder, ['ab', 'data', 'e', '--format', 'ndjson'])).stdout)
  writeFileSync(file('plan.json'), (await caesura(folder, ['ab', 'plan', 'e'])).stdout)
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true }))

describe('caesura ab analyse --data', () => {
  it('says the same, byte for byte, without the records', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'caesura-ab-elsewhere-'))
    try {
      const args = ['ab', 'analyse', '--data', file('t.ndjson'), '--plan', file('plan.json'), '--json']
      const read = await caesura(elsewhere, args)
      expect(read.stderr).toBe('')
      expect(read.stdout).toBe(readFileSync(file('ran.json'), 'utf8'))
    } finally {
      rmSync(elsewhere, { recursive: true })
    }
  }, 60_000)

  it('writes the report as well', async () => {
    const { status } = await analyse('--data', 't.ndjson', '--plan', 'plan.json', '--report', 'r.html')
    expect(status).toBe(0)
    expect(readFileSync(file('r.html'), 'utf8')).toMatch(/^<!doctype html>/)
  }, 60_000)

  const lines = () => readFileSync(file('t.ndjson'), 'utf8').trimEnd().split('\n')
  it.each([
    ['a line that is no JSON', (): [string, string] => ['bad.ndjson', `${lines()[0]}\nnonsense\n`], 'bad.ndjson:2'],
    ['a line that is no trial', (): [string, string] => ['bad.ndjson', '{"colour":"red"}\n'], 'bad.ndjson:1'],
    [
      'a trial that stands twice',
      (): [string, string] => ['bad.ndjson', [...lines(), lines()[0]].join('\n')],
      'bad.ndjson:',
    ],
    [
      'a trial of another plan',
      (): [string, string] => ['bad.ndjson', lines()[0]!.replace('"experiment":"e"', '"experiment":"f"')],
      'bad.ndjson:1',
    ],
  ])(
    'ends with exit 2 and the place for %s',
    async (_, make, place) => {
      const [name, text] = make()
      writeFileSync(file(name), text)
      const { status, stdout, stderr } = await analyse('--data', name, '--plan', 'plan.json', '--json')
      expect(status).toBe(2)
      expect(stdout + stderr).toContain('CAESURA_E_EXPERIMENT')
      const told = stderr.includes(place) || (stdout.includes('"file"') && stdout.includes('"line"'))
      expect(told, stderr + stdout).toBe(true)
    },
    60_000,
  )

  it.each([
    ['no plan', '[1, 2]'],
    [
      'a plan without arms',
      '{ "experiment": "e", "kind": "offline", "arms": [], "baseline": "a", "unit": "session", "metrics": [], "seed": 1 }',
    ],
    [
      'a baseline that is no arm',
      '{ "experiment": "e", "kind": "offline", "arms": [{ "name": "a" }], "baseline": "b", "unit": "session", "metrics": [{ "metric": "runMs", "statistics": ["p50"] }], "seed": 1 }',
    ],
  ])(
    'ends with exit 2 for %s',
    async (_, text) => {
      writeFileSync(file('bad-plan.json'), text)
      const { status, stderr } = await analyse('--data', 't.ndjson', '--plan', 'bad-plan.json')
      expect(status).toBe(2)
      expect(stderr).toContain('bad-plan.json:1')
    },
    60_000,
  )

  it('wants both files, and no name beside them', async () => {
    expect(await analyse('--data', 't.ndjson')).toMatchObject({ status: 2 })
    expect(await analyse('e', '--data', 't.ndjson', '--plan', 'plan.json')).toMatchObject({ status: 2 })
    expect(await analyse('--data', 'none.ndjson', '--plan', 'plan.json')).toMatchObject({ status: 2 })
  }, 60_000)
})

describe('arms of several factors', () => {
  it('are named with them, at the top', async () => {
    const { stdout } = await analyse('e')
    expect(stdout.replace(/\s+/g, ' ')).toContain(
      'the arms differ in more than one factor (drain: response drain, carry sentences; abort: response abort, carry sentences; blunt: response abort, carry none',
    )
    const plan = JSON.parse(readFileSync(file('plan.json'), 'utf8'))
    expect(plan.arms.map((arm: { factors: string[] }) => arm.factors)).toEqual([
      ['response drain', 'carry sentences'],
      ['response abort', 'carry sentences'],
      ['response abort', 'carry none'],
      ['response drain', 'carry sentences'],
    ])
    expect(plan.arms[0].constant).toEqual(['wastedTokens', 'wastedSlotMs'])
    expect(plan.arms[1].constant).toBeUndefined()
  }, 60_000)

  it('can be compared in every pair', async () => {
    const pairsOf = async (...args: string[]) => {
      const { comparisons } = JSON.parse((await analyse('e', '--json', ...args)).stdout)
      return [...new Set(comparisons.map(({ arm, baseline }: Record<string, string>) => `${arm}/${baseline}`))]
    }
    expect(await pairsOf()).toEqual(['abort/drain', 'blunt/drain', 'drain-again/drain'])
    expect(await pairsOf('--pairs', 'all')).toEqual(['abort/drain', 'blunt/drain', 'blunt/abort', 'drain-again/drain'])
    expect(await pairsOf('--pairs', 'blunt/abort')).toEqual(['blunt/abort'])
    const wrong = await analyse('e', '--pairs', 'blunt/abbort')
    expect(wrong).toMatchObject({ status: 2 })
    expect(wrong.stderr).toContain('Did you mean `abort`?')
  }, 60_000)
})

it('an execution whose trials counted otherwise is neither resumed nor pooled', async () => {
  const store = sqliteStore(file('runs.sqlite'))
  const execution = store.readExecution('e')!
  const { counting, ended, ...old } = execution
  expect(counting).toBe(2)
  store.writeExecution({ ...old, ended: { ...ended!, how: 'stopped' } })
  store.close()
  const resumed = await caesura(folder, ['ab', 'e.yaml', '--resume'])
  expect(resumed.status).toBe(2)
  expect(resumed.stderr).toContain('CAESURA_E_EXPERIMENT_CHANGED')
  const text = readFileSync(file('t.ndjson'), 'utf8')
  writeFileSync(file('mixed.ndjson'), text.replace(/"counting":2,/, ''))
  const mixed = await analyse('--data', 'mixed.ndjson', '--plan', 'plan.json')
  expect(mixed.status).toBe(2)
  expect(mixed.stderr).toContain('CAESURA_E_EXPERIMENT_CHANGED')
}, 60_000)
