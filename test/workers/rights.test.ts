import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openFleetRedis } from '../../src/workers/redis.ts'
import { rightsNeeded } from '../../src/workers/rights.ts'
import { fleetForTest } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'
import { withRedis } from '../fixtures/with-redis.ts'
import { ask, eventsOf, startRun, testApi } from '../server/api-fixture.ts'

const PASSWORD = 'a-password-of-a-test'
const RIGHTS = rightsNeeded('{caesura}')

const redis = withRedis()
let admin: Redis
let url: string
const grant = (...rules: string[]) => admin.call('ACL', 'SETUSER', 'fleet', 'reset', 'on', `>${PASSWORD}`, ...rules)
beforeAll(() => {
  admin = new Redis(redis.url)
  url = `redis://fleet:${PASSWORD}@127.0.0.1:${redis.port}`
})
afterAll(() => admin.disconnect())

describe('a Redis user', () => {
  it('serves a whole fleet with exactly the rights of the page', async () => {
    const page = readFileSync(new URL('../../docs/fleet.md', import.meta.url), 'utf8')
    const line = /^ACL SETUSER caesura on '>PASSWORD' (.*)$/m.exec(page)?.[1]?.replaceAll("'", '')
    expect(line).toBe(RIGHTS)
    await grant(...line!.split(' '))
    await admin.call('ACL', 'LOG', 'RESET')
    const fleet = fleetForTest({ url })
    const first = await fleet.pipelines()
    const script = { tokens: Array.from({ length: 40 }, () => 'w '), firstTokenMs: 5, tokenMs: 10 }
    const node = await fleet.node({ name: 'n1', slots: 2, script })
    await fleet.node({ name: 'n2', pool: 'other', settings: { rate: { calls: 100, ms: 1000 } } })
    const api = await testApi(url)
    const runs = (path = '') => `${api.url}/v1/runs${path}`
    const recordOf = async (runId: string) => {
      const read = async () => (await ask(runs(`/${runId}`))).body as { schema?: string; outcome?: string }
      await until(async () => (await read()).schema !== undefined)
      return read()
    }

    const interrupted = await startRun(api, { tenant: 'a', priority: 3 })
    const events = await fetch(runs(`/${interrupted}/events`))
    await eventsOf(events, ({ type }) => type === 'token')
    expect(await ask(runs(`/${interrupted}/interrupts`), { body: { input: 'now' } })).toMatchObject({ status: 200 })
    const cancelled = await startRun(api)
    await until(async () => ((await ask(runs(`/${cancelled}`))).body as { seq: number }).seq > 2)
    expect((await ask(runs(`/${cancelled}`), { method: 'DELETE' })).status).toBe(202)
    // Handed over, and with more that wait than there are slots.
    const more = await Promise.all(Array.from({ length: 6 }, () => startRun(api, { tenant: 'b' })))
    await fleet.pipelines()
    await first.close()
    expect(await recordOf(interrupted)).toMatchObject({ outcome: 'completed', interrupts: [{ input: 'now' }] })
    expect(await recordOf(cancelled)).toMatchObject({ outcome: 'cancelled' })
    for (const runId of more) expect(await recordOf(runId)).toMatchObject({ outcome: 'completed' })
    expect((await ask(runs('?tenant=b&outcome=completed'))).body).toMatchObject({ runs: { length: 6 } })
    expect((await ask(`${api.url}/v1/nodes`)).body).toMatchObject({ nodes: [{ name: 'n1' }, { name: 'n2' }] })
    expect((await ask(`${api.url}/metrics`)).body).toContain('caesura_redis_up 1')
    const client = await fleet.client()
    await client.stopExperiment('e')
    await client.resumeExperiment('e')
    await node.close()
    await api.close()
    await fleet.close()
    expect(await admin.call('ACL', 'LOG')).toEqual([])
  }, 60_000)

  it('that lacks one is refused at the start, with its name and the whole list', async () => {
    const commands = RIGHTS.split(' ').filter((word) => word.startsWith('+'))
    for (const right of commands.filter((_, index) => index % 4 === 0 || index > commands.length - 9)) {
      // A connection names itself at its start, and goes on where it may not.
      if (right === '+client|setname') continue
      await grant(...RIGHTS.split(' '), right.replace('+', '-'))
      await expect(openFleetRedis({ url }), right).rejects.toMatchObject({
        code: 'CAESURA_E_REDIS',
        message: expect.stringContaining(`(${right.slice(1)})`),
        place: { hint: expect.stringContaining(RIGHTS) },
      })
    }
  }, 60_000)

  it('that may use other keys only is refused at the start', async () => {
    await grant(...rightsNeeded('{other}').split(' '))
    await expect(openFleetRedis({ url })).rejects.toMatchObject({ message: expect.stringContaining('xadd') })
    await expect(openFleetRedis({ url, prefix: '{other}' }).then(({ close }) => close())).resolves.toBeUndefined()
  })

  it.each([
    ['with another password', 'fleet:another-secret@'],
    ['that there is not', 'nobody:another-secret@'],
  ])('%s is told as such, and no password is', async (_, who) => {
    await grant(...RIGHTS.split(' '))
    const refused = openFleetRedis({ url: `redis://${who}127.0.0.1:${redis.port}` })
    await expect(refused).rejects.toMatchObject({
      code: 'CAESURA_E_REDIS',
      message: `Redis refuses the user or the password: redis://127.0.0.1:${redis.port}`,
    })
    await expect(refused).rejects.not.toMatchObject({ place: { hint: expect.stringContaining('secret') } })
  })

  it('without a password where one is asked for is told as such', async () => {
    await admin.config('SET', 'requirepass', PASSWORD)
    await expect(openFleetRedis({ url: redis.url })).rejects.toMatchObject({
      code: 'CAESURA_E_REDIS',
      message: `Redis asks for a password, and there is none: ${redis.url}`,
    })
    await admin.config('SET', 'requirepass', '')
  })
})
