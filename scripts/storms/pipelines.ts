import { definePipeline } from '../../src/app/compose.ts'
import type { Pipeline } from '../../src/core/pipeline.ts'
import { ordinary } from '../chaos/pipelines.ts'

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
