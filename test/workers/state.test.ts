import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import type { RunEvent } from '../../src/core/event.ts'
import { openFleetRedis } from '../../src/workers/redis.ts'
import { FLEET_VERSION } from '../../src/workers/run-spec.ts'
import { TicketQueues } from '../../src/workers/ticket-queues.ts'
import { each, withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'
import { redisForTest, withRedis } from '../fixtures/with-redis.ts'

const pipeline = definePipeline({ name: 'one', stages: [{ id: 'only', model: 'scripted', prompt: '{{ input }}' }] })

const redis = withRedis()
const fleet = withFleet({ redis })

describe('what Redis holds of a run and nobody of this version wrote', () => {
  const spec = {
    version: FLEET_VERSION,
    pipeline,
    input: 'i',
    vars: {},
    models: {},
    signals: [],
    trace: { traceId: '0'.repeat(32) },
    tenant: '',
    priority: 0,
  }
  const foreign: Record<string, { spec: string; state?: string }> = {
    'no-json': { spec: 'garbage' },
    'no-object': { spec: '[]' },
    'no-stages': { spec: JSON.stringify({ ...spec, pipeline: { ...pipeline, stages: [] } }) },
    'more-keys': { spec: JSON.stringify({ ...spec, extra: true }) },
    'state-no-json': { spec: JSON.stringify(spec), state: '{' },
  }
  for (const [runId, { spec, state }] of Object.entries(foreign)) {
    it(`is put aside with the reason, once, and its reader ends: ${runId}`, async () => {
      const client = await fleet.client()
      await client.redis.call('submit', runId, spec, Date.now(), '')
      const { client: raw, keys } = client.redis
      if (state !== undefined) await raw.hset(keys.run(runId), 'state', state)
      await new TicketQueues(client.redis).addRun(runId, 0)
      await fleet.pipelines()
      await until(async () => (await client.read(runId)).status === 'ended')
      const told: RunEvent[] = []
      for await (const event of client.events(runId)) told.push(event)
      expect(told).toMatchObject([{ seq: 1, type: 'run-end', outcome: 'failed', error: { code: 'CAESURA_E_STATE' } }])
      const dead = (await raw.lrange(keys.dead, 0, -1)).map(
        (entry) => JSON.parse(entry) as { runId: string; error: { code: string } },
      )
      expect(dead.filter((entry) => entry.runId === runId)).toMatchObject([{ error: { code: 'CAESURA_E_STATE' } }])
      expect((await client.read(runId)).dead).toContain(`(version ${FLEET_VERSION})`)
      expect(await raw.zscore(keys.live, runId)).toBeNull()
    })
  }

  const newer: Record<string, { spec: string; state?: string }> = {
    'newer-spec': { spec: JSON.stringify({ ...spec, version: FLEET_VERSION + 1 }) },
    'newer-state': { spec: JSON.stringify(spec), state: JSON.stringify({ version: FLEET_VERSION + 1 }) },
  }
  for (const [runId, { spec, state }] of Object.entries(newer)) {
    it(`is left to a worker of the version that wrote it, and counts against nobody: ${runId}`, async () => {
      const client = await fleet.client()
      await client.redis.call('submit', runId, spec, Date.now(), '')
      const { client: raw, keys } = client.redis
      if (state !== undefined) await raw.hset(keys.run(runId), 'state', state)
      await new TicketQueues(client.redis).addRun(runId, 0)
      const worker = await fleet.pipelines()
      await until(() => fleet.logged.some((line) => line.includes(runId) && line.includes('version')))
      await until(async () => (await raw.hget(keys.run(runId), 'owner')) === null)
      await worker.close()
      expect(await raw.hmget(keys.run(runId), 'status', 'crashes')).toEqual(['live', '0'])
      const dead = await raw.lrange(keys.dead, 0, -1)
      expect(dead.some((entry) => entry.includes(runId))).toBe(false)
      // A worker that knows the version finds it, and its ticket.
      await raw.hset(keys.run(runId), 'spec', JSON.stringify({ ...JSON.parse(spec), version: FLEET_VERSION }))
      if (state !== undefined) await raw.hdel(keys.run(runId), 'state')
      await fleet.node({ name: 'n1' })
      await fleet.pipelines()
      await client.ended(runId)
      expect((await client.read(runId)).record).toMatchObject({ outcome: 'completed' })
    })
  }

  it('does not keep a worker from its other runs: a ticket without a run, job data of another form', async () => {
    const client = await fleet.client()
    const tickets = new TicketQueues(client.redis)
    await tickets.addRun('never-submitted', 0)
    await tickets.add('pool-default', 'never-submitted', 'x.1', 0)
    await fleet.pipelines()
    await fleet.node({ name: 'n1' })
    const { runId } = await client.submit(pipeline, { input: 'i' })
    await client.ended(runId)
    expect((await client.read(runId)).record).toMatchObject({ outcome: 'completed' })
    expect(fleet.asked).toHaveLength(1)
  })
})

describe('runs that have ended', () => {
  it('leave nothing behind but what is kept, for as long and as many as are kept', async () => {
    const client = await fleet.client()
    const { client: raw, keys, call } = client.redis
    const sizes: number[] = []
    const memory: number[] = []
    const record = JSON.stringify({ schema: 'caesura.record/1' })
    for (let run = 0; run < 6000; run++) {
      const runId = `day-${run}`
      await call('submit', runId, '{}', run, 'tenant')
      await call('claimRun', runId, 1, 'gone', 3, 6, '0')
      const event = JSON.stringify({ seq: 1, runId, ms: 0, type: 'run-end', outcome: 'completed' })
      const open = ['open', 'a.1', '{}', 'q', '', 'm', 'text', 'a.1', '{}', '', '', '']
      await each(client, 'appendAll', [runId, 1, 0, '{}', 0, ...open])
      await call('signal', runId, '["cancel","r"]', runId, 'r')
      const end = ['drop', 'a.1', '', '', '', '', 'end', record, 60_000, Date.now(), 500]
      await each(client, 'appendAll', [runId, 1, 0, '', 1, event, ...end])
      if (run % 2000 === 1999) {
        sizes.push(await raw.dbsize())
        memory.push(Number(/used_memory:(\d+)/.exec(await raw.info('memory'))![1]))
      }
    }
    // 500 runs with their events, and what the fleet has once.
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThan(20)
    expect(sizes[0]).toBeLessThan(500 * 2 + 60)
    expect(memory[2]! / memory[0]!).toBeLessThan(1.1)
    expect(await raw.zcard(keys.live)).toBe(0)
    expect(await raw.hgetall(keys.tenants)).toEqual({})
    expect(await raw.pttl(keys.run('day-5999'))).toBeGreaterThan(50_000)
  }, 60_000)

  it('have only keys that are written down', async () => {
    const client = await fleet.client()
    await fleet.pipelines()
    await fleet.node({ name: 'n1' })
    const { runId } = await client.submit(pipeline, { input: 'i' })
    await client.ended(runId)
    const { readFileSync } = await import('node:fs')
    const page = readFileSync(new URL('../../docs/fleet.md', import.meta.url), 'utf8')
    const found = (await client.redis.client.keys('*')).map((key) =>
      key.split(':')[1]!.replace(/^(pool|node)-.*/, '$1-NAME'),
    )
    for (const kind of new Set(found)) expect(page, kind).toContain(`:${kind}`)
  })
})

describe('a Redis that can’t be used', () => {
  it('is refused when nobody answers', async () => {
    await expect(openFleetRedis({ url: 'redis://127.0.0.1:1' })).rejects.toMatchObject({ code: 'CAESURA_E_REDIS' })
  })

  it('is refused when it may drop keys', async () => {
    const evicting = await redisForTest(['--maxmemory-policy', 'allkeys-lru'])
    await expect(openFleetRedis({ url: evicting.url })).rejects.toMatchObject({
      code: 'CAESURA_E_REDIS',
      message: expect.stringContaining('allkeys-lru'),
    })
  })

  it('is refused when it is too old, and its password is not told', async () => {
    const old = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (data) => {
        const info = 'redis_version:5.0.14\r\nredis_mode:standalone\r\nloading:0\r\n'
        for (const _ of data.toString().matchAll(/\*\d/g)) socket.write(`$${info.length}\r\n${info}\r\n`)
      })
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => old.once('listening', resolve))
    const { port } = old.address() as { port: number }
    const refused = openFleetRedis({ url: `redis://user:secret@127.0.0.1:${port}` })
    await expect(refused).rejects.toMatchObject({
      code: 'CAESURA_E_REDIS',
      message: expect.stringMatching(/too old|can't be used/),
    })
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('secret') })
    old.close()
  })
})

describe('a Redis that goes away', () => {
  it('keeps nobody from going on: the call in flight ends, and all of it is written when Redis is back', async () => {
    const client = await fleet.client()
    await fleet.pipelines()
    await fleet.node({ name: 'n1', script: { tokens: Array(60).fill('w '), firstTokenMs: 5, tokenMs: 10 } })
    const { runId } = await client.submit(pipeline, { input: 'i' })
    for await (const event of client.events(runId)) if (event.type === 'token') break
    await redis.restart()
    await client.ended(runId)
    const { record } = await client.read(runId)
    expect(record).toMatchObject({ outcome: 'completed', output: 'w '.repeat(60) })
    let told = ''
    for await (const event of client.events(runId)) {
      if (event.type === 'output-withdraw') told = ''
      if (event.type === 'token') told += event.text
    }
    expect(told).toBe('w '.repeat(60))
  })
})

describe('a Redis that comes back with less than it had', () => {
  const script = { tokens: Array(60).fill('w '), firstTokenMs: 5, tokenMs: 10 }

  it('takes a run back to that moment, from where it goes on', async () => {
    const client = await fleet.client()
    await fleet.pipelines()
    await fleet.node({ name: 'n1', script })
    const { runId } = await client.submit(pipeline, { input: 'i' })
    let tokens = 0
    for await (const event of client.events(runId)) if (event.type === 'token' && ++tokens === 40) break
    await redis.restart(15_000)
    await client.ended(runId)
    const { record } = await client.read(runId)
    expect(record).toMatchObject({ outcome: 'completed', output: 'w '.repeat(60) })
    let told = ''
    for await (const event of client.events(runId)) {
      if (event.type === 'output-withdraw') told = ''
      if (event.type === 'token') told += event.text
    }
    expect(told).toBe('w '.repeat(60))
    // Nothing is tried again and again.
    expect(fleet.warned.length).toBeLessThan(10)
  }, 60_000)

  it('has its readers hear that a run is lost, and keeps no worker from others', async () => {
    const client = await fleet.client()
    const { client: raw, keys } = client.redis
    await fleet.pipelines()
    await fleet.node({ name: 'n1', script })
    const { runId } = await client.submit(pipeline, { input: 'i' })
    const reading = (async () => {
      for await (const event of client.events(runId)) {
        if (event.type !== 'token') continue
        const lost = [keys.run(runId), keys.events(runId), keys.readers(runId), keys.signals(runId)]
        await raw.del(...lost, keys.call(runId, 'only.1'), keys.news(runId, 'only.1'))
      }
    })()
    await expect(reading).rejects.toMatchObject({ code: 'CAESURA_E_RUN_UNKNOWN' })
    const other = await client.submit(pipeline, { input: 'other' })
    await client.ended(other.runId)
    expect((await client.read(other.runId)).record).toMatchObject({ outcome: 'completed' })
    expect(await raw.exists(keys.run(runId), keys.call(runId, 'only.1'), keys.news(runId, 'only.1'))).toBe(0)
    await until(async () => (await raw.zscore(keys.live, runId)) === null)
    expect(fleet.warned.filter((line) => line.includes(runId))).toHaveLength(1)
  }, 60_000)
})
