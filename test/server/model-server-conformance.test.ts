import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ChatMessage } from '../../src/core/call.ts'
import { ollamaBackend } from '../../src/nodes/backends/ollama.ts'
import { describeBackend } from '../conformance/backend.ts'
import { describeMainJob } from '../conformance/main-job.ts'
import { type ModelServerProcess, startModelServerProcess } from './model-server-process.ts'

const draft = (question: string): ChatMessage[] => [
  { role: 'system', content: 'You answer household questions. Draft a short answer.' },
  { role: 'user', content: question },
]
const things = ['descale my kettle', 'clean a cast iron pan', 'sharpen a kitchen knife', 'water a cactus']
const prompts = things.map((thing) => draft(`How do I ${thing}?`))
const marks = ['connect-start', 'connected', 'request-sent', 'headers', 'done'] as const
const missingModel = 'caesura-not-there:1b'

describeBackend('ollama, on the model server with the bundled model,', {
  async make() {
    const server = await startModelServerProcess('--slots', '2')
    return {
      backend: ollamaBackend({ url: server.url }),
      model: 'caesura-demo-3m:latest',
      teardown: async () => void (await server.stop()),
    }
  },
  prompts,
  options: { temperature: 0, seed: 1, maxTokens: 24 },
  longPrompt: draft(`${'I have a kettle, a pan, a knife and a plant. '.repeat(50)}How do I descale my kettle?`),
  calls: 60,
  marks,
  missingModel,
})

describeBackend('ollama, on the model server with a script,', {
  async make() {
    const times = ['--tokens', '12', '--first-token-ms', '10', '--token-ms', '2']
    const server = await startModelServerProcess(
      '--backend',
      'scripted',
      '--model',
      'gemma3:1b',
      '--slots',
      '8',
      ...times,
    )
    return {
      backend: ollamaBackend({ url: server.url }),
      model: 'gemma3:1b',
      teardown: async () => void (await server.stop()),
    }
  },
  prompts,
  options: {},
  marks,
  missingModel,
})

describe('the model server', () => {
  let server: ModelServerProcess
  const flags: string[] = []
  beforeAll(async () => {
    server = await startModelServerProcess()
    flags.push('--url', server.url)
  })
  afterAll(async () => {
    expect(await server.stop()).toMatchObject({ status: 0, stderr: '' })
  })

  // Without --model: the bundled model is there under the name that stands for the examples' `fast`.
  describeMainJob('a model server', flags)

  it('was there for the main job', () => expect(flags).toHaveLength(2))
})
