import type { Pipeline } from '../../src/core/pipeline.ts'
import { pipelineFrom } from '../../test/fixtures/pipeline.ts'

const policies = [
  { trigger: 'signal', response: 'abort', carry: 'all' },
  { trigger: 'signal', response: 'drain', carry: 'all' },
  { trigger: { tokens: 8 }, response: 'abort', carry: 'sentences' },
  { trigger: { after: 120 }, response: 'overlap', carry: 'all' },
  { trigger: 'never', response: 'drain', carry: 'all' },
]

/** Runs whose every text is known beforehand. */
export const ordinary: readonly Pipeline[] = policies.map((policy, index) =>
  pipelineFrom({
    name: `ordinary-${index}`,
    stages: [
      { id: 'draft', model: 'scripted', prompt: 'draft {{ input }}', policy: { ...policy, then: 'next' } },
      {
        id: 'refine',
        model: 'scripted',
        prompt: 'refine {{ input }} | {{ draft.output }} | {{ interrupt.input }}',
        policy: { trigger: { never: null, signals: 'ignore' } },
      },
    ],
  }),
)
