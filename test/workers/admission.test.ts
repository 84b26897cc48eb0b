import { describe, expect, it, onTestFinished } from 'vitest'
import { createEngine, definePipeline } from '../../src/index.ts'
import { FleetClient } from '../../src/workers/fleet-client.ts'
import { fleetForTest, withFleet } from '../fixtures/fleet.ts'
import { redisForTest, withRedis } from '../fixtures/with-redis.ts'
import { ask, problemIn, testApi } from '../server/api-fixture.ts'

const pipeline = definePipeline({ name: 'one', stages: [{ id: 'only', model: 'scripted', prompt: '{{ input }}' }] })

const redis = withRedis()
const fleet = withFleet({ redis, isEmpty: true })

describe('a fleet where too many runs wait', () => {
  it('refuses the next one by HTTP with Retry-After, and takes it when there is room', async () => {
    const api = await testApi(redis.url, { limits: { maxWaiting: 3 } })
    const submit = (key: string) =>
      ask(`${api.url}/v1/runs`, { body: { pipeline: 'one', input: 'i' }, headers: { 'idempotency-key': key } })
    const first = await submit('k0')
    for (const key of ['k1', 'k2']) expect((await submit(key)).status).toBe(201)
    const refused = await submit('k3')
    expect([refused.status, problemIn(refused).code]).toEqual([503, 'CAESURA_E_FLEET_FULL'])
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    // Who asks again for a run that is there is answered as before.
    expect((await submit('k0')).body).toEqual(first.body)
    expect((await ask(`${api.url}/v1/runs`)).body).toMatchObject({ runs: { length: 3 } })
    await fleet.pipelines()
    await fleet.node({ name: 'n1', slots: 4 })
    await expect.poll(async () => (await submit('k3')).status, { timeout: 15_000 }).toBe(201)
    await api.close()
  })

  it('never takes more than it may of many that come at once', async () => {
    const client = await FleetClient.open(redis, { maxWaiting: 10 })
    const tried = await Promise.allSettled(Array.from({ length: 60 }, () => client.submit(pipeline, { input: 'i' })))
    const taken = tried.filter(({ status }) => status === 'fulfilled').length
    expect(taken).toBeLessThanOrEqual(10)
    expect(taken).toBeGreaterThan(0)
    expect((await client.load()).liveRuns).toBe(taken)
    for (const each of tried) {
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'CAESURA_E_FLEET_FULL', exitCode: 3 })
    }
    await client.close()
  })

  it('tells a program so as well', async () => {
    await using engine = createEngine({ redis: redis.url, limits: { maxWaiting: 1 } })
    const first = engine.start(pipeline, { input: 'i' })
    await expect.poll(async () => (await (await fleet.client()).load()).liveRuns).toBe(1)
    await expect(engine.start(pipeline, { input: 'i' }).result).rejects.toMatchObject({ code: 'CAESURA_E_FLEET_FULL' })
    await fleet.pipelines()
    await fleet.node({ name: 'n1' })
    expect(await first.result).toMatchObject({ outcome: 'completed' })
  })
})

describe('a Redis that is nearly full', () => {
  it('is spared before it refuses anything; what it has can be read and ends', async () => {
    const small = await redisForTest(['--maxmemory', '24mb', '--maxmemory-policy', 'noeviction'])
    const workers = fleetForTest(small)
    const api = await testApi(small.url)
    onTestFinished(() => api.close())
    const submit = (input: string, key?: string) =>
      ask(`${api.url}/v1/runs`, {
        body: { pipeline: 'one', input },
        ...(key !== undefined && { headers: { 'idempotency-key': key } }),
      })
    const first = await submit('i', 'k')
    const long = 'x'.repeat(300_000)
    let refused: Awaited<ReturnType<typeof ask>> | undefined
    // At once, so that no reading is fresh enough to see all of them.
    while (refused === undefined) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => submit(long)))
      refused = answers.find(({ status }) => status !== 201)
    }
    expect([refused.status, problemIn(refused).code]).toEqual([503, 'CAESURA_E_FLEET_FULL'])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await submit('i', 'k')).body).toEqual(first.body)
    const client = await workers.client()
    // Redis itself has refused nothing.
    expect(await client.redis.client.info('errorstats')).not.toContain('errorstat_OOM')
    await workers.pipelines()
    await workers.node({ name: 'n1', slots: 4 })
    const { runId } = first.body as { runId: string }
    await client.ended(runId)
    expect((await client.read(runId)).record).toMatchObject({ outcome: 'completed' })
    // Nor did it later, when runs were under way: no more of them than there was memory for.
    expect(await client.redis.client.info('errorstats')).not.toContain('errorstat_OOM')
  }, 60_000)
})
