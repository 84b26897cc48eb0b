import { definePipeline } from '../../src/compose.ts'
import type { Pipeline } from '../../src/core/pipeline.ts'

const policies = [
  { trigger: 'signal', response: 'abort', carry: 'all' },
  { trigger: 'signal', response: 'drain', carry: 'all' },
  { trigger: { tokens: 8 }, response: 'abort', carry: 'sentences' },
  { trigger: { after: 120 }, response: 'overlap', carry: 'all' },
  { trigger: 'never', response: 'drain', carry: 'all' },
]

/** Runs whose every text is known beforehand. */
export const ordinary: readonly Pipeline[] = policies.map((policy, index) =>
  definePipeline({
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

/** The stage whose model talks as fast as it can. */
export const FLOOD = 'flood'
export const floodTokens: readonly string[] = Array.from({ length: 6000 }, (_, index) => `w${index} `)
export const flood = definePipeline({ name: FLOOD, stages: [{ id: FLOOD, model: 'scripted', prompt: '{{ input }}' }] })

/** A prompt that would hold a worker up for many seconds: it is refused instead. */
export const poison = definePipeline({
  name: 'poison',
  stages: [
    {
      id: 'draft',
      model: 'scripted',
      prompt: '{{ input | escape | escape | escape | escape | escape | escape | newline_to_br }}',
    },
  ],
})
export const poisonInput = '<&">'.repeat(100_000)

export const pipelines: ReadonlyMap<string, Pipeline> = new Map(
  [...ordinary, flood, poison].map((each) => [each.name, each]),
)
