import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../../src/app/fleet-serving.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'
import { withRedis } from '../fixtures/with-redis.ts'
import { ask, eventsOf, lines, problemIn, startRun, testApi } from './api-fixture.ts'

const SLOW = Array.from({ length: 30 }, (_, index) => `s${index} `)

const redis = withRedis()
const fleet = withFleet({ redis, per: 'file' })
let api: Api
beforeAll(async () => {
  await fleet.pipelines()
  await fleet.node({ name: 'n1', slots: 16, script: { tokens: SLOW, firstTokenMs: 5, tokenMs: 30 } })
  api = await testApi(redis.url, { times: { heartbeatMs: 100, stallMs: 500 } })
})
afterAll(() => api.close())

const NDJSON = { accept: 'application/x-ndjson' }
const follow = (runId: string, after = '', headers: Record<string, string> = {}, url = api.url) =>
  fetch(`${url}/v1/runs/${runId}/events${after}`, { headers })

describe('a server that stops', () => {
  it('ends its streams so that they go on at another one', async () => {
    const other = await testApi(redis.url)
    const runId = await startRun(api, { pipeline: 'one', input: 'slow' })
    const response = await follow(runId, '', {}, other.url)
    const all: string[] = []
    for await (const line of lines(response)) {
      all.push(line)
      if (line === 'id: 6') void other.close()
    }
    expect(all.slice(-4)).toContain('retry: 1000')
    expect(all.some((line) => /"run-end"/.test(line))).toBe(false)
    const last = Number(all.findLast((line) => line.startsWith('id: '))!.slice(4))
    const rest = await eventsOf(await follow(runId, '', { 'last-event-id': String(last) }))
    expect(rest[0]!.seq).toBe(last + 1)
    expect(rest.at(-1)!.type).toBe('run-end')
  })
})

describe('a run that was put aside', () => {
  it('is told of as it is, and its stream ends with why', async () => {
    const client = await fleet.client()
    const { client: commands, keys } = client.redis
    await commands.hset(keys.run('old'), {
      spec: '{"version":0}',
      status: 'live',
      epoch: 0,
      seq: 0,
      tenant: '',
      submitted: 1,
    })
    await commands.zadd(keys.live, 1, 'old')
    const reading = follow('old', '', NDJSON)
    await until(async () => (await commands.scard(keys.readers('old'))) > 0)
    await commands.hset(keys.run('old'), { status: 'ended', dead: 'of another version' })
    const response = await reading
    const all: string[] = []
    for await (const line of lines(response)) if (line !== '') all.push(line)
    expect(all).toHaveLength(1)
    expect(JSON.parse(all[0]!)).toMatchObject({ type: 'problem', problem: { code: 'CAESURA_E_STATE' } })
    const read = await ask(`${api.url}/v1/runs/old`)
    expect(read).toMatchObject({ status: 200, body: { status: 'ended', dead: 'of another version' } })
    await commands.del(keys.run('old'))
    expect(problemIn(await ask(`${api.url}/v1/runs/old`)).status).toBe(404)
  })
})
