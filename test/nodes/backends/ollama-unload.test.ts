import { afterEach, describe, expect, it } from 'vitest'
import type { Backend } from '../../../src/core/ports.ts'
import { ollamaBackend } from '../../../src/nodes/backends/ollama.ts'
import { json, type OllamaLike, startOllamaLike } from '../../servers/ollama-like.ts'

let server: OllamaLike
let backend: Backend
afterEach(async () => {
  await backend.close()
  await server.close()
})

/** A server that lists the model for so many looks after it was told to unload it, and another one for ever. */
async function listsFor(looks: number) {
  let left = looks
  server = await startOllamaLike({
    models: ['m:latest', 'm'],
    routes: {
      '/api/ps': (response) => {
        const names = left-- > 0 ? ['m:latest', 'other:latest'] : ['other:latest']
        json(response, 200, { models: names.map((name) => ({ name })) })
      },
    },
  })
  backend = ollamaBackend({ url: server.url })
}
const asked = (path: string) => server.requests.filter((request) => request.path === path)

describe('unload on Ollama', () => {
  it.each(['m', 'm:latest'])('asks once, and is done when the server lists %s no more', async (model) => {
    await listsFor(3)
    await backend.unload!(model, new AbortController().signal)
    expect(asked('/api/generate').map(({ body }) => body)).toEqual([
      { model, prompt: '', keep_alive: 0, stream: false },
    ])
    expect(asked('/api/ps')).toHaveLength(4)
  })

  it('ends its wait with the reason of the signal', async () => {
    await listsFor(Number.POSITIVE_INFINITY)
    const controller = new AbortController()
    const unloaded = backend.unload!('m', controller.signal)
    await server.until(() => asked('/api/ps').length > 1)
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(unloaded).rejects.toBe(reason)
  })

  it('throws what the server answers, and CAESURA_E_NO_SERVER where none does', async () => {
    await listsFor(0)
    const { signal } = new AbortController()
    await expect(backend.unload!('nope', signal)).rejects.toMatchObject({ code: 'CAESURA_E_NO_MODEL' })
    await server.close()
    await expect(backend.unload!('m', signal)).rejects.toMatchObject({ code: 'CAESURA_E_NO_SERVER' })
  })
})
