import { describe, expect, it } from 'vitest'
import { createEngine, definePipeline } from '../../src/app/compose.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'
import { withRedis } from '../fixtures/with-redis.ts'

const pipeline = definePipeline({ name: 'one', stages: [{ id: 'a', model: 'm', prompt: '{{ input }}' }] })

const redis = withRedis({ per: 'test' })
const fleet = withFleet({ redis })

describe('closing an engine of a fleet', () => {
  it('ends where Redis is gone, and names the runs that could not be told to end', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n', script: { tokens: Array(3000).fill('w '), tokenMs: 10 }, settings: { graceMs: 0 } })
    const engine = createEngine({ redis: redis.url, closeWithinMs: 300 })
    const run = engine.start(pipeline, { input: 'i' })
    for await (const event of run.events) if (event.type === 'token') break
    await redis.kill()
    await expect(engine.close()).rejects.toMatchObject({
      code: 'CAESURA_E_REDIS',
      message: expect.stringContaining(run.runId),
    })
    await expect(run.result).rejects.toMatchObject({ code: 'CAESURA_E_REDIS' })
    await redis.restart()
  })

  it('ends where no worker is there to end its runs: they are told, and end when one is', async () => {
    const engine = createEngine({ redis: redis.url, closeWithinMs: 300 })
    const run = engine.start(pipeline, { input: 'i' })
    const client = await fleet.client()
    await until(async () => (await client.list()).runs.length > 0)
    await engine.close()
    await expect(run.result).rejects.toMatchObject({ code: 'CAESURA_E_REDIS' })
    await fleet.pipelines()
    await client.ended(run.runId)
    expect((await client.read(run.runId)).record).toMatchObject({ outcome: 'cancelled' })
  })

  it('waits for runs that end in time', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n', script: { tokens: Array(3000).fill('w '), tokenMs: 10 }, settings: { graceMs: 0 } })
    const engine = createEngine({ redis: redis.url })
    const run = engine.start(pipeline, { input: 'i' })
    for await (const event of run.events) if (event.type === 'token') break
    await engine.close()
    expect(await run.result).toMatchObject({ outcome: 'cancelled' })
  })
})
