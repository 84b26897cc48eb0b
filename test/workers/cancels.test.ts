import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/compose.ts'
import { startRedis, type TestRedis } from '../fixtures/redis.ts'
import { pause, TestFleet } from './fleet.ts'

let redis: TestRedis
let fleet: TestFleet
beforeAll(async () => {
  redis = await startRedis()
  fleet = new TestFleet(redis.url)
  await fleet.pipelines()
  await fleet.node({ name: 'n', slots: 4, script: { tokens: Array(200).fill('w '), firstTokenMs: 1, tokenMs: 10 } })
})
afterAll(async () => {
  await fleet.close()
  await redis.stop()
})

describe('a cancel or a signal', () => {
  const pipeline = definePipeline({
    name: 'one',
    stages: [
      {
        id: 'only',
        model: 'scripted',
        prompt: '{{ input }}',
        policy: { trigger: 'signal', response: 'abort', then: 'end' },
      },
    ],
  })

  // Before the run has an owner, while one takes it up, while its call waits or begins: messages and answers cross.
  it('is heeded at whatever moment of a run’s beginning it comes', async () => {
    const client = await fleet.client()
    const outcomes: unknown[] = []
    const each = async (index: number) => {
      await pause(index * 3)
      const { runId } = await client.submit(pipeline, { input: 'i' })
      if (index % 5 > 0) await pause(Math.random() * 15)
      const asked = index % 2 === 0 ? client.cancel(runId, 'enough') : client.interrupt(runId)
      await client.ended(runId)
      await asked
      const { record } = await client.read(runId)
      const heeded = index % 2 === 0 ? record?.outcome === 'cancelled' : record?.interrupts.length === 1
      if (!heeded) outcomes.push({ index, outcome: record?.outcome, error: record?.error, stages: record?.stages })
    }
    await Promise.all(Array.from({ length: 300 }, (_, index) => each(index)))
    expect(outcomes).toEqual([])
  }, 60_000)
})
