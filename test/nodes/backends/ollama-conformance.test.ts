import { ollamaBackend } from '../../../src/nodes/backends/ollama.ts'
import { describeBackend } from '../../conformance/backend.ts'
import { startOllamaLike } from '../../servers/ollama-like.ts'

describeBackend('ollama, on a server that answers like it,', {
  async make() {
    const server = await startOllamaLike({ models: ['demo'], script: { firstTokenMs: 20, intervalMs: 2 } })
    return {
      backend: ollamaBackend({ url: server.url }),
      model: 'demo',
      leftOpen: () => server.connections,
      teardown: () => server.close(),
    }
  },
  prompts: ['one', 'two', 'three', 'four', 'five'].map((content) => [{ role: 'user', content }]),
  options: { temperature: 0, seed: 7, maxTokens: 24 },
  marks: ['connect-start', 'connected', 'request-sent', 'headers', 'done'],
  missingModel: 'nope:7b',
})
