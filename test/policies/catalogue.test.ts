import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import { readPolicy } from '../../src/policies/reading/policy-schema.ts'

type Kind = 'triggers' | 'responses' | 'carries' | 'warms' | 'placements' | 'thens'
const find = (kind: Kind, name: string) => catalogue[kind].find((factor) => factor.name === name)!
const names = (factors: readonly { name: string }[]) => factors.map(({ name }) => name).join(' ')

describe('the catalogue', () => {
  it('has these names', () => {
    expect(names(catalogue.triggers)).toBe('signal after tokens first-token sentence stall thinking any never')
    expect(names(catalogue.responses)).toBe('drain abort overlap race grace boundary hold adaptive')
    expect(names(catalogue.carries)).toBe('none all sentences delivered heard valid')
    expect(names(catalogue.warms)).toBe('off load prefix')
    expect(names(catalogue.placements)).toBe('any same other')
    expect(names(catalogue.thens)).toBe('next again start stage end')
  })

  it.each<[Kind, string, [written: unknown, parsed: unknown][], refused: unknown[]]>([
    ['triggers', 'after', [['1s', 1000]], [undefined, -1]],
    ['triggers', 'stall', [['1s', 1000]], [undefined, -1]],
    ['triggers', 'thinking', [['2s', 2000]], [undefined, -1]],
    ['triggers', 'tokens', [[3, 3]], [undefined, 0, 1.5]],
    ['triggers', 'sentence', [[3, 3]], [undefined, 0, 1.5]],
    ['responses', 'grace', [['300ms', 300]], [undefined, '300']],
    [
      'responses',
      'race',
      [
        [undefined, { until: 'first-token' }],
        [{}, { until: 'first-token' }],
        [{ until: 'first-token' }, { until: 'first-token' }],
      ],
      [{ until: '' }, { until: 'end' }, { other: 1 }],
    ],
    [
      'responses',
      'boundary',
      [
        [undefined, { cap: 500 }],
        [{}, { cap: 500 }],
        [{ cap: '1s' }, { cap: 1000 }],
      ],
      [{ cap: -1 }, { other: 1 }],
    ],
    [
      'responses',
      'hold',
      [
        [undefined, { confirm: 600, otherwise: 'resume' }],
        [{ confirm: '1s' }, { confirm: 1000, otherwise: 'resume' }],
        [{ otherwise: 'resume' }, { confirm: 600, otherwise: 'resume' }],
        [{ otherwise: 'abort' }, { confirm: 600, otherwise: 'abort' }],
      ],
      [{ confirm: -1 }, { otherwise: '' }, { other: 1 }],
    ],
    [
      'responses',
      'adaptive',
      [
        [undefined, { slotPrice: 1 }],
        [{ slotPrice: 0 }, { slotPrice: 0 }],
        [{ slotPrice: 1000 }, { slotPrice: 1000 }],
      ],
      [{ slotPrice: -0.1 }, { slotPrice: 1000.1 }, { slotPrice: 'x' }, { other: 1 }],
    ],
    ...['same', 'other'].map((name): [Kind, string, [unknown, unknown][], unknown[]] => [
      'placements',
      name,
      [
        [undefined, undefined],
        [{}, {}],
        [{ otherwise: 'any' }, { otherwise: 'any' }],
      ],
      [{ otherwise: '' }, { otherwise: 'same' }, { other: 1 }, 'any'],
    ]),
  ])('%s %s: its parameter', (kind, name, accepted, refused) => {
    const { parameter } = find(kind, name)
    for (const [written, parsed] of accepted) expect(parameter!.parse(written)).toEqual(parsed)
    for (const written of refused) expect(parameter!.safeParse(written)).toMatchObject({ success: false })
  })
})

describe('presets', () => {
  const read = (name: string) => {
    const policy = readPolicy(catalogue, name)
    if ('problems' in policy) throw new Error(JSON.stringify(policy.problems))
    const { trigger, response, carry, warm, placement, then } = policy.value
    expect([warm, placement, then]).toEqual(['off', 'any', undefined])
    return [trigger, response, carry]
  }
  const signal = { name: 'signal', signals: 'heed' }
  it.each<[string, object, object, string]>([
    ['cut-in', signal, { name: 'abort' }, 'sentences'],
    ['let-finish', signal, { name: 'drain' }, 'all'],
    ['talk-over', signal, { name: 'overlap' }, 'all'],
    ['finish-sentence', signal, { name: 'boundary', parameter: { cap: 500 } }, 'sentences'],
    ['thrifty', signal, { name: 'adaptive', parameter: { slotPrice: 1 } }, 'all'],
    ['barge-in', signal, { name: 'hold', parameter: { confirm: 600, otherwise: 'resume' } }, 'delivered'],
    ['minimum-words', { ...signal, minimum: { words: 3 } }, { name: 'abort' }, 'delivered'],
    ['preemptive', signal, { name: 'race', parameter: { until: 'first-token' } }, 'none'],
    ['enqueue', signal, { name: 'drain' }, 'all'],
    ['reject', { name: 'never', signals: 'ignore' }, { name: 'drain' }, 'all'],
    ['interrupt', signal, { name: 'abort' }, 'all'],
    ['rollback', signal, { name: 'abort' }, 'none'],
  ])('%s', (name, ...factors) => expect(read(name)).toEqual(factors))

  it('each has a row', () => {
    expect(names(catalogue.presets)).toBe(
      'cut-in let-finish talk-over finish-sentence thrifty barge-in minimum-words preemptive enqueue reject interrupt rollback',
    )
  })
})
