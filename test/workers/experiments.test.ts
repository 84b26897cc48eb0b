import { describe, expect, it } from 'vitest'
import { createEngine, definePipeline } from '../../src/app/compose.ts'
import { assign } from '../../src/core/assignment.ts'
import { COUNTING } from '../../src/core/counting.ts'
import type { RunEvent } from '../../src/core/event.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'
import { withRedis } from '../fixtures/with-redis.ts'
import { ask, problemIn, testApi } from '../server/api-fixture.ts'

const pipeline = definePipeline({
  name: 'two',
  stages: [
    { id: 'draft', model: 'scripted', prompt: 'draft {{ input }}', policy: { response: 'drain' } },
    { id: 'refine', model: 'scripted', prompt: 'refine {{ draft.output }}|{{ interrupt.input }}' },
  ],
  experiment: { name: 'x', arms: [{ name: 'drain' }, { name: 'abort', policy: { response: 'abort' } }] },
})
const armOf = (session: string) => assign(pipeline, { runId: 'r', session }).experiment!.arm
const sessions = Array.from({ length: 6 }, (_, index) => `session-${index}`)
const script = ({ stage }: { stage: string }) =>
  stage === 'draft'
    ? { tokens: Array(30).fill('d '), firstTokenMs: 20, tokenMs: 10, abortMs: 2 }
    : { tokens: ['r0 ', 'r1'], firstTokenMs: 10, tokenMs: 5 }

const redis = withRedis()
const fleet = withFleet({ redis })

describe('an experiment on the traffic of a fleet', () => {
  it('gives a session the same arm from every process, and runs its policies', async () => {
    const [one, other] = [await fleet.client(), await fleet.client()]
    await fleet.node({ name: 'n1', slots: 4 })
    await fleet.pipelines()
    expect(new Set(sessions.map(armOf)).size).toBe(2)
    await Promise.all(
      sessions.flatMap((session) =>
        [one, other].map(async (client) => {
          const { runId } = await client.submit(pipeline, { input: 'i', session, signals: [{ afterTokens: 1 }] })
          await client.ended(runId)
          const { record } = await client.read(runId)
          const arm = armOf(session)
          expect(record!.experiment).toMatchObject({ name: 'x', arm, session })
          expect(record!.interrupts[0]!.response).toBe(arm)
          expect(record!.experiment!.exposedMs).toBe(record!.interrupts[0]!.at)
        }),
      ),
    )
  })

  it('gives a run that is submitted again the arm that it had', async () => {
    const client = await fleet.client()
    await fleet.node({ name: 'n1' })
    await fleet.pipelines()
    const submit = () => client.submit(pipeline, { input: 'i', runId: 'again' })
    expect([(await submit()).isNew, (await submit()).isNew]).toEqual([true, false])
    await client.ended('again')
    expect((await client.read('again')).record!.experiment).toEqual({
      name: 'x',
      arm: armOf('again'),
      session: 'again',
      counting: COUNTING,
    })
  })

  it('exposes a run once, however often it changes hands', async () => {
    const client = await fleet.client()
    await fleet.node({ name: 'n1', script })
    let owner = await fleet.pipelines()
    const session = sessions.find((each) => armOf(each) === 'drain')!
    const { runId } = await client.submit(pipeline, { input: 'i', session, signals: [{ afterTokens: 8 }] })
    const events: RunEvent[] = []
    const reading = (async () => {
      for await (const event of client.events(runId)) events.push(event)
    })()
    for (const more of [2, 6, 4, 4, 8]) {
      const seen = events.length
      const latest = performance.now() + 150
      await until(() => events.length >= seen + more || performance.now() > latest)
      const next = await fleet.pipelines()
      await owner.close()
      owner = next
    }
    await client.interrupt(runId, { input: 'another' })
    await reading
    const { record } = await client.read(runId)
    const told = events.filter((event) => event.type === 'experiment-exposure')
    expect(told).toMatchObject([{ interrupt: 1, experiment: { name: 'x', arm: 'drain' } }])
    expect(record!.experiment!.exposedMs).toBe(record!.interrupts[0]!.at)
    expect(record!.owners!.length).toBeGreaterThan(2)
  })

  it('is stopped in Redis for every process, keeps the arm of a run under way, and goes on as it was', async () => {
    const [client, other] = [await fleet.client(), await fleet.client()]
    await fleet.node({ name: 'n1', slots: 2, script })
    await fleet.pipelines()
    const armIn = async (submitter: typeof client, runId: string) => {
      await submitter.submit(pipeline, { input: 'i', session: 's', runId })
      await client.ended(runId)
      return (await client.read(runId)).record!.experiment?.arm
    }
    await client.submit(pipeline, { input: 'i', session: 's', runId: 'under-way' })
    expect([await client.stopExperiment('x'), await other.stopExperiment('x')]).toEqual([true, false])
    expect(await other.stoppedExperiments()).toEqual(['x'])
    expect(await armIn(other, 'stopped')).toBeUndefined()
    await client.ended('under-way')
    expect((await client.read('under-way')).record!.experiment?.arm).toBe(armOf('s'))
    expect([await other.resumeExperiment('x'), await client.resumeExperiment('x')]).toEqual([true, false])
    expect(await armIn(client, 'resumed')).toBe(armOf('s'))
  })

  it('is that of an engine’s sessions and of the API’s too', async () => {
    await fleet.node({ name: 'n1', slots: 2 })
    await fleet.pipelines()
    await using engine = createEngine({ redis: redis.url })
    const { experiment } = await engine.start(pipeline, { input: 'i', session: 's' }).result
    expect(experiment).toEqual({ name: 'x', arm: armOf('s'), session: 's', counting: COUNTING })

    const api = await testApi(redis.url, { pipelines: new Map([['two', pipeline]]) })
    try {
      const post = (body: object) => ask(`${api.url}/v1/runs`, { body: { pipeline: 'two', input: 'i', ...body } })
      const { runId } = (await post({ session: 's' })).body as { runId: string }
      const client = await fleet.client()
      await client.ended(runId)
      expect((await client.read(runId)).record!.experiment).toEqual({
        name: 'x',
        arm: armOf('s'),
        session: 's',
        counting: COUNTING,
      })
      const forced = (await post({ experiment: { name: 'x', arm: 'abort' } })).body as { runId: string }
      await client.ended(forced.runId)
      expect((await client.read(forced.runId)).record!.experiment).toMatchObject({
        arm: 'abort',
        session: forced.runId,
      })
      const wrong = await post({ experiment: { name: 'x', arm: 'nope' } })
      expect([wrong.status, problemIn(wrong).code]).toEqual([400, 'CAESURA_E_EXPERIMENT'])
      expect((await post({ session: '' })).status).toBe(400)
    } finally {
      await api.close()
    }
  })
})
