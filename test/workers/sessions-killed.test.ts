import { expect, it } from 'vitest'
import { FleetClient } from '../../src/workers/fleet-client.ts'
import { processesForTest } from '../fixtures/fleet-processes.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { until } from '../fixtures/until.ts'

it('keeps every input once and in order while the processes that host its runs are killed', async () => {
  const fleet = await processesForTest()
  await fleet.scripted('n1', 6, 10, '--slots', '2')
  const hosts = [await fleet.worker('pipelines'), await fleet.worker('pipelines')]
  const client = await FleetClient.open({ url: fleet.redis.url })
  try {
    const pipeline = pipelineFrom({
      name: 'chat',
      history: { turns: 100 },
      maxInterrupts: 100,
      stages: [
        {
          id: 'answer',
          model: 'm',
          prompt: '{{ input }}',
          policy: { trigger: { signal: null, minimum: { words: 2 } }, response: { hold: { confirm: 20 } } },
        },
      ],
    })
    const said: string[] = []
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 6; index++) {
        const input = `${said.length}${index % 3 === 0 ? '' : ' and more'}`
        said.push(input)
        await client.say(pipeline, { input, session: 's' })
      }
      hosts.shift()!.child.kill('SIGKILL')
      hosts.push(await fleet.worker('pipelines'))
    }
    const turns = async () => (await client.session('s'))?.turns ?? []
    await until(async () => {
      const all = await turns()
      return all.length >= said.length && all.every(({ end }) => end !== undefined)
    }, 60_000)
    expect((await turns()).map(({ input }) => input)).toEqual(said)
    expect((await client.list({ status: 'live' })).runs).toEqual([])
  } finally {
    await client.close()
  }
}, 90_000)
