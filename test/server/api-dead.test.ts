import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../../src/app/fleet-serving.ts'
import { fleetKeys } from '../../src/workers/keys.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'
import { withRedis } from '../fixtures/with-redis.ts'
import { ask, problemIn, startRun, testApi } from './api-fixture.ts'

const tokens = [
  { token: 'boss-0123456789abcdef', name: 'boss', role: 'admin' as const },
  { token: 'runner-0123456789abcdef', role: 'run' as const },
  { token: 'tenant-0123456789abcdef', role: 'admin' as const, tenant: 'acme' },
]

const redis = withRedis()
const fleet = withFleet({ redis, per: 'file' })
let api: Api
let guarded: Api
let readable: string
let dropped: string
let unreadable: string
beforeAll(async () => {
  api = await testApi(redis.url)
  guarded = await testApi(redis.url, { tokens })
  ;[readable, dropped, unreadable] = [
    await startRun(api, { tenant: 'acme', experiment: { name: 'elsewhere', arm: 'b', session: 's1' } }),
    await startRun(api),
    await startRun(api),
  ]
  const { client, keys } = (await fleet.client()).redis
  for (const runId of [readable, dropped]) await client.hset(keys.run(runId), 'state', '{')
  await client.hset(keys.run(unreadable), 'spec', 'garbage')
  await fleet.pipelines()
  await fleet.node({ name: 'n1', slots: 8, script: { tokens: ['well'], firstTokenMs: 1, tokenMs: 1 } })
  await until(async () => (await listed()).length === 3)
})
afterAll(async () => {
  await api.close()
  await guarded.close()
})

const at = (path = '') => `${api.url}/v1/dead${path}`
const listed = async () => ((await ask(at())).body as { dead: { runId?: string }[] }).dead

/** Fails where the document says something else. */
async function expectValid(name: string, value: unknown): Promise<void> {
  const document = (await ask(`${api.url}/openapi.json`)).body as object
  const ajv = new Ajv2020({ strict: false, validateFormats: false, schemas: [{ ...document, $id: 'api' }] })
  const check = ajv.getSchema(`api#/components/schemas/${name}`)!
  expect([name, check(value), check.errors]).toEqual([name, true, null])
}

describe('the runs that were put aside', () => {
  it('are listed with the reason, and one is shown with what is known of it', async () => {
    const list = await ask(at())
    expect(list.status).toBe(200)
    await expectValid('DeadList', list.body)
    expect(new Set((await listed()).map(({ runId }) => runId))).toEqual(new Set([readable, dropped, unreadable]))
    const one = await ask(at(`/${readable}`))
    expect(one).toMatchObject({
      status: 200,
      body: { runId: readable, pipeline: 'two', tenant: 'acme', error: { code: 'CAESURA_E_STATE' } },
    })
    await expectValid('DeadRun', one.body)
  })

  it('are started again once, however often that is asked at the same time', async () => {
    const asked = await Promise.all([1, 2, 3].map(() => ask(at(`/${readable}/retry`), { method: 'POST' })))
    const made = asked.filter(({ status }) => status === 201)
    expect(made.length).toBeGreaterThan(0)
    for (const each of asked.filter(({ status }) => status !== 201)) expect(each.status).toBe(404)
    const [first] = made
    await expectValid('Retried', first?.body)
    const ids = new Set(made.map(({ body }) => (body as { runId: string }).runId))
    expect(ids.size).toBe(1)
    const [runId = ''] = ids
    expect(runId).not.toBe(readable)
    expect(first?.body).toMatchObject({ insteadOf: readable })
    expect(first?.headers.get('location')).toBe(`/v1/runs/${runId}`)
    await until(async () => 'schema' in ((await ask(`${api.url}/v1/runs/${runId}`)).body as object))
    expect((await ask(`${api.url}/v1/runs/${runId}`)).body).toMatchObject({
      outcome: 'completed',
      output: 'well',
      experiment: { name: 'elsewhere', arm: 'b', session: 's1' },
    })
    expect((await listed()).map((entry) => entry.runId)).not.toContain(readable)
  })

  it('stay on the list where what they were to run cannot be read', async () => {
    const answered = await ask(at(`/${unreadable}/retry`), { method: 'POST' })
    expect([answered.status, problemIn(answered).code]).toEqual([422, 'CAESURA_E_STATE'])
    expect((await listed()).map(({ runId }) => runId)).toContain(unreadable)
  })

  it('are shown where the run itself is not kept any more', async () => {
    const { client } = (await fleet.client()).redis
    await client.del(fleetKeys().run(unreadable))
    const { status, body } = await ask(at(`/${unreadable}`))
    expect([status, Object.keys(body as object).toSorted()]).toEqual([200, ['at', 'error', 'runId']])
    await expectValid('DeadRun', body)
  })

  it('are dropped', async () => {
    const answered = await ask(at(`/${dropped}`), { method: 'DELETE' })
    expect(answered).toMatchObject({ status: 200, body: { runId: dropped, dropped: true } })
    await expectValid('Dropped', answered.body)
    expect((await listed()).map(({ runId }) => runId)).not.toContain(dropped)
  })

  it.each([
    ['GET', '/nobody'],
    ['GET', '/no%20id'],
    ['POST', '/nobody/retry'],
    ['DELETE', '/nobody'],
  ])('are unknown where they were not put aside: %s %s', async (method, path) => {
    const answered = await ask(at(path), { method })
    expect([answered.status, problemIn(answered).code]).toEqual([404, 'CAESURA_E_RUN_UNKNOWN'])
  })

  it.each([
    ['GET', ''],
    ['GET', '/some-run'],
    ['POST', '/some-run/retry'],
    ['DELETE', '/some-run'],
  ])('are for administrators of the whole fleet: %s %s', async (method, path) => {
    const status = async (token: string) =>
      (await ask(`${guarded.url}/v1/dead${path}`, { method, headers: { authorization: `Bearer ${token}` } })).status
    for (const token of ['runner-0123456789abcdef', 'tenant-0123456789abcdef']) expect(await status(token)).toBe(403)
    expect([200, 404]).toContain(await status('boss-0123456789abcdef'))
  })
})
