import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { fromOlder } from '../../src/workers/older-versions.ts'
import { FLEET_VERSION } from '../../src/workers/run-spec.ts'
import { TicketQueues } from '../../src/workers/ticket-queues.ts'
import { withFleet } from '../fixtures/fleet.ts'

/**
 * What version 2 of a fleet had in Redis when the owner of a run was killed: its stage `a` had failed once, was made again and
 * interrupted, and ran for the third time.
 */
const kept = JSON.parse(readFileSync(new URL('recorded/version-2.json', import.meta.url), 'utf8')) as Record<
  string,
  Record<string, string> | string[]
>
const runId = 'recorded-2'

const fleet = withFleet()

describe('a run that an older version began', () => {
  it('goes on under this one, with its visits and attempts told apart', async () => {
    const client = await fleet.client()
    const { client: raw, keys } = client.redis
    for (const [key, value] of Object.entries(kept)) {
      if (!Array.isArray(value)) await raw.hset(key, value)
      else
        for (const [index, text] of value.entries())
          await raw.xadd(key, `${index + 1}-0`, key.includes(':events:') ? 'e' : 'd', text)
    }
    await raw.zadd(keys.live, Date.now(), runId)
    await raw.hincrby(keys.tenants, '', 1)
    const tickets = new TicketQueues(client.redis)
    await tickets.addRun(runId, 0, 1)
    await tickets.close()
    await fleet.node({ name: 'n1' })
    await fleet.pipelines()
    await client.ended(runId)
    const { record, dead } = await client.read(runId)
    expect(dead).toBeUndefined()
    expect(record).toMatchObject({ schema: 'caesura.record/2', outcome: 'completed' })
    expect(
      record?.stages.map(({ callId, visit, attempt, settlement }) => [callId, visit, attempt, settlement]),
    ).toEqual([
      ['a.1', 1, 1, 'failed'],
      ['a.2', 1, 2, 'aborted'],
      ['a.3', 2, 1, 'failed'],
      ['a.4', 2, 2, 'completed'],
      ['b.1', 1, 1, 'completed'],
    ])
    expect(record?.visits).toEqual([
      { stage: 'a', visit: 1, from: 'order', calls: ['a.1', 'a.2'] },
      { stage: 'a', visit: 2, from: 'again', calls: ['a.3', 'a.4'] },
      { stage: 'b', visit: 1, from: 'order', calls: ['b.1'] },
    ])
  })

  it.each([null, 5, 'text', [], {}, { version: 1 }, { version: FLEET_VERSION }, { version: FLEET_VERSION + 1 }])(
    'stays as it is where its version is not known: %j',
    (value) => expect(fromOlder(value)).toBe(value),
  )

  it.each([{ version: 2 }, { version: 2, journal: 5 }, { version: 2, journal: { calls: [{}], interrupts: [] } }])(
    'is left to the check of what is read where it is broken: %j',
    (value) => expect(fromOlder(value)).toMatchObject({ version: FLEET_VERSION }),
  )

  it('is as it was, where version 3 kept it: what came since is optional', () => {
    const kept = { version: 3, pipeline: { name: 'p' }, journal: { visits: [] } }
    expect(fromOlder(kept)).toEqual({ ...kept, version: FLEET_VERSION })
  })
})
