import { z } from 'zod'
import type { Catalogue } from '../../src/core/catalogue.ts'
import { countSchema, durationSchema } from '../../src/core/duration.ts'
import type { TriggerDefinition } from '../../src/core/policy.ts'
import { backends } from '../../src/nodes/backends/kinds/catalogue.ts'
import { steps } from '../../src/steps/catalogue.ts'

const trigger = (name: string, parameter?: z.ZodType, parameterHint?: string): TriggerDefinition => ({
  name,
  summary: `Interrupts by ${name}.`,
  ...(parameter && { parameter }),
  ...(parameterHint !== undefined && { parameterHint }),
  initial: () => null,
  step: (state) => ({ state }),
})
const named = (...names: string[]) => names.map((name) => ({ name, summary: `Is ${name}.` }))

/** A catalogue with one of each form that a factor can have; the parsers must work with any. */
export const catalogue: Catalogue = {
  steps,
  backends,
  triggers: [
    trigger('signal'),
    trigger('after', durationSchema, 'D: a duration'),
    trigger('tokens', countSchema, 'N: a number of tokens'),
    trigger('any', undefined, '[..]: a list of triggers'),
    trigger('never'),
  ],
  responses: [
    { name: 'drain', summary: 'Lets it finish.', start: () => [] },
    { name: 'abort', summary: 'Cancels.', start: () => [] },
    { name: 'grace', summary: 'Waits.', parameter: durationSchema, parameterHint: 'D', start: () => [] },
    {
      name: 'boundary',
      summary: 'Finishes.',
      parameter: z.strictObject({ cap: durationSchema }).default({ cap: 500 }),
      start: () => [],
    },
  ],
  carries: named('none', 'all', 'sentences').map((carry) => ({ ...carry, keep: () => '' })),
  warms: named('off', 'load'),
  placements: named('any', 'same', 'other'),
  thens: [...named('next', 'again', 'end'), { name: 'stage', summary: 'To it.', parameterHint: "a stage's id" }],
  presets: [
    { name: 'cut-in', summary: 'Cuts.', policy: { response: 'abort', carry: 'sentences' } },
    { name: 'start-over', summary: 'Again.', policy: { response: 'abort', then: 'again' } },
  ],
}
