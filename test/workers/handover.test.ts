import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import type { FleetClient } from '../../src/workers/fleet-client.ts'
import { lostNews } from '../../src/workers/news.ts'
import { each, withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'

const two = definePipeline({
  name: 'two',
  stages: [
    { id: 'a', model: 'scripted', prompt: 'a {{ input }}', policy: { trigger: 'signal', response: 'abort' } },
    { id: 'b', model: 'scripted', prompt: 'b {{ a.output }}' },
  ],
})
const long = { tokens: Array(60).fill('w '), firstTokenMs: 5, tokenMs: 10 }

const fleet = withFleet({ isEmpty: true })

describe('the next call of a run', () => {
  it('goes to the worker that has just ended the last one, without a ticket', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n1' })
    const client = await fleet.client()
    const { runId } = await client.submit(two, { input: 'i' })
    await client.ended(runId)
    expect((await client.read(runId)).record).toMatchObject({ outcome: 'completed', output: 'a b' })
    // BullMQ counts what was added to a queue.
    expect(await client.redis.client.get('{caesura}:pool-default:id')).toBe('1')
  })

  it('has a ticket where the calls of the pool may begin at a certain rate only', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n1', settings: { rate: { calls: 100, ms: 1000 } } })
    const client = await fleet.client()
    const { runId } = await client.submit(two, { input: 'i' })
    await client.ended(runId)
    expect(await client.redis.client.get('{caesura}:pool-default:id')).toBe('2')
  })

  it('is made once though it was offered again and again, and is declined by a worker without a free slot', async () => {
    await fleet.pipelines()
    const worker = await fleet.node({ name: 'n1', script: long })
    const client = await fleet.client()
    const { client: raw, keys } = client.redis
    const busy = await client.submit(two, { input: 'busy' })
    await until(() => fleet.asked.length === 1)
    const next = await client.submit(two, { input: 'next' })
    await until(async () => (await raw.exists(keys.call(next.runId, 'a.1'))) === 1)
    const offer = (runId: string) => raw.publish(keys.orders(worker.id), `take ${runId} a.1 pool-default`)
    for (let times = 0; times < 5; times++) for (const runId of [busy.runId, next.runId]) await offer(runId)
    for (const { runId } of [busy, next]) {
      await client.ended(runId)
      expect((await client.read(runId)).record).toMatchObject({ outcome: 'completed' })
    }
    const asked = fleet.asked.map(({ runId, callId }) => `${runId} ${callId}`)
    expect(new Set(asked).size).toBe(asked.length)
    expect(asked).toHaveLength(4)
  })

  it('that was offered to a worker that does not hear has a ticket soon', async () => {
    await fleet.pipelines()
    const worker = await fleet.node({ name: 'n1', script: long })
    const client = await fleet.client()
    const { client: raw, keys } = client.redis
    const { runId } = await client.submit(two, { input: 'i' })
    await until(() => fleet.asked.length === 1)
    // The node's entry says that it is served by somebody who listens and does nothing.
    const deaf = raw.duplicate()
    await deaf.subscribe(keys.orders('deaf'))
    const held = setInterval(() => void raw.hset(keys.node('n1'), 'worker', 'deaf'), 5)
    await client.interrupt(runId, { input: 'now' })
    await until(async () => (await raw.hget(keys.call(runId, 'b.1'), 'status')) !== null)
    clearInterval(held)
    await raw.hset(keys.node('n1'), 'worker', worker.id)
    await client.ended(runId)
    expect((await client.read(runId)).record).toMatchObject({ outcome: 'completed' })
    deaf.disconnect()
  })
})

describe('a call that was given to a worker', () => {
  const given = async (): Promise<{
    client: FleetClient
    messages: string[]
    number: string
    deaf: { disconnect(): void }
  }> => {
    const client = await fleet.client()
    const { call, client: raw, keys } = client.redis
    const deaf = raw.duplicate()
    await deaf.subscribe(keys.orders('w'))
    const messages: string[] = []
    deaf.on('message', (_channel: string, message: string) => messages.push(message))
    await call('submit', 'r', '{}', 1, '')
    await call('claimRun', 'r', 1, 'inbox', 3, 6, '0')
    await call('registerNode', 'n n', 'w', 5000, '', 'state', 'up', 'pool', 'p', 'term', 7)
    const number = 'n1'
    const open = ['r', 1, 0, 'state', 0, 'open', 'c.1', '{"model":"m m"}', 'q', `${number} n n`, 'm m'] as const
    expect(await each(client, 'appendAll', [...open])).toEqual(['ok', 'c.1'])
    await until(() => messages.length === 1)
    return { client, messages, number, deaf }
  }
  const fieldsOf = ({ redis }: FleetClient) => redis.client.hmget(redis.keys.call('r', 'c.1'), 'status', 'claim')
  const byTicket = ({ redis }: FleetClient) =>
    redis.call('claimCall', 'r', 'c.1', 'ticket v 1', 'q', 'm', lostNews, 'v', '')

  it('has its request in the order, and is no ticket’s while that worker lives', async () => {
    const { client, messages, number, deaf } = await given()
    expect(messages).toEqual([`begin r c.1 ${number} 7 {"model":"m m"}`])
    expect(await fieldsOf(client)).toEqual(['active', `direct w ${number}`])
    expect(await byTicket(client)).toEqual(['taken'])
    expect(await each(client, 'tellAll', ['r', 'c.1', `direct w ${number}`, '[]', '0', 0])).toEqual(['ok'])
    deaf.disconnect()
  })

  it('waits again where that worker gives it back, and only then', async () => {
    const { client, number, deaf } = await given()
    const { call } = client.redis
    expect(await call('declineCall', 'r', 'c.1', 'direct w another')).toEqual(['kept'])
    expect(await byTicket(client)).toEqual(['taken'])
    expect(await call('declineCall', 'r', 'c.1', `direct w ${number}`)).toEqual(['ok'])
    expect(await call('checkCall', 'r', 'c.1')).toEqual(['waits'])
    expect((await byTicket(client))[0]).toBe('ok')
    // What that worker says late changes nothing any more.
    expect(await call('declineCall', 'r', 'c.1', `direct w ${number}`)).toEqual(['kept'])
    expect(await each(client, 'tellAll', ['r', 'c.1', `direct w ${number}`, '[]', '0', 0])).toEqual(['refused'])
    expect(await fieldsOf(client)).toEqual(['active', 'ticket v 1'])
    deaf.disconnect()
  })

  it('ends as cancelled where it is given back after it was to stop', async () => {
    const { client, messages, number, deaf } = await given()
    await each(client, 'appendAll', ['r', 1, 0, 'state', 0, 'cancel', 'c.1', 'why', '', '', ''])
    await until(() => messages.length === 2)
    expect(messages[1]).toBe('cancel r c.1')
    expect((await fieldsOf(client))[0]).toBe('active')
    await client.redis.call('declineCall', 'r', 'c.1', `direct w ${number}`)
    expect((await fieldsOf(client))[0]).toBe('ended')
    deaf.disconnect()
  })

  it('is asked after only until something was told of it', async () => {
    const { client, messages, number, deaf } = await given()
    const { call } = client.redis
    expect(await call('checkCall', 'r', 'c.1')).toEqual(['asked'])
    await until(() => messages.length === 2)
    expect(messages[1]).toBe(`check r c.1 ${number}`)
    await each(client, 'tellAll', ['r', 'c.1', `direct w ${number}`, '[]', '0', 0])
    expect(await call('checkCall', 'r', 'c.1')).toEqual(['kept'])
    expect(await call('checkCall', 'r', 'nothing')).toEqual(['kept'])
    deaf.disconnect()
  })

  it('waits at once where nobody listens for that worker', async () => {
    const client = await fleet.client()
    const { call } = client.redis
    await call('submit', 'r', '{}', 1, '')
    await call('claimRun', 'r', 1, 'inbox', 3, 6, '0')
    await call('registerNode', 'n', 'w', 5000, '', 'state', 'up', 'pool', 'p', 'term', 7)
    const open = ['r', 1, 0, 'state', 0, 'open', 'c.1', '{}', 'q', 'n1 n', 'm'] as const
    expect(await each(client, 'appendAll', [...open])).toEqual(['ok'])
    expect((await fieldsOf(client))[0]).toBe('waiting')
    expect((await byTicket(client))[0]).toBe('ok')
  })

  it('is begun by nobody where that worker’s term was over, and where a message was lost, until it was given back', async () => {
    await fleet.pipelines()
    const worker = await fleet.node({ name: 'n1' })
    const client = await fleet.client()
    const { client: raw, keys, call } = client.redis
    for (const [runId, order] of [
      ['old', 'begin old c.1 n1 9999 {"model":"scripted","messages":[]}'],
      ['lost', 'check lost c.1 n1'],
    ] as const) {
      await call('submit', runId, '{}', 1, '')
      const key = keys.call(runId, 'c.1')
      await raw.hset(key, { request: '{}', status: 'active', claim: `direct ${worker.id} n1`, worker: worker.id })
      await raw.publish(keys.orders(worker.id), order)
      await until(async () => (await raw.hget(key, 'status')) === 'waiting')
    }
    expect(fleet.asked).toHaveLength(0)
  })
})

describe('a ticket of a call that was taken without one', () => {
  it('changes nothing while that worker lives, and ends the call when it is gone', async () => {
    const client = await fleet.client()
    const { call } = client.redis
    await call('submit', 'r', '{}', 1, '')
    await call('claimRun', 'r', 1, 'inbox', 3, 6, '0')
    await each(client, 'appendAll', ['r', 1, 0, 'state', 0, 'open', 'c.1', '{}', 'q', '', 'm'])
    await call('registerNode', 'n', 'w', 5000, '', 'state', 'up')
    expect(await call('claimCall', 'r', 'c.1', 'direct w 1', 'q', 'n', lostNews, 'w', '')).toEqual(['ok', '{}'])
    expect(await call('claimCall', 'r', 'c.1', 'ticket v 1', 'q', 'm', lostNews, 'v', '')).toEqual(['taken'])
    expect(await call('endCall', 'r', 'c.1', lostNews, 'lost')).toEqual(['kept'])
    expect(await each(client, 'tellAll', ['r', 'c.1', 'direct w 1', '[]', '0', 0])).toEqual(['ok'])
    await call('forgetNode', 'n', 'w')
    expect(await call('claimCall', 'r', 'c.1', 'ticket v 1', 'q', 'm', lostNews, 'v', '')).toEqual(['lost'])
    expect(await each(client, 'tellAll', ['r', 'c.1', 'direct w 1', '[]', '0', 2])).toEqual(['refused'])
    expect(await call('endCall', 'r', 'c.1', lostNews, 'lost')).toEqual(['kept'])
  })
})

describe('a cancel of a run', () => {
  it('reaches the worker of its call while nobody owns the run, and no stage follows', async () => {
    const scripted = scriptedBackend(long)
    let stopped = 0
    const backend: typeof scripted = {
      ...scripted,
      generate: (request, context) => {
        context.signal.addEventListener('abort', () => {
          stopped += 1
        })
        return scripted.generate(request, context)
      },
    }
    await fleet.node({ name: 'n1', backend })
    const owner = await fleet.pipelines()
    const client = await fleet.client()
    const { runId } = await client.submit(two, { input: 'i' })
    for await (const event of client.events(runId)) if (event.type === 'token') break
    await owner.close()
    for (const reason of ['enough', 'twice']) expect(await client.cancel(runId, reason)).toBe(true)
    await until(() => stopped === 1)
    // Its worker has told the end: the next owner finds it.
    const { client: raw, keys } = client.redis
    await until(async () => (await raw.hget(keys.call(runId, 'a.1'), 'status')) === 'ended')
    await fleet.pipelines()
    await client.ended(runId)
    const { record } = await client.read(runId)
    expect(record).toMatchObject({ outcome: 'cancelled', cancelReason: 'enough', stages: [{ settlement: 'aborted' }] })
    expect(fleet.asked).toHaveLength(1)
  })

  it('is recorded before the end that it has brought about', async () => {
    await fleet.node({ name: 'n1', script: long })
    await fleet.pipelines()
    const client = await fleet.client()
    const { runId } = await client.submit(two, { input: 'i' })
    for await (const event of client.events(runId)) if (event.type === 'token') break
    await client.cancel(runId, 'enough')
    await client.ended(runId)
    const { record } = await client.read(runId)
    expect(record).toMatchObject({ outcome: 'cancelled', stages: [{ settlement: 'aborted' }] })
    const { marks } = record!.stages[0]!
    expect(marks.map(({ name }) => name)).toEqual(expect.arrayContaining(['abort-requested', 'settled']))
    expect(fleet.asked).toHaveLength(1)
  })
})
