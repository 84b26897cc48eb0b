import { afterEach, describe, expect, it } from 'vitest'
import { kill, startVictim, type Victim } from '../../scripts/chaos/processes.ts'
import { definePipeline } from '../../src/app/compose.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { withRedis } from '../fixtures/with-redis.ts'

const pipeline = definePipeline({
  name: 'one',
  stages: [{ id: 'draft', model: 'scripted', prompt: 'draft {{ input }}', policy: { trigger: 'never' } }],
})

const redis = withRedis()
const fleet = withFleet({ redis })
const victims: Victim[] = []
afterEach(async () => {
  await fleet.close()
  for (const victim of victims.splice(0)) await kill(victim)
})

/** A run whose call is in the hands of a process of its own, the only one of its pool; and that process. */
async function underWay() {
  const victim: Victim = { kind: 'stages', name: 'alone', id: undefined, child: undefined }
  victims.push(victim)
  await startVictim(victim, redis.url)
  await fleet.pipelines()
  const client = await fleet.client()
  const { runId } = await client.submit(pipeline, { input: 'i' })
  for await (const event of client.events(runId)) if (event.type === 'token') break
  return { victim, client, runId }
}

describe('a call whose worker is killed, and whose queue nobody else serves', () => {
  it('is lost, and made by a node of another pool', async () => {
    const { victim, client, runId } = await underWay()
    await kill(victim)
    await fleet.node({ name: 'elsewhere', pool: 'other' })
    await client.ended(runId)
    expect((await client.read(runId)).record).toMatchObject({
      outcome: 'completed',
      output: 'a b',
      stages: [
        { node: 'alone', settlement: 'failed', error: { code: 'CAESURA_E_WORKER_LOST' } },
        { node: 'elsewhere', settlement: 'completed' },
      ],
    })
  })

  it('keeps no run from being cancelled', async () => {
    const { victim, client, runId } = await underWay()
    await kill(victim)
    expect(await client.cancel(runId, 'enough')).toBe(true)
    await client.ended(runId)
    expect((await client.read(runId)).record).toMatchObject({ outcome: 'cancelled', cancelReason: 'enough' })
  })
})
