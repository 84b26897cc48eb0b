import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { Refusals, refusalOf } from '../../src/workers/refusals.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { pause, until } from '../fixtures/until.ts'
import { withRedis } from '../fixtures/with-redis.ts'

const two = definePipeline({
  name: 'two',
  stages: [
    { id: 'a', model: 'm', prompt: '{{ input }}' },
    { id: 'b', model: 'm', prompt: '{{ a.output }}' },
  ],
})
const script = { tokens: Array.from({ length: 30 }, (_, index) => `${index} `), tokenMs: 10 }
const whole = script.tokens.join('')

const redis = withRedis()
const fleet = withFleet({ redis })
let raw: Redis
beforeAll(() => {
  raw = new Redis(redis.url)
})
afterAll(() => raw.disconnect())

/** How a Redis is made to refuse writes, and to take them again. */
const ways: Record<string, { on: [string, ...string[]]; off: [string, ...string[]] }> = {
  OOM: { on: ['config', 'set', 'maxmemory', '1mb'], off: ['config', 'set', 'maxmemory', '0'] },
  READONLY: { on: ['replicaof', '127.0.0.1', '1'], off: ['replicaof', 'no', 'one'] },
  NOREPLICAS: {
    on: ['config', 'set', 'min-replicas-to-write', '1'],
    off: ['config', 'set', 'min-replicas-to-write', '0'],
  },
}

describe('a Redis that refuses writes for a while', () => {
  for (const [name, { on, off }] of Object.entries(ways)) {
    it(`costs runs nothing but time, and is told once: ${name}`, async () => {
      await fleet.node({ name: 'n1', slots: 4, script })
      await fleet.pipelines()
      const client = await fleet.client()
      const ids = await Promise.all([1, 2, 3, 4].map(() => client.submit(two, { input: 'i' })))
      for await (const event of client.events(ids[0]!.runId)) if (event.type === 'token') break
      await raw.call(...on)
      await until(() => fleet.warned.some((line) => line.startsWith('Redis refuses writes')))
      // Long enough that what was refused is tried again and again.
      await pause(700)
      await raw.call(...off)
      for (const { runId } of ids) {
        await client.ended(runId)
        const { record } = await client.read(runId)
        expect(record).toMatchObject({ outcome: 'completed', output: whole })
        expect(record!.stages.map(({ text }) => text)).toEqual([whole, whole])
        let told = ''
        for await (const event of client.events(runId)) {
          if (event.type === 'token' && event.stage === 'b') told += event.text
        }
        expect(told).toBe(whole)
      }
      await until(() => fleet.logged.some((line) => line.startsWith('Redis takes writes again')))
      // Once by the stage worker, once by the pipeline worker, where it wrote meanwhile.
      const warned = fleet.warned.filter((line) => line.startsWith('Redis refuses writes'))
      expect(warned.length).toBeGreaterThan(0)
      expect(warned.length).toBeLessThanOrEqual(2)
      expect(warned[0]).toContain(`(${name})`)
    })
  }
})

describe('what Redis says', () => {
  it('is a refusal where it may take the command later', () => {
    const texts = {
      OOM: "OOM command not allowed when used memory > 'maxmemory'. script: 5e, on @user_script:12.",
      READONLY:
        "ERR Error running script (call to f_1): @user_script:5: -READONLY You can't write against a read only replica.",
      LOADING: 'LOADING Redis is loading the dataset in memory',
      BUSY: 'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.',
      MISCONF: 'MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.',
      NOREPLICAS: 'NOREPLICAS Not enough good replicas to write.',
      NOPERM: "NOPERM this user has no permissions to run the 'xadd' command",
      MASTERDOWN: "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    }
    for (const [name, text] of Object.entries(texts)) expect(refusalOf(new Error(text))).toBe(name)
    expect(refusalOf(new Error('WRONGTYPE Operation against a key holding the wrong kind of value'))).toBeUndefined()
    expect(refusalOf(undefined)).toBeUndefined()
  })

  it('is waited for, told once at its beginning and its end, and thrown for anything else', async () => {
    const refusals = new Refusals()
    const told: string[] = []
    const counted: string[] = []
    refusals.listen({
      refused: (name) => counted.push(name),
      began: (name) => told.push(name),
      ended: () => told.push('over'),
    })
    let tries = 0
    const work = async () => {
      tries += 1
      if (tries < 4) throw new Error('LOADING Redis is loading the dataset in memory')
      return 'done'
    }
    expect(await refusals.waitOut(work)).toBe('done')
    expect(told).toEqual(['LOADING'])
    expect(counted).toEqual(['LOADING', 'LOADING', 'LOADING'])
    await until(async () => {
      await refusals.waitOut(work)
      return told.length > 1
    })
    expect(told).toEqual(['LOADING', 'over'])
    await expect(refusals.waitOut(() => Promise.reject(new Error('WRONGTYPE x')))).rejects.toThrow('WRONGTYPE')
    refusals.close()
    await expect(refusals.waitOut(() => Promise.reject(new Error('LOADING x')))).rejects.toThrow('LOADING')
  })
})
