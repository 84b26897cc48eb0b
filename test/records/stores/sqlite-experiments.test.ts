import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ExperimentArm, RunRecord } from '../../../src/core/record.ts'
import { type Execution, trialOf } from '../../../src/core/trial.ts'
import { sqliteStore } from '../../../src/records/stores/sqlite.ts'
import { interruptedRun, plainRun } from '../../records.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-trials-'))
  file = join(folder, 'runs.sqlite')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const ofArm = (runId: string, experiment: Partial<ExperimentArm>, of: RunRecord = interruptedRun): RunRecord => ({
  ...of,
  runId,
  experiment: { name: 'cut-in', arm: 'drain', ...experiment },
})
const execution: Execution = {
  experiment: 'cut-in',
  execution: 'first',
  digest: 'abc',
  design: { seed: 1 },
  startedAt: '2026-08-01T08:00:00.000Z',
}

describe('the trials of a records file', () => {
  it('come by session, start and run, whatever order they were written in, and are what the records say', () => {
    const runs = [
      ofArm('r3', { session: 'b', execution: 'first', block: 1 }),
      ofArm('r2', { session: 'a', execution: 'first', block: 0, warmUp: true }),
      ofArm('r1', { session: 'a', execution: 'first', block: 0 }),
      ofArm('r4', { session: 'a', execution: 'second' }),
      ofArm('r5', { session: 'a', name: 'other' }),
      plainRun,
    ]
    for (const order of [runs, [...runs].reverse()]) {
      rmSync(file, { force: true })
      const store = sqliteStore(file)
      for (const run of order) store.write(run)
      const trials = [...store.trials({ experiment: 'cut-in', execution: 'first' })]
      expect(trials).toEqual([runs[2], runs[1], runs[0]].map((run) => trialOf(run!)))
      expect([...store.trials({ experiment: 'other' })].map(({ runId }) => runId)).toEqual(['r5'])
      expect([...store.trials({ experiment: 'cut-in' })]).toEqual([])
      store.close()
    }
  })

  it('are left out of the list where asked, and are never the last run', () => {
    const store = sqliteStore(file)
    store.write(ofArm('offline', { execution: 'first', session: 'a' }))
    store.write(ofArm('warm-up', { execution: 'first', session: 'a', warmUp: true }))
    expect(() => store.read('last')).toThrow(
      expect.objectContaining({
        code: 'CAESURA_E_RUN_UNKNOWN',
        place: expect.objectContaining({ hint: '`caesura runs --trials` lists them.' }),
      }),
    )
    const early = { ...plainRun, startedAt: '2020-01-01T00:00:00.000Z' }
    store.write(early)
    expect(store.read('last').runId).toBe(early.runId)
    // Somebody's run on live traffic is no trial that an experiment made.
    store.write(ofArm('live', { session: 'b' }, { ...plainRun, startedAt: '2021-01-01T00:00:00.000Z' }))
    expect(store.read('last').runId).toBe('live')
    const listed = (filter?: Parameters<typeof store.list>[0]) => store.list(filter).map(({ runId }) => runId)
    expect(listed({ trials: false })).toEqual(['live', early.runId])
    expect(listed({ trials: false, pipeline: 'nothing' })).toEqual([])
    expect(listed().sort()).toEqual([early.runId, 'live', 'offline', 'warm-up'].sort())
    store.close()
  })

  it('are written with their run or not at all', () => {
    const store = sqliteStore(file)
    const other = new DatabaseSync(file)
    other.exec("CREATE TRIGGER full BEFORE INSERT ON trials BEGIN SELECT RAISE(ABORT, 'no space'); END")
    expect(() => store.write(ofArm('r1', {}))).toThrow(expect.objectContaining({ code: 'CAESURA_E_RECORDS' }))
    expect(store.list()).toEqual([])
    other.exec('DROP TRIGGER full')
    other.close()
    store.write(ofArm('r1', {}))
    expect([...store.trials({ experiment: 'cut-in' })]).toHaveLength(1)
    store.close()
  })

  it('are made of the runs that an older version kept', () => {
    const old = sqliteStore(file)
    old.write(plainRun)
    old.write(ofArm('r1', { session: 's' }))
    const expected = [...old.trials({ experiment: 'cut-in' })]
    old.close()
    const database = new DatabaseSync(file)
    database.exec('DROP TABLE trials; DROP TABLE executions; PRAGMA user_version = 2')
    database.close()
    const store = sqliteStore(file)
    expect([...store.trials({ experiment: 'cut-in' })]).toEqual(expected)
    expect(expected).toHaveLength(1)
    store.close()
  })

  it('one that was changed by hand is refused', () => {
    const store = sqliteStore(file)
    store.write(ofArm('r1', {}))
    const database = new DatabaseSync(file)
    database.exec("UPDATE trials SET trial = '{}'")
    database.close()
    expect(() => [...store.trials({ experiment: 'cut-in' })]).toThrow(
      expect.objectContaining({ code: 'CAESURA_E_RECORDS' }),
    )
    store.close()
  })
})

describe('the executions of a records file', () => {
  it('are found by name and id, the newest without an id, and rewritten as they go on', () => {
    const store = sqliteStore(file)
    expect(store.readExecution('cut-in')).toBeUndefined()
    store.writeExecution(execution)
    store.writeExecution({ ...execution, execution: 'second', startedAt: '2026-08-02T08:00:00.000Z' })
    expect(store.readExecution('cut-in')?.execution).toBe('second')
    expect(store.readExecution('cut-in', 'first')).toEqual(execution)
    const ended = { ...execution, ended: { at: '2026-08-01T09:00:00.000Z', how: 'complete' as const } }
    store.writeExecution(ended)
    expect(store.readExecution('cut-in', 'first')).toEqual(ended)
    expect(store.readExecution('other')).toBeUndefined()
    store.close()
  })

  it('are listed newest first, with those on live traffic and the number of their trials', () => {
    const store = sqliteStore(file)
    store.writeExecution(execution)
    store.write(ofArm('r1', { execution: 'first' }))
    store.write(ofArm('r2', { name: 'live' }, { ...plainRun, startedAt: '2026-08-03T08:00:00.000Z' }))
    store.write(ofArm('r3', { name: 'live' }, { ...plainRun, startedAt: '2026-08-03T09:00:00.000Z' }))
    expect(store.experiments()).toEqual([
      { experiment: 'live', startedAt: '2026-08-03T08:00:00.000Z', trials: 2 },
      { experiment: 'cut-in', execution: 'first', startedAt: execution.startedAt, trials: 1 },
    ])
    store.close()
  })
})

describe('the conductor of an execution', () => {
  const key = { experiment: 'cut-in', execution: 'first' }
  const conductor = (owner: string) => ({
    ...{ owner, host: 'h', pid: 7, processes: 'p' },
    ...{ sinceUnixMs: 1_000, beatUnixMs: 1_000 },
  })
  const never = () => false

  it('is one: another one has it only where the first is gone, and then the first can write nothing', () => {
    const store = sqliteStore(file)
    expect(store.claim(key, conductor('a'), never)).toBeUndefined()
    expect(store.claim(key, conductor('b'), never)).toMatchObject({ owner: 'a', host: 'h', pid: 7 })
    store.writeAs('a', ofArm('r1', { execution: 'first' }))
    store.writeExecution(execution, 'a')
    expect(store.conductor(key)!.beatUnixMs).toBeGreaterThan(1_000)
    expect(store.claim(key, conductor('b'), () => true)).toBeUndefined()
    const refused = expect.objectContaining({ code: 'CAESURA_E_EXPERIMENT_LOST', exitCode: 1 })
    expect(() => store.writeAs('a', ofArm('r2', { execution: 'first' }))).toThrow(refused)
    expect(() => store.writeExecution({ ...execution, digest: 'other' }, 'a')).toThrow(refused)
    expect(store.beat('a')).toBe(false)
    store.release('a')
    expect(store.conductor(key)).toMatchObject({ owner: 'b' })
    expect(store.list().map(({ runId }) => runId)).toEqual(['r1'])
    expect(store.readExecution('cut-in', 'first')?.digest).toBe('abc')
    store.release('b')
    expect(store.conductor(key)).toBeUndefined()
    store.close()
  })

  it('is of this execution alone', () => {
    const store = sqliteStore(file)
    store.claim(key, conductor('a'), never)
    expect(store.claim({ ...key, execution: 'second' }, conductor('b'), never)).toBeUndefined()
    expect(store.beat('a') && store.beat('b')).toBe(true)
    store.close()
  })
})
