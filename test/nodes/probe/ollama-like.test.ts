import { describe, expect, it } from 'vitest'
import { ollamaBackend } from '../../../src/nodes/backends/ollama.ts'
import { probeNode } from '../../../src/nodes/probe/probe.ts'
import { startOllamaLike } from '../../servers/ollama-like.ts'

/** Words are read in a third of a millisecond each, to their end; tokens come every 4 ms. */
const wordsOf = (text = '') => text.split(/\s+/).length

describe('probeNode over real sockets', () => {
  it.each([1, 2])('sees a server with %d slots that stops a decode and no prefill', async (slots) => {
    const server = await startOllamaLike({
      slots,
      version: '0.24.0',
      script: ({ body }) => ({ firstTokenMs: 10 + wordsOf(body.messages?.at(-1)?.content) / 3, intervalMs: 4 }),
    })
    const backend = ollamaBackend({ url: server.url })
    try {
      const result = await probeNode(
        { name: 'like', backend, slots, pool: 'default' },
        { model: 'm', repetitions: 3, budgetMs: 30_000 },
      )
      expect(result).toMatchObject({
        server: { kind: 'ollama', version: '0.24.0' },
        slots,
        prefillStops: 'never',
        prefixReuse: false,
        witness: 'call',
        slotFreeAfterAbortMs: { decode: { n: 3 }, prefill: { n: 3 }, queue: { n: expect.any(Number) } },
      })
      expect(result.stopped).toBeUndefined()
      const { decode, prefill } = result.slotFreeAfterAbortMs
      expect(decode!.p50).toBeLessThan(prefill!.p50)
      // Nothing is left on the server: it has seen the end of every call.
      await server.until(({ requests }) =>
        requests.every(({ finishedAt, abandonedAt }) => (finishedAt ?? abandonedAt) !== undefined),
      )
    } finally {
      await backend.close()
      await server.close()
    }
  })
})
