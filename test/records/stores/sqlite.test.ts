import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunRecord } from '../../../src/core/record.ts'
import { sqliteStore } from '../../../src/records/stores/sqlite.ts'
import { fullProbe } from '../../probes.ts'
import { interruptedRun, plainRun } from '../../records.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-records-'))
  file = join(folder, 'deep', 'runs.sqlite')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** Runs a module's text in a process of its own, as another `caesura` would. */
async function inChild(source: string, ...args: string[]) {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', source, '--', ...args])
  const status = new Promise<number | null>((resolve) => child.on('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { status: await status, stdout, stderr }
}
const storeUrl = new URL('../../../src/records/stores/sqlite.ts', import.meta.url).href

const recordsError = (hint: RegExp) =>
  expect.objectContaining({
    code: 'CAESURA_E_RECORDS',
    exitCode: 3,
    place: expect.objectContaining({ file, hint: expect.stringMatching(hint) }),
  })

describe('sqliteStore', () => {
  it('makes the file with its folders, and gives a record back as it was written', () => {
    const store = sqliteStore(file)
    store.write(interruptedRun)
    expect(store.read(interruptedRun.runId)).toEqual(interruptedRun)
    store.close()
    const again = sqliteStore(file)
    expect(again.read('last')).toEqual(interruptedRun)
    again.close()
    again.close()
  })

  it('lists the newest first, by pipeline and with a limit; what was not observed is absent', () => {
    const store = sqliteStore(file)
    store.write(interruptedRun)
    store.write(plainRun)
    store.write({ ...plainRun, runId: 'other', pipeline: 'other', startedAt: '2026-08-01T08:00:00.000Z' })
    expect(store.list().map((run) => run.runId)).toEqual(['01JABCDEF0', '01JXYZ0000', 'other'])
    expect(store.list({ pipeline: 'other' }).map((run) => run.runId)).toEqual(['other'])
    expect(store.list({ limit: 2 })).toEqual([
      {
        runId: '01JABCDEF0',
        pipeline: 'draft-refine',
        outcome: 'completed',
        startedAt: '2026-08-01T10:00:00.000Z',
        durationMs: 400,
        interrupts: 1,
        toFirstTokenMs: 100,
        wastedTokens: 12,
      },
      {
        runId: '01JXYZ0000',
        pipeline: 'draft-refine',
        outcome: 'completed',
        startedAt: '2026-08-01T09:00:00.000Z',
        durationMs: 400,
        interrupts: 0,
        wastedTokens: 0,
      },
    ])
    store.close()
  })

  it('finds a run by a beginning that no other run has', () => {
    const store = sqliteStore(file)
    store.write(interruptedRun)
    store.write(plainRun)
    expect(store.read('01JX').runId).toBe('01JXYZ0000')
    store.close()
  })

  it.each([
    ['01J', 'several recorded runs begin with this id', /01JABCDEF0, 01JXYZ0000/],
    ['nothing', 'no recorded run has this id', /caesura runs/],
    ['%', 'no recorded run has this id', /caesura runs/],
    ['', 'no recorded run has this id', /caesura runs/],
  ])('refuses the id "%s"', (id, message, hint) => {
    const store = sqliteStore(file)
    store.write(interruptedRun)
    store.write(plainRun)
    expect(() => store.read(id)).toThrow(
      expect.objectContaining({
        code: 'CAESURA_E_RUN_UNKNOWN',
        message,
        place: expect.objectContaining({ received: id, hint: expect.stringMatching(hint) }),
      }),
    )
    store.close()
  })

  it('says that nothing is recorded yet when asked for the last run', () => {
    const store = sqliteStore(file)
    expect(() => store.read('last')).toThrow(
      expect.objectContaining({ code: 'CAESURA_E_RUN_UNKNOWN', message: 'no run is recorded yet' }),
    )
    store.close()
  })

  it('writes a run whole or not at all: an id twice is refused and changes nothing', () => {
    const store = sqliteStore(file)
    store.write(interruptedRun)
    expect(() => store.write({ ...interruptedRun, pipeline: 'another' })).toThrow(
      expect.objectContaining({ code: 'CAESURA_E_RECORDS' }),
    )
    expect(store.list()).toHaveLength(1)
    expect(store.read('last')).toEqual(interruptedRun)
    store.close()
  })

  it('refuses a file that is not a database and leaves it alone', () => {
    file = join(folder, 'notes.txt')
    const notes = 'These are my notes, and they are long enough to be more than a header. '.repeat(20)
    writeFileSync(file, notes)
    expect(() => sqliteStore(file)).toThrow(recordsError(/Move it away/))
    expect(existsSync(file)).toBe(true)
  })

  it('refuses the records of a newer version', () => {
    sqliteStore(file).close()
    const database = new DatabaseSync(file)
    database.exec('PRAGMA user_version = 99')
    database.close()
    expect(() => sqliteStore(file)).toThrow(recordsError(/Update Caesura/))
  })

  it('refuses a path whose folder is a file', () => {
    writeFileSync(join(folder, 'deep'), '')
    expect(() => sqliteStore(file)).toThrow(recordsError(/CAESURA_RECORDS/))
  })

  it('refuses a folder in place of the file', () => {
    file = folder
    expect(() => sqliteStore(file)).toThrow(recordsError(/CAESURA_RECORDS/))
  })

  it('refuses a stored record that was changed by hand, and still lists the runs', () => {
    const store = sqliteStore(file)
    store.write(interruptedRun)
    const database = new DatabaseSync(file)
    database.exec(`UPDATE runs SET record = '{"schema": "caesura.record/1"}'`)
    database.close()
    expect(() => store.read('last')).toThrow(recordsError(/changed by hand/))
    expect(store.list()).toHaveLength(1)
    store.close()
  })

  it('gives back the newest probe of a node, its address and model', () => {
    const store = sqliteStore(file)
    const newer = { ...fullProbe, measuredAt: '2026-08-02T10:00:00.000Z', slots: 2 }
    const { address: _, ...nowhere } = { ...fullProbe, model: 'other' }
    for (const probe of [newer, fullProbe, nowhere]) store.writeProbe(probe)
    const { node, address, model } = fullProbe
    expect(store.readProbe({ node, address: address!, model })).toEqual(newer)
    expect(store.readProbe({ node, model: 'other' })).toEqual(nowhere)
    expect(store.readProbe({ node, model })).toBeUndefined()
    expect(store.readProbe({ node: 'gpu-2', address: address!, model })).toBeUndefined()
    expect(store.list()).toEqual([])
    store.close()
  })

  it('finds the newest probe without an address, unless it is not certain which server it measured', () => {
    const store = sqliteStore(file)
    const { node, model } = fullProbe
    expect(store.findProbe(node, model)).toBeUndefined()
    const newer = { ...fullProbe, measuredAt: '2026-08-02T10:00:00.000Z', slots: 2 }
    for (const probe of [newer, fullProbe]) store.writeProbe(probe)
    expect(store.findProbe(node, model)).toEqual(newer)
    expect(store.findProbe(node, 'other')).toBeUndefined()
    store.writeProbe({ ...fullProbe, address: 'http://elsewhere:11434' })
    expect(store.findProbe(node, model)).toBeUndefined()
    store.close()
  })

  it('brings a file of version 1 up, keeps its runs, and does so once', () => {
    const first = sqliteStore(file)
    first.write(interruptedRun)
    first.close()
    const database = new DatabaseSync(file)
    database.exec('DROP TABLE probes; DROP TABLE trials; DROP TABLE executions; PRAGMA user_version = 1')
    database.close()
    for (let opened = 1; opened <= 2; opened++) {
      const store = sqliteStore(file)
      expect(store.read('last')).toEqual(interruptedRun)
      store.writeProbe(fullProbe)
      store.close()
    }
    const after = new DatabaseSync(file)
    expect(after.prepare('PRAGMA user_version').get()).toEqual({ user_version: 6 })
    expect(after.prepare('SELECT count(*) AS probes FROM probes').get()).toEqual({ probes: 2 })
    after.close()
  })

  it('refuses a stored probe that was changed by hand', () => {
    const store = sqliteStore(file)
    store.writeProbe(fullProbe)
    const database = new DatabaseSync(file)
    database.exec(`UPDATE probes SET result = '{}'`)
    database.close()
    const { node, address, model } = fullProbe
    expect(() => store.readProbe({ node, address: address!, model })).toThrow(recordsError(/changed by hand/))
    store.close()
  })

  it('reports a full disk', async () => {
    const source = `
      const { sqliteStore } = await import(process.argv[1])
      const store = sqliteStore(process.argv[2])
      const record = JSON.parse(process.argv[3])
      const text = 'x'.repeat(100_000)
      try {
        for (let i = 0; i < 20; i++) store.write({ ...record, runId: 'run-' + i, output: text })
      } catch (error) {
        console.log(JSON.stringify({ ...error.toJSON(), kept: store.list().length }))
      }`
    // A limit on the size of files stands in for the full disk: SQLite sees its write fail.
    const child = spawn('bash', [
      '-c',
      'trap "" XFSZ; ulimit -f 400; exec "$@"',
      'bash',
      process.execPath,
      '--input-type=module-typescript',
      '-e',
      source,
      '--',
      storeUrl,
      file,
      JSON.stringify(interruptedRun),
    ])
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
    expect(stderr).toBe('')
    const error = JSON.parse(stdout)
    expect(error).toMatchObject({ code: 'CAESURA_E_RECORDS', file, hint: expect.stringMatching(/Free some space/) })
    expect(error.kept).toBeGreaterThan(0)
    expect(error.kept).toBeLessThan(20)
  })

  it('takes the records of several processes that start on a new file at the same time', async () => {
    const source = `
      const { sqliteStore } = await import(process.argv[1])
      const [, , file, name, json] = process.argv
      const record = JSON.parse(json)
      for (let i = 0; i < 25; i++) {
        const store = sqliteStore(file)
        store.write({ ...record, runId: name + '-' + i })
        store.close()
      }`
    const names = ['one', 'two', 'three', 'four']
    const children = await Promise.all(
      names.map((name) => inChild(source, storeUrl, file, name, JSON.stringify(interruptedRun))),
    )
    // Nothing on stderr: no failure, and no ExperimentalWarning of node:sqlite either.
    expect(children).toEqual(names.map(() => ({ status: 0, stdout: '', stderr: '' })))
    const store = sqliteStore(file)
    const ids = new Set(store.list().map((run) => run.runId))
    expect(ids).toEqual(new Set(names.flatMap((name) => Array.from({ length: 25 }, (_, i) => `${name}-${i}`))))
    const each: RunRecord[] = [...ids].map((id) => store.read(id))
    expect(each.every((record) => record.interrupts.length === 1)).toBe(true)
    store.close()
  })

  it('waits for another process that holds the file for a moment', async () => {
    const store = sqliteStore(file)
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    const writing = inChild(
      `const { sqliteStore } = await import(process.argv[1])
       const store = sqliteStore(process.argv[2])
       process.stdout.write('open ')
       store.write(JSON.parse(process.argv[3]))
       process.stdout.write('written')`,
      storeUrl,
      file,
      JSON.stringify(interruptedRun),
    )
    await new Promise((resolve) => setTimeout(resolve, 300))
    other.exec('COMMIT')
    other.close()
    expect(await writing).toEqual({ status: 0, stdout: 'open written', stderr: '' })
    expect(store.list()).toHaveLength(1)
    store.close()
  })
})
