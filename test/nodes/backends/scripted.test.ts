import { scriptedBackend } from '../../../src/nodes/backends/scripted.ts'
import { describeBackend } from '../../conformance/backend.ts'

describeBackend('the scripted backend', {
  make: async () => ({
    backend: scriptedBackend(({ messages }) => ({
      tokens: messages.at(-1)!.content.split(/(?= )/),
      firstTokenMs: 20,
      tokenMs: 5,
    })),
    model: 'scripted',
  }),
  prompts: [
    'one two three four five six seven eight',
    'un deux trois quatre cinq six sept',
    'ein zwei drei vier fünf sechs',
  ].map((content) => [{ role: 'user' as const, content }]),
  options: {},
  marks: ['prefill-start', 'prefill-end', 'done', 'closed'],
})
