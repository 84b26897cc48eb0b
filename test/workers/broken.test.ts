import { beforeEach, describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import type { FleetClient } from '../../src/workers/fleet-client.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'

const one = definePipeline({ name: 'one', stages: [{ id: 'a', model: 'm', prompt: '{{ input }}' }] })
const long = { tokens: Array.from({ length: 60 }, (_, index) => `${index} `), tokenMs: 15 }
const whole = long.tokens.join('')

const fleet = withFleet()
let client: FleetClient
beforeEach(async () => {
  await fleet.node({ name: 'n1', slots: 4, script: long })
  await fleet.pipelines()
  client = await fleet.client()
})

/** A run in the middle of its answer. */
async function live(): Promise<string> {
  const { runId } = await client.submit(one, { input: 'i' })
  for await (const event of client.events(runId)) if (event.type === 'token') break
  return runId
}

/** How a run ended: its outcome, or why it was put aside. The workers still do their work. */
async function ending(runId: string): Promise<string> {
  await until(async () => (await client.read(runId)).status === 'ended')
  const { record, dead } = await client.read(runId)
  const next = await client.submit(one, { input: 'i' })
  await client.ended(next.runId)
  expect((await client.read(next.runId)).record?.output).toBe(whole)
  return record === undefined ? `dead: ${dead}` : `${record.outcome} ${record.error?.code ?? record.output}`
}

describe('what is broken in Redis ends what it belongs to, once, and no worker', () => {
  it.each(['{nope', 'null', '["interrupt"]', '["interrupt",{"input":{}},{"inbox":"x","id":"y"}]'])(
    'a signal %s: its run is put aside, and its readers have its end',
    async (text) => {
      const runId = await live()
      const { client: raw, keys } = client.redis
      await raw.xadd(keys.signals(runId), '*', 'd', text)
      const answer = client.interrupt(runId, { input: 'x' })
      expect(await answer).toMatchObject({ accepted: false, code: 'CAESURA_E_STATE' })
      expect(await ending(runId)).toContain('something else than a signal')
      const ends = []
      for await (const event of client.events(runId)) if (event.type === 'run-end') ends.push(event)
      expect(ends).toMatchObject([{ outcome: 'failed', error: { code: 'CAESURA_E_STATE' } }])
      expect((await client.dead()).filter((entry) => entry.runId === runId)).toHaveLength(1)
    },
  )

  it.each(['abc', '7', ''])(
    'a number of events %j that is not theirs: the run is put aside by its next owner',
    async (seq) => {
      await fleet.close()
      client = await fleet.client()
      const { runId } = await client.submit(one, { input: 'i' })
      await client.redis.client.hset(client.redis.keys.run(runId), 'seq', seq)
      await fleet.node({ name: 'n1', slots: 4, script: long })
      await fleet.pipelines()
      expect(await ending(runId)).toContain('something else than the number of events')
    },
  )

  it('signals or events of another type of key: the run is put aside', async () => {
    const { client: raw, keys } = client.redis
    const [signals, events] = [await live(), await live()]
    await raw.set(keys.signals(signals), 'x')
    await expect(client.interrupt(signals, { input: 'x' })).rejects.toMatchObject({ code: 'CAESURA_E_STATE' })
    await raw.set(keys.events(events), 'x')
    expect(await ending(signals)).toMatch(/^dead: /)
    expect(await ending(events)).toMatch(/^dead: /)
  })

  it.each(['{nope', '[null,["mark"],["placed"]]', '[["token",1,""]]', '[["end",{"end":"banana"}]]'])(
    'news %s: the call fails, and says so',
    async (text) => {
      const runId = await live()
      const { client: raw, keys } = client.redis
      await raw.xadd(keys.news(runId, 'a.1'), '*', 'd', text)
      expect(await ending(runId)).toBe('failed CAESURA_E_STATE')
    },
  )

  it('news or a call that are gone: the call is made again, and nothing of the lost one stands', async () => {
    const { client: raw, keys } = client.redis
    const [news, call] = [await live(), await live()]
    await raw.del(keys.news(news, 'a.1'))
    await raw.del(keys.call(call, 'a.1'))
    for (const runId of [news, call]) {
      expect(await ending(runId)).toBe(`completed ${whole}`)
      const { record } = await client.read(runId)
      expect(record!.stages.map(({ settlement }) => settlement)).toEqual(['failed', 'completed'])
    }
  })

  it('an inbox of another type, and messages that are none: what was missed is read where it is kept', async () => {
    const { client: raw, keys } = client.redis
    const runId = await live()
    const inbox = String(await raw.hget(keys.run(runId), 'owner'))
    for (const text of [
      '{nope',
      'null',
      '["many",null,1]',
      '["news"]',
      `["news","${runId}","a.1",3,null]`,
      '["signal"]',
    ])
      await raw.xadd(keys.inbox(inbox), '*', 'd', text)
    await raw.set(keys.inbox(inbox), 'x')
    expect(await ending(runId)).toBe(`completed ${whole}`)
  })

  it('the request of a call: it fails, and its slot is free again', async () => {
    const { client: raw, keys, call } = client.redis
    await raw.hset(keys.call('r', 'c'), {
      status: 'waiting',
      queue: 'pool-default',
      model: 'm',
      request: '{"model":{}}',
    })
    expect(await call('claimCall', 'r', 'c', 'mine', 'pool-default', 'n', '[]', 'w', '')).toEqual([
      'ok',
      '{"model":{}}',
    ])
    await raw.hset(keys.call('r', 'c'), 'status', 'waiting')
    const { TicketQueues } = await import('../../src/workers/ticket-queues.ts')
    await new TicketQueues(client.redis).add('pool-default', 'r', 'c', 0)
    await until(async () => (await raw.hget(keys.call('r', 'c'), 'status')) === 'ended')
    expect(JSON.stringify(await raw.xrange(keys.news('r', 'c'), '-', '+'))).toContain('CAESURA_E_STATE')
    await until(async () => (await client.nodes())[0]?.busy === 0)
  })
})
