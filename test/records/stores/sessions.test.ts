import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Turn } from '../../../src/core/turn.ts'
import { memorySessions } from '../../../src/records/stores/memory-sessions.ts'
import { sqliteStore } from '../../../src/records/stores/sqlite.ts'
import { describeSessionStore } from '../../conformance/session-store.ts'

const turn = (runId: string, more: Partial<Turn> = {}): Turn => ({
  runId,
  number: 1,
  input: `in ${runId}`,
  at: 1,
  ...more,
})
const ended = { text: 'said', end: 'answered' } as const

function fileForTest(): string {
  const folder = mkdtempSync(join(tmpdir(), 'caesura-sessions-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'records.sqlite')
}
function sqliteForTest(file = fileForTest()) {
  const store = sqliteStore(file)
  onTestFinished(() => store.close())
  return store.sessions
}

describeSessionStore('in memory', () => memorySessions())
describeSessionStore('in the records file', () => {
  const store = sqliteStore(':memory:')
  return store.sessions
})

describe('sessions in memory', () => {
  it('are forgotten when nobody wrote to them for so long', () => {
    let now = 0
    const store = memorySessions({ keepMs: 100 }, () => now)
    store.write({ id: 'a', tenant: '' }, turn('1'))
    now = 60
    store.write({ id: 'b', tenant: '' }, turn('2'))
    now = 130
    expect([store.read('a'), store.read('b')?.turns]).toEqual([undefined, [turn('2')]])
  })

  it('are so many at most: the one that was not written for the longest goes, unless its turn goes on', () => {
    const store = memorySessions({ most: 2 })
    store.write({ id: 'live', tenant: '' }, turn('1'))
    for (const id of ['a', 'b', 'c']) {
      store.write({ id, tenant: '' }, turn(id))
      store.write({ id, tenant: '' }, turn(id, ended))
    }
    expect(['live', 'a', 'b', 'c'].map((id) => store.read(id) !== undefined)).toEqual([true, false, false, true])
  })
})

describe('sessions in the records file', () => {
  it('are there for the next process', () => {
    const file = fileForTest()
    sqliteForTest(file).write({ id: 'a', tenant: 't' }, turn('1'))
    expect(sqliteForTest(file).read('a')).toEqual({ tenant: 't', turns: [turn('1')] })
  })

  it('lose and double nothing where two processes write to one', () => {
    const file = fileForTest()
    const [one, two] = [sqliteForTest(file), sqliteForTest(file)]
    for (let index = 0; index < 10; index++) {
      one.write({ id: 'a', tenant: '' }, turn(`one-${index}`))
      two.write({ id: 'a', tenant: '' }, turn(`two-${index}`))
      one.write({ id: 'a', tenant: '' }, turn(`one-${index}`, ended))
      two.write({ id: 'a', tenant: '' }, turn(`two-${index}`, ended))
    }
    const runs = one.read('a')!.turns.map(({ runId }) => runId)
    expect(runs).toEqual(Array.from({ length: 20 }, (_, at) => `${at % 2 === 0 ? 'one' : 'two'}-${at >> 1}`))
    expect(two.read('a')).toEqual(one.read('a'))
  })

  it('leave nothing in the file when they are deleted', () => {
    const file = fileForTest()
    const store = sqliteForTest(file)
    store.write({ id: 'a', tenant: '' }, turn('1', { input: 'zanzibar' }))
    const bytes = () => [file, `${file}-wal`].map((name) => readFileSync(name).includes('zanzibar'))
    expect(bytes()).toContain(true)
    store.delete('a')
    expect(bytes()).toEqual([false, false])
  })
})
