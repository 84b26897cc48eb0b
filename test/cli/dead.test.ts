import { Redis } from 'ioredis'
import { describe, expect, it, vi } from 'vitest'
import { connectFleet } from '../../src/app/fleet.ts'
import { withFleetProcesses } from '../fixtures/fleet-processes.ts'

// Each step is a process.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const fleet = withFleetProcesses()

interface Dead {
  readonly dead: readonly { readonly runId: string; readonly error: { readonly code: string } }[]
}

describe('dead', () => {
  it('lists what was put aside, shows one, starts one again, forgets one', async () => {
    expect((await fleet.run('dead')).stdout).toBe('No run was put aside.\n')
    const [first, second] = [await fleet.detached(), await fleet.detached()]
    const raw = new Redis(fleet.redis.url)
    for (const runId of [first, second]) await raw.hset(`{caesura}:run:${runId}`, 'state', '{')
    raw.disconnect()
    await fleet.worker('pipelines')
    await vi.waitUntil(async () => (await fleet.json<Dead>('dead')).dead.length === 2, 30_000)

    const { dead } = await fleet.json<Dead>('dead', 'list')
    expect(dead).toContainEqual(
      expect.objectContaining({ runId: first, error: expect.objectContaining({ code: 'CAESURA_E_STATE' }) }),
    )
    expect((await fleet.run('dead')).stdout).toContain('CAESURA_E_STATE')
    expect(await fleet.json('dead', 'show', first.slice(0, 13))).toMatchObject({ runId: first, pipeline: 'two' })

    const { runId } = await fleet.json<{ runId: string }>('dead', 'retry', first)
    expect(runId).not.toBe(first)
    expect((await fleet.run('dead', 'drop', second)).stdout).toContain('no longer on the list')
    expect(await fleet.json('dead')).toEqual({ dead: [] })
    await fleet.scripted('n1', 3, 0)
    const client = await connectFleet({ url: fleet.redis.url })
    await vi.waitUntil(async () => (await client.read(runId)).status === 'ended', 30_000)
    expect((await client.read(runId)).record?.outcome).toBe('completed')
    await client.close()
  })

  it('refuses what it does not know', async () => {
    for (const words of [['bury'], ['show'], ['retry', 'nobody'], ['list', 'x']]) {
      const { status } = await fleet.run('dead', ...words)
      expect(status).toBe(2)
    }
  })
})
