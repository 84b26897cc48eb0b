import { beforeAll, describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { pause } from '../fixtures/until.ts'

const fleet = withFleet({ per: 'file' })
beforeAll(async () => {
  await fleet.pipelines()
  const long = { tokens: Array(200).fill('w '), firstTokenMs: 1, tokenMs: 10 }
  const short = { tokens: ['w'], firstTokenMs: 5 }
  await fleet.node({ name: 'n', slots: 4, script: ({ stage }) => (stage === 'short' ? short : long) })
})

describe('a cancel or a signal', () => {
  const pipeline = definePipeline({
    name: 'one',
    stages: [
      {
        id: 'only',
        model: 'scripted',
        prompt: '{{ input }}',
        policy: { trigger: 'signal', response: 'abort', then: 'end' },
      },
    ],
  })

  // Before the run has an owner, while one takes it up, while its call waits or begins: messages and answers cross.
  it('is heeded at whatever moment of a run’s beginning it comes', async () => {
    const client = await fleet.client()
    const outcomes: unknown[] = []
    const each = async (index: number) => {
      await pause(index * 3)
      const { runId } = await client.submit(pipeline, { input: 'i' })
      if (index % 5 > 0) await pause(Math.random() * 15)
      const asked = index % 2 === 0 ? client.cancel(runId, 'enough') : client.interrupt(runId)
      await client.ended(runId)
      await asked
      const { record } = await client.read(runId)
      const heeded = index % 2 === 0 ? record?.outcome === 'cancelled' : record?.interrupts.length === 1
      if (!heeded) outcomes.push({ index, outcome: record?.outcome, error: record?.error, stages: record?.stages })
    }
    await Promise.all(Array.from({ length: 300 }, (_, index) => each(index)))
    expect(outcomes).toEqual([])
  }, 60_000)

  // The owner has written the end, or is about to, when it hears of the signal: it can write no answer any more.
  it('is answered at whatever moment of a run’s end it comes', async () => {
    const client = await fleet.client()
    const short = definePipeline({ name: 'short', stages: [{ id: 'short', model: 'scripted', prompt: '{{ input }}' }] })
    const answers = new Set<boolean>()
    for (let round = 0; round < 40; round++) {
      const { runId } = await client.submit(short, { input: 'i' })
      const asked = Array.from({ length: 12 }, async (_, index) => {
        await pause(index * 2)
        return client.interrupt(runId)
      })
      for (const { accepted } of await Promise.all(asked)) answers.add(accepted)
    }
    expect(answers).toContain(false)
  })
})
