import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { loadPipeline } from '../../src/cli/load-pipeline.ts'

const file = fileURLToPath(new URL('../../examples/chat-experiment.yaml', import.meta.url))

it('a policy of the command line takes the place of an experiment too: no arm may put another one there', async () => {
  expect((await loadPipeline(file)).experiment?.name).toBe('cut-in-2026-11')
  const { experiment, stages } = await loadPipeline(file, 'let-finish')
  expect(experiment).toBeUndefined()
  expect(stages[0]!.policy.preset).toBe('let-finish')
})
