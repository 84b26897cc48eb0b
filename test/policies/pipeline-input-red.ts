import { definePipeline } from '../../src/index.ts'

// Compiled by `npm run types`, never run: each line beneath a mark must be red.
const a = { id: 'a', model: 'm', prompt: 'x' } as const
const b = { id: 'b', model: 'm', prompt: 'y' } as const
export const red = () => [
  // @ts-expect-error a preset that is none
  definePipeline({ name: 'p', stages: [{ ...a, policy: 'cut-im' }, b] }),
  // @ts-expect-error a response that is none
  definePipeline({ name: 'p', stages: [{ ...a, policy: { response: 'dran' } }, b] }),
  // @ts-expect-error a key that is none
  definePipeline({ name: 'p', stages: [{ ...a, policy: { respond: 'drain' } }, b] }),
  // @ts-expect-error a response that needs its parameter
  definePipeline({ name: 'p', stages: [{ ...a, policy: { response: 'grace' } }, b] }),
  // @ts-expect-error a parameter of another response
  definePipeline({ name: 'p', stages: [{ ...a, policy: { response: { grace: { cap: 5 } } } }, b] }),
  // @ts-expect-error two responses
  definePipeline({ name: 'p', stages: [{ ...a, policy: { response: { grace: 5, boundary: null } } }, b] }),
  // @ts-expect-error a duration of no unit
  definePipeline({ name: 'p', stages: [{ ...a, policy: { trigger: { after: '5 hours' } } }, b] }),
  // @ts-expect-error two triggers without `any`
  definePipeline({ name: 'p', stages: [{ ...a, policy: { trigger: { tokens: 1, after: 5 } } }, b] }),
  // @ts-expect-error a filter that is none
  definePipeline({ name: 'p', stages: [{ ...a, policy: { trigger: { tokens: 1, debounc: 5 } } }, b] }),
  // @ts-expect-error a carry that is none
  definePipeline({ name: 'p', stages: [{ ...a, policy: { carry: 'sentence' } }, b] }),
  // @ts-expect-error a stage that is not there
  definePipeline({ name: 'p', stages: [{ ...a, policy: { then: 'c' } }, b] }),
  // @ts-expect-error a key of a stage that is none
  definePipeline({ name: 'p', stages: [{ id: 'a', model: 'm', promt: 'x' }] }),
  definePipeline({
    name: 'p',
    stages: [a, b],
    experiment: {
      name: 'e',
      metrics: [],
      // @ts-expect-error an arm of a stage that is not there
      arms: [{ name: 'x' }, { name: 'y', stage: 'c', policy: 'cut-in' }],
    },
  }),
]
