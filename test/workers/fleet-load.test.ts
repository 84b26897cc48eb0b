import { beforeEach, describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import type { FleetClient } from '../../src/workers/fleet-client.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'

const fleet = withFleet({ isEmpty: true })
let client: FleetClient
beforeEach(async () => {
  client = await fleet.client()
})

const pipeline = definePipeline({ name: 'one', stages: [{ id: 'only', model: 'scripted', prompt: '{{ input }}' }] })

describe('what a fleet has to do', () => {
  it('is runs that wait while nobody hosts them, and calls that wait for a pool while its slots are taken', async () => {
    for (let run = 0; run < 3; run++) await client.submit(pipeline, { input: 'i', priority: run })
    expect(await client.load()).toEqual({
      nodes: [],
      queues: [{ queue: 'runs', waiting: 3 }],
      liveRuns: 3,
      pipelineWorkers: 0,
    })
    await fleet.node({
      ...{ name: 'n1', pool: 'p', slots: 1, settings: { graceMs: 0 } },
      script: { tokens: ['a'], firstTokenMs: 600_000 },
    })
    await fleet.pipelines()
    await until(async () => {
      const { queues } = await client.load()
      return queues.some(({ queue, waiting }) => queue === 'pool-p' && waiting === 2)
    })
    expect(await client.load()).toMatchObject({
      nodes: [{ name: 'n1' }],
      queues: [
        { queue: 'runs', waiting: 0 },
        { queue: 'pool-p', waiting: 2 },
        { queue: 'node-n1', waiting: 0 },
      ],
      liveRuns: 3,
      pipelineWorkers: 1,
    })
  })

  it('counts workers that host runs, until they leave or have been silent', async () => {
    const first = await fleet.pipelines()
    await fleet.pipelines()
    expect((await client.load()).pipelineWorkers).toBe(2)
    await first.close()
    expect((await client.load()).pipelineWorkers).toBe(1)
    await client.redis.client.zadd(client.redis.keys.hosts, Date.now() - 60_000, 'dead')
    expect((await client.load()).pipelineWorkers).toBe(1)
  })
})
