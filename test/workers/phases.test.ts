import { afterAll, describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { fleetForTest, TestFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'
import { withRedis } from '../fixtures/with-redis.ts'
import { endServers, faultsOf, observe, type RunWith } from '../phases/observe.ts'
import { scenarios } from '../phases/scenario.ts'

const redis = withRedis()
afterAll(endServers)

let nodes = 0

/** Over a fleet of its own. */
const runOnFleet: RunWith = async (backend, pipeline, input) => {
  const fleet = new TestFleet(redis)
  try {
    await fleet.node({ name: `n-${++nodes}`, backend })
    await fleet.pipelines()
    const client = await fleet.client()
    const { runId } = await client.submit(pipeline, { input })
    await client.ended(runId)
    return (await client.read(runId)).record!
  } finally {
    await fleet.close()
  }
}

describe('the phases of a call that a worker of a fleet makes', () => {
  const names = [
    'nothing in particular',
    'a queue behind the load',
    'a long prefill',
    'a slow way back',
    'a proxy that buffers the answer',
    'a clock at half speed',
    'thinking before the text',
  ]
  const some = scenarios.filter(({ wire, name }) => wire === 'ollama' && names.includes(name))

  it('are looked at in these ways', () => expect(some).toHaveLength(names.length))

  it.for(some.map((scenario) => [scenario.name, scenario] as const))('%s', { retry: 2 }, async ([, scenario]) => {
    const observed = await observe(scenario, runOnFleet)
    expect(faultsOf(observed, scenario), JSON.stringify(observed.phases)).toEqual([])
    expect(observed.call.process?.service).toBe('caesura-stages')
  })

  it('begin where the owner of the run took the signal; the record also has when it was sent', async () => {
    const fleet = fleetForTest(redis)
    await fleet.node({ name: `n-${++nodes}`, script: { tokens: Array(500).fill('w '), tokenMs: 10 } })
    await fleet.pipelines()
    const client = await fleet.client()
    const pipeline = definePipeline({
      name: 'p',
      stages: [{ id: 'a', model: 'scripted', prompt: 'x', policy: { response: 'abort' } }],
    })
    const { runId } = await client.submit(pipeline, { input: 'x' })
    await until(async () => (await client.read(runId)).seq > 3)
    expect(await client.interrupt(runId, { input: 'y' })).toMatchObject({ accepted: true })
    await client.cancel(runId)
    await client.ended(runId)
    const { interrupts } = (await client.read(runId)).record!
    expect(interrupts).toHaveLength(1)
    expect(interrupts[0]!.firstSignalAt).toBeLessThan(interrupts[0]!.at)
    expect(interrupts[0]!.firstSignalAt).toBeGreaterThan(0)
  })
})
