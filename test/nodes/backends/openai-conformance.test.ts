import { openaiBackend } from '../../../src/nodes/backends/openai.ts'
import { describeBackend } from '../../conformance/backend.ts'
import { startOpenAiLike } from '../../servers/openai-like.ts'

const prompts = ['one', 'two', 'three', 'four', 'five'].map((content) => [{ role: 'user' as const, content }])
const options = { temperature: 0, seed: 7, maxTokens: 24 }
const marks = ['connect-start', 'connected', 'request-sent', 'headers', 'done'] as const

describeBackend('openai, on a server that answers like one,', {
  async make() {
    const server = await startOpenAiLike({ models: ['demo'], script: { firstTokenMs: 20, intervalMs: 2 } })
    return {
      backend: openaiBackend({ url: server.url }),
      model: 'demo',
      leftOpen: () => server.connections,
      teardown: () => server.close(),
    }
  },
  prompts,
  options,
  marks,
  missingModel: 'nope:7b',
})

describeBackend('openai, with a witness of the slot,', {
  async make() {
    const server = await startOpenAiLike({
      models: ['demo'],
      script: { firstTokenMs: 20, intervalMs: 2 },
      slots: { count: 16, releaseMs: 10 },
    })
    return {
      backend: openaiBackend({ url: server.url, witness: 'slots' }),
      model: 'demo',
      leftOpen: () => server.connections,
      teardown: () => server.close(),
    }
  },
  prompts,
  options,
  slots: 16,
  calls: 64,
  marks,
  cancelMarks: ['closed', 'slot-free'],
})
