import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import type {
  CarryName,
  PlacementParameters,
  PresetName,
  ResponseParameters,
  StagePolicyInput,
  TriggerParameters,
  WarmName,
} from '../../src/app/pipeline-input.ts'
import { definePipeline, extendCatalogue, type PipelineInput } from '../../src/index.ts'

const sorted = (definitions: readonly { readonly name: string }[]) => definitions.map(({ name }) => name).sort()
/** The compiler holds the keys to the type. */
const keysOf = <N extends string>(names: Record<N, true>) => Object.keys(names).sort()

describe('the types of a pipeline', () => {
  it('have the names of the catalogue', () => {
    const triggers: Record<keyof TriggerParameters | 'any', true> = {
      ...{ signal: true, after: true, tokens: true, 'first-token': true, sentence: true, stall: true },
      thinking: true,
      ...{ any: true, never: true },
    }
    const responses: Record<keyof ResponseParameters, true> = {
      ...{ drain: true, abort: true, overlap: true, race: true, grace: true, boundary: true, hold: true },
      adaptive: true,
    }
    const presets: Record<PresetName, true> = {
      ...{ 'cut-in': true, 'let-finish': true, 'talk-over': true, 'finish-sentence': true, thrifty: true },
      ...{ 'barge-in': true, 'minimum-words': true, preemptive: true, enqueue: true, reject: true, interrupt: true },
      rollback: true,
    }
    expect(keysOf(triggers)).toEqual(sorted(catalogue.triggers))
    expect(keysOf(responses)).toEqual(sorted(catalogue.responses))
    const carries = { none: true, all: true, sentences: true, delivered: true, heard: true, valid: true } as const
    expect(keysOf<CarryName>(carries)).toEqual(sorted(catalogue.carries))
    expect(keysOf<WarmName>({ off: true, load: true, prefix: true })).toEqual(sorted(catalogue.warms))
    expect(keysOf<keyof PlacementParameters>({ any: true, same: true, other: true })).toEqual(
      sorted(catalogue.placements),
    )
    expect(keysOf(presets)).toEqual(sorted(catalogue.presets))
  })

  it.each<StagePolicyInput<'a' | 'b'>>([
    'cut-in',
    { preset: 'cut-in', carry: 'all' },
    { trigger: 'signal', response: 'drain', warm: 'load', placement: { same: { otherwise: 'any' } } },
    { trigger: { signal: null, debounce: '200ms', minimum: { words: 3 } }, response: { hold: { confirm: 600 } } },
    { trigger: { any: [{ tokens: 40 }, 'first-token', { any: [{ after: '2s' }] }], signals: 'ignore' } },
    { response: { grace: '1.5s' }, then: 'b' },
    { response: { boundary: { cap: 500 } }, then: 'again', limit: 2 },
    { response: 'race' },
    { response: { race: null } },
  ])('let through what a pipeline takes: %j', (policy) => {
    const written: PipelineInput<'a' | 'b'> = {
      name: 'p',
      stages: [
        { id: 'a', model: 'm', prompt: '{{ input }}{{ interrupt.input }}', policy },
        { id: 'b', model: 'm', prompt: 'y', options: { stop: ['.'] }, fallback: ['n'] },
      ],
    }
    expect(definePipeline(written).stages).toHaveLength(2)
  })

  it('take a pipeline as a constant, and names of an own catalogue', () => {
    const written = {
      name: 'p',
      stages: [{ id: 'a', model: 'm', prompt: 'x', options: { stop: ['.'] }, policy: { response: 'stop' } }],
    } as const
    const own = extendCatalogue({ responses: [{ name: 'stop', summary: 's', start: () => [] }] })
    expect(definePipeline(written, { catalogue: own }).stages[0]?.policy.response).toEqual({ name: 'stop' })
  })
})
