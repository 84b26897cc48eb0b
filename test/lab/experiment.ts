import type { Experiment } from '../../src/core/experiment.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'

export const pipelineWith = (response: string, model = 'm') =>
  pipelineFrom({
    name: 'two',
    stages: [
      { id: 'first', model, prompt: '{{ input }}', policy: { trigger: 'signal', response, carry: 'all' } },
      { id: 'second', model, prompt: '{{ input }} {{ first.output }}' },
    ],
  })

/** An experiment of two arms with every default filled in; `own` takes the place of some of it. */
export const experimentOf = (own: Partial<Experiment> = {}): Experiment => ({
  name: 'trial-run',
  arms: [
    { name: 'drain', policy: 'signal, drain, all', pipeline: pipelineWith('drain') },
    { name: 'abort', policy: 'signal, abort, all', pipeline: pipelineWith('abort') },
  ],
  baseline: 'drain',
  aa: false,
  workload: {
    prompts: ['one', 'two', 'three'],
    interrupts: { kind: 'list', atMs: [5, 10, 15] },
    interruptInput: 'other',
    vars: {},
  },
  sessions: 6,
  turns: 1,
  blocks: own.sessions ?? 6,
  seed: 1,
  warmUp: 1,
  washoutMs: 0,
  nonce: false,
  load: { kind: 'closed', users: 1, thinkMs: 0 },
  metrics: [{ metric: 'interruptToFirstTokenMs', statistics: ['p50'] }],
  budget: {},
  ...own,
})
