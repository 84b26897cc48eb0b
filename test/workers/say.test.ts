import { expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { withFleet } from '../fixtures/fleet.ts'

const fleet = withFleet()

it('a fixed text is said by the process that hosts the run: no node is asked, and none need be there', async () => {
  await fleet.pipelines()
  const client = await fleet.client()
  const pipeline = definePipeline({ name: 'only', stages: [{ id: 'a', say: 'hello {{ input }}' }] })
  const { runId } = await client.submit(pipeline, { input: 'you' })
  await client.ended(runId)
  const { record } = await client.read(runId)
  expect(record).toMatchObject({
    outcome: 'completed',
    output: 'hello you',
    stages: [{ kind: 'say', settlement: 'completed' }],
  })
  const texts: string[] = []
  for await (const event of client.events(runId)) if (event.type === 'token') texts.push(event.text)
  expect(texts).toEqual(['hello you'])
})
