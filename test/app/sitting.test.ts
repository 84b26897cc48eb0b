import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ExperimentRecords } from '../../src/app/experimenting.ts'
import { isGone, Sitting } from '../../src/app/sitting.ts'
import { sqliteStore } from '../../src/app/stores.ts'
import { type Conductor, GONE_AFTER_MS } from '../../src/core/conductor.ts'

let folder: string
let store: ExperimentRecords
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-sitting-'))
  store = sqliteStore(join(folder, 'runs.sqlite'))
})
afterEach(() => {
  store.close()
  rmSync(folder, { recursive: true })
})

const key = { experiment: 'e', execution: 'x' }

/** This process, as it sits. */
function sitting(): Conductor {
  const own = Sitting.begin(store, key)
  const conductor = store.conductor(key)!
  own.end()
  return conductor
}
const deadPid = (): number => spawnSync(process.execPath, ['--version']).pid

describe('a conductor is gone', () => {
  it('when its process is, on the same machine; where it cannot be seen, not before its heartbeat is old', () => {
    const own = sitting()
    expect(own.pid).toBe(process.pid)
    expect(isGone(own)).toBe(false)
    const dead = { ...own, pid: deadPid() }
    expect(isGone(dead)).toBe(true)
    expect(isGone({ ...dead, processes: 'of another container' })).toBe(false)
    expect(isGone({ ...dead, processes: 'of another container', beatUnixMs: Date.now() - GONE_AFTER_MS - 1 })).toBe(
      true,
    )
  })

  it('when its heartbeat is old, even where its process is there, and when it is of a time to come', () => {
    const own = sitting()
    expect(isGone({ ...own, beatUnixMs: Date.now() - GONE_AFTER_MS - 1 })).toBe(true)
    expect(isGone({ ...own, beatUnixMs: Date.now() + 3_600_000 })).toBe(true)
  })
})

describe('a sitting', () => {
  it('keeps everybody out until it ends, another of the same process too', () => {
    const first = Sitting.begin(store, key)
    expect(() => Sitting.begin(store, key)).toThrow(
      expect.objectContaining({ code: 'CAESURA_E_EXPERIMENT_TAKEN', exitCode: 2 }),
    )
    first.end()
    Sitting.begin(store, key).end()
    expect(store.conductor(key)).toBeUndefined()
  })

  it('is over at once for one that was killed', () => {
    const own = sitting()
    store.claim(key, { ...own, owner: 'killed', pid: deadPid() }, () => true)
    const next = Sitting.begin(store, key)
    expect(store.conductor(key)).toMatchObject({ pid: process.pid })
    next.end()
  })
})
