import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import type { Backend } from '../../src/core/ports.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { withFleet } from '../fixtures/fleet.ts'

const fleet = withFleet()

const two = definePipeline({
  name: 'two',
  stages: [
    { id: 'a', model: 'small', prompt: '{{ input }}' },
    { id: 'b', model: 'large', prompt: '{{ a.output }}' },
  ],
})

/** A server that has these models now, and refuses calls for others as Ollama does. */
function serverWith(models: string[]): Backend {
  const { takesAnyModel: _, ...backend } = scriptedBackend({ tokens: ['x ', 'y'], firstTokenMs: 3, tokenMs: 2 })
  return {
    ...backend,
    models: async () => models.map((name) => ({ name })),
    generate: async (request, context) =>
      models.includes(request.model) || models.includes(`${request.model}:latest`)
        ? backend.generate(request, context)
        : { end: 'failed', retryable: false, error: { code: 'CAESURA_E_NO_MODEL', message: `no ${request.model}` } },
  }
}

async function run(count: number): Promise<string[]> {
  const client = await fleet.client()
  const ids = await Promise.all(Array.from({ length: count }, () => client.submit(two, { input: 'i' })))
  return Promise.all(
    ids.map(async ({ runId }) => {
      await client.ended(runId)
      const { record } = await client.read(runId)
      return `${record?.outcome} ${record?.error?.code ?? ''}`.trim()
    }),
  )
}
const allRight = (count: number) => Array.from({ length: count }, () => 'completed')

describe('a pool of nodes with different models', () => {
  it('has each call made where its model is', async () => {
    await fleet.node({ name: 'n1', slots: 2, backend: serverWith(['small:latest']) })
    await fleet.node({ name: 'n2', slots: 2, backend: serverWith(['large']) })
    await fleet.pipelines()
    expect(await run(40)).toEqual(allRight(40))
  })

  it('goes on right while a node comes and one goes', async () => {
    const first = await fleet.node({ name: 'n1', slots: 2, backend: serverWith(['small', 'large']) })
    await fleet.pipelines()
    const ended = run(40)
    await fleet.node({ name: 'n2', slots: 4, backend: serverWith(['large']) })
    await fleet.node({ name: 'n3', slots: 4, backend: serverWith(['small']) })
    await first.close()
    expect(await ended).toEqual(allRight(40))
  })

  it('notices a model that is removed, and makes the call where it still is', async () => {
    const models = ['small', 'large']
    await fleet.node({ name: 'n1', slots: 4, backend: serverWith(models) })
    await fleet.node({ name: 'n2', slots: 1, backend: serverWith(['large']) })
    await fleet.pipelines()
    models.pop()
    expect(await run(6)).toEqual(allRight(6))
  })
})
