import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { withFleetProcesses } from '../fixtures/fleet-processes.ts'
import { until } from '../fixtures/until.ts'

// Each step is a process.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

const fleet = withFleetProcesses({ env: { CAESURA_LOG: 'text' }, per: 'test' })
let redis: Redis
beforeEach(() => {
  redis = new Redis(fleet.redis.url)
})
afterEach(() => redis.disconnect())

const workerOf = async (printed: Promise<string>) => (JSON.parse(await printed) as { worker: string }).worker
const field = (runId: string, name: string) => redis.hget(`{caesura}:run:${runId}`, name)
const isSaying = (runId: string) => until(async () => (await redis.xlen(`{caesura}:events:${runId}`)) > 3)
const isTakenUp = (runId: string) => until(async () => (await field(runId, 'epoch')) !== '0')

describe('worker pipelines --drain', () => {
  it('takes up no more runs after SIGTERM, and ends when those that it hosts have ended', async () => {
    const first = await fleet.worker('pipelines', '--drain')
    const id = await workerOf(first.printed('}'))
    await fleet.scripted('n1', 60, 100, '--slots', '4')
    const runId = await fleet.detached()
    await isSaying(runId)
    const second = await fleet.worker('pipelines')
    first.child.kill('SIGTERM')
    await until(async () => (await redis.zscore('{caesura}:hosts', id)) === null)
    const later = await fleet.detached()
    await isTakenUp(later)
    expect(await field(later, 'owner')).toBe(await workerOf(second.printed('}')))
    expect([first.child.exitCode, await field(runId, 'status')]).toEqual([null, 'live'])
    const { status, stderr } = await first.ended
    expect([status, await field(runId, 'status'), await field(runId, 'epoch')]).toEqual([0, 'ended', '1'])
    expect(stderr).toContain('waits for 1 to end')
    expect(JSON.parse((await field(runId, 'record'))!)).toMatchObject({ outcome: 'completed' })
  })

  it.each([
    ['a second signal', ['--drain']],
    ['the end of --drain-within', ['--drain-within', '700ms']],
  ])('hands over what is left at %s', async (what, flags) => {
    const first = await fleet.worker('pipelines', ...flags)
    const id = await workerOf(first.printed('}'))
    await fleet.scripted('n1', 3000, 100)
    const runId = await fleet.detached()
    await isSaying(runId)
    await fleet.worker('pipelines')
    first.child.kill('SIGTERM')
    if (what === 'a second signal') {
      // It has begun to drain, and has not handed the run over with that.
      await until(async () => (await redis.zscore('{caesura}:hosts', id)) === null)
      expect([first.child.exitCode, await field(runId, 'epoch')]).toEqual([null, '1'])
      first.child.kill('SIGTERM')
    }
    const { status, signal } = await first.ended
    expect([status, signal]).toEqual([0, null])
    // A fetch that was under way counts as an owner as well.
    await until(async () => Number(await field(runId, 'epoch')) > 1)
    expect(await field(runId, 'status')).toBe('live')
  })

  it('ends at once where it hosts none', async () => {
    const worker = await fleet.worker('pipelines', '--drain')
    worker.child.kill('SIGTERM')
    expect((await worker.ended).status).toBe(0)
  })
})
