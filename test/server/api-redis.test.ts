import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Api } from '../../src/app/fleet-serving.ts'
import { ReachableFleet } from '../../src/server/hosts/reachable-fleet.ts'
import { fleetForTest, withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'
import { redisForTest, withRedis } from '../fixtures/with-redis.ts'
import { ask, eventsOf, problemIn, startRun, testApi, tokensOf } from './api-fixture.ts'

const SLOW = Array.from({ length: 60 }, (_, index) => `s${index} `)

const redis = withRedis()
const fleet = withFleet({ redis, per: 'file' })
let api: Api
beforeAll(async () => {
  await fleet.pipelines()
  await fleet.node({ name: 'n1', slots: 4, script: { tokens: SLOW, firstTokenMs: 5, tokenMs: 30 } })
  api = await testApi(redis.url)
})
afterAll(() => api.close())

describe('while Redis is away', () => {
  it('every request that needs it is answered 503 with Retry-After, and nothing of it is done later', async () => {
    const runId = await startRun(api, { pipeline: 'one', runId: 'before' })
    await redis.kill()
    const body = { pipeline: 'one', input: 'i' }
    const answers = await Promise.all([
      ask(`${api.url}/v1/runs`, { body: { ...body, runId: 'away' } }),
      ask(`${api.url}/v1/runs`, { body, headers: { accept: 'text/event-stream' } }),
      ask(`${api.url}/v1/runs`, { body, headers: { 'idempotency-key': 'k' } }),
      ask(`${api.url}/v1/runs`),
      ask(`${api.url}/v1/runs/${runId}`),
      ask(`${api.url}/v1/runs/${runId}/events`),
      ask(`${api.url}/v1/runs/${runId}/interrupts`, { method: 'POST' }),
      ask(`${api.url}/v1/runs/${runId}`, { method: 'DELETE' }),
      ask(`${api.url}/v1/nodes`),
      ask(`${api.url}/readyz`),
    ])
    for (const answered of answers) {
      expect([answered.status, problemIn(answered).code]).toEqual([503, 'CAESURA_E_REDIS'])
      expect(answered.headers.get('retry-after')).toBe('1')
    }
    expect((await ask(`${api.url}/healthz`)).status).toBe(200)
    expect((await ask(`${api.url}/metrics`)).body).toContain('caesura_redis_up 0')
    // What is wrong with a request is said all the same.
    expect((await ask(`${api.url}/v1/runs`, { body: { ...body, pipeline: 'tow' } })).status).toBe(400)
    await redis.restart()
    await until(async () => (await ask(`${api.url}/readyz`)).status === 200)
    expect((await ask(`${api.url}/v1/runs/away`)).status).toBe(404)
    expect((await ask(`${api.url}/v1/runs/${runId}`)).status).toBe(200)
  })

  it('a stream that is open waits, and goes on without a gap', async () => {
    const runId = await startRun(api, { pipeline: 'one', runId: 'through' })
    let isKilled: Promise<void> | undefined
    const response = await fetch(`${api.url}/v1/runs/${runId}/events`)
    const events = await eventsOf(response, ({ seq }) => {
      if (seq === 8) isKilled = redis.restart()
      return false
    })
    await isKilled
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(events.at(-1)!.type).toBe('run-end')
    expect(tokensOf(events)).toBe(SLOW.join(''))
  })
})

it('does not let its waits grow: one look at Redis serves all who ask', async () => {
  let pings = 0
  const gone = {
    ping: () => {
      pings += 1
      return new Promise<number>((_, reject) => setTimeout(() => reject(new Error('away')), 50))
    },
  }
  const reachable = new ReachableFleet(gone as never, () => undefined)
  const asked = Array.from({ length: 1000 }, () => reachable.ask((client) => client.nodes()))
  const answers = await Promise.allSettled(asked)
  expect(answers.every(({ status }) => status === 'rejected')).toBe(true)
  expect(pings).toBe(1)
})

it('answers 202 where nobody can decide yet', async () => {
  const alone = await redisForTest()
  const workers = fleetForTest(alone)
  const lonely = await testApi(alone.url, { times: { decisionMs: 100 } })
  onTestFinished(() => lonely.close())
  const runId = await startRun(lonely)
  const asked = await ask(`${lonely.url}/v1/runs/${runId}/interrupts`, { body: { input: 'later' } })
  expect(asked).toMatchObject({ status: 202, body: { runId, pending: true } })
  expect((await ask(`${lonely.url}/v1/runs/${runId}`)).body).toMatchObject({ status: 'waiting', seq: 0 })
  // Whoever hosts it later finds the signal.
  await workers.pipelines()
  await workers.node({ name: 'n1' })
  await until(async () => 'schema' in ((await ask(`${lonely.url}/v1/runs/${runId}`)).body as object))
  expect((await ask(`${lonely.url}/v1/runs/${runId}`)).body).toMatchObject({ interrupts: [{ input: 'later' }] })
})
