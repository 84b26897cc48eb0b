import { afterEach, expect, it, vi } from 'vitest'
import { followRun } from '../../src/cli/follow-run.ts'
import type { RunHandle } from '../../src/core/engine.ts'
import type { RunEvent } from '../../src/core/event.ts'
import { plainRun } from '../records.ts'

afterEach(() => vi.restoreAllMocks())

const never = new AbortController().signal
const started: RunEvent = { seq: 1, runId: 'r', ms: 0, type: 'run-start', pipeline: 'p', traceId: 't' }
const ended: RunEvent = { seq: 2, runId: 'r', ms: 1, type: 'run-end', outcome: 'cancelled' }

/** A run that has started and ends when it is released. */
function fakeRun() {
  const released = Promise.withResolvers<void>()
  const cancel = vi.fn()
  async function* events() {
    yield started
    await released.promise
    yield ended
  }
  const run: RunHandle = {
    runId: 'r',
    traceId: 't',
    events: { [Symbol.asyncIterator]: events },
    eventsAfter: events,
    interrupt: async () => ({ accepted: false, reason: 'fake' }),
    heard: async () => ({ accepted: false, reason: 'fake' }),
    cancel,
    result: released.promise.then(() => plainRun),
  }
  return { run, cancel, release: released.resolve }
}

it('takes every event and gives the record; leaves no listeners behind', async () => {
  const before = process.listenerCount('SIGINT')
  const { run, release } = fakeRun()
  const seen: RunEvent[] = []
  const following = followRun(run, (event) => seen.push(event), never)
  release()
  expect(await following).toEqual({ record: plainRun })
  expect(seen).toEqual([started, ended])
  expect(process.listenerCount('SIGINT')).toBe(before)
})

it('cancels at the first SIGINT and waits for the record; a second ends the process at once', async () => {
  const exit = vi.spyOn(process, 'exit').mockImplementation((code) => {
    throw new Error(`exit ${code}`)
  })
  const { run, cancel, release } = fakeRun()
  const following = followRun(run, () => {}, never)
  process.emit('SIGINT', 'SIGINT')
  expect(cancel).toHaveBeenCalledExactlyOnceWith('SIGINT')
  expect(exit).not.toHaveBeenCalled()
  expect(() => process.emit('SIGINT', 'SIGINT')).toThrow('exit 130')
  release()
  expect(await following).toEqual({ record: plainRun, stoppedBy: 130 })
})

it('cancels when nobody reads any more', async () => {
  const reader = new AbortController()
  const { run, cancel, release } = fakeRun()
  const following = followRun(run, () => {}, reader.signal)
  reader.abort()
  expect(cancel).toHaveBeenCalledOnce()
  release()
  expect(await following).toEqual({ record: plainRun })
})
