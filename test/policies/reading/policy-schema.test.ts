import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { policySchema, readPolicy } from '../../../src/policies/reading/policy-schema.ts'
import { catalogue } from '../../core/catalogue.ts'

const read = (value: unknown) => {
  const result = readPolicy(catalogue, value)
  if ('problems' in result) throw new Error(JSON.stringify(result.problems))
  return result.value
}
const problems = (value: unknown) => {
  const result = readPolicy(catalogue, value)
  return 'problems' in result ? result.problems : []
}
const defaults = {
  trigger: { name: 'signal', signals: 'heed' },
  response: { name: 'abort' },
  carry: 'all',
  warm: 'off',
  placement: 'any',
}

describe('a policy', () => {
  it('has defaults for every factor but then', () => {
    expect(read({})).toEqual(defaults)
  })

  it('can be a preset, and a preset can be refined', () => {
    expect(read('cut-in')).toEqual({ ...defaults, preset: 'cut-in', carry: 'sentences' })
    expect(read({ preset: 'cut-in', carry: 'none', response: 'drain' })).toEqual({
      ...defaults,
      preset: 'cut-in',
      carry: 'none',
      response: { name: 'drain' },
    })
  })

  it('takes factors with parameters, as names and as mappings', () => {
    expect(read({ trigger: { tokens: 12 }, response: { grace: '300ms' }, then: 'refine' })).toEqual({
      ...defaults,
      trigger: { name: 'tokens', parameter: 12, signals: 'heed' },
      response: { name: 'grace', parameter: 300 },
      then: 'refine',
    })
    expect(read({ trigger: { after: '100ms', signals: 'ignore' } }).trigger).toEqual({
      name: 'after',
      parameter: 100,
      signals: 'ignore',
    })
    expect(read({ trigger: { never: null, signals: 'ignore' } }).trigger).toEqual({ name: 'never', signals: 'ignore' })
    expect(read({ response: 'boundary' }).response).toEqual({ name: 'boundary', parameter: { cap: 500 } })
  })

  it('makes factors of the members of any', () => {
    expect(
      read({ trigger: { any: [{ tokens: 12 }, { after: '1s' }, { any: ['signal'] }], signals: 'ignore' } }).trigger,
    ).toEqual({
      name: 'any',
      signals: 'ignore',
      parameter: [
        { name: 'tokens', parameter: 12 },
        { name: 'after', parameter: 1000 },
        { name: 'any', parameter: [{ name: 'signal' }] },
      ],
    })
  })

  it.each([
    ['an unknown preset', 'cut-inn', [], 'is not a known policy', 'cut-in'],
    ['an unknown key', { respons: 'drain' }, ['respons'], 'is not a known key', 'response'],
    ['an unknown response', { response: 'abrot' }, ['response'], 'is not a known response', 'abort'],
    ['an unknown trigger as key', { trigger: { tokns: 3 } }, ['trigger', 'tokns'], 'is not a known trigger', 'tokens'],
    ['an unknown carry', { carry: 'sentence' }, ['carry'], 'is not a known carry', 'sentences'],
    [
      'a wrong signals',
      { trigger: { tokens: 1, signals: 'no' } },
      ['trigger', 'signals'],
      'is not a known choice',
      'ignore',
    ],
    ['a placement of a wrong type', { placement: 3 }, ['placement'], 'is not a known placement', 'same'],
    ['nothing as a trigger', { trigger: null }, ['trigger'], 'is not a known trigger', 'signal'],
    ['an empty mapping', { trigger: {} }, ['trigger'], 'names no trigger', 'after'],
  ])('refuses %s, with the names that are allowed', (_, value, path, message, name) => {
    expect(problems(value)).toEqual([expect.objectContaining({ path, message })])
    expect(problems(value)[0]!.params.allowed).toContain(name)
  })

  it.each([
    ['a factor without its parameter', { trigger: 'tokens' }, ['trigger'], 'needs a parameter'],
    ['a parameter where none is taken', { response: { drain: 3 } }, ['response', 'drain'], 'takes no parameter'],
    ['two triggers', { trigger: { tokens: 1, after: 2 } }, ['trigger'], 'names more than one trigger'],
    ['an empty any', { trigger: { any: [] } }, ['trigger', 'any'], 'must be a list of 1 to 16 triggers'],
    [
      'a wrong member of any',
      { trigger: { any: [{ tokens: 0 }] } },
      ['trigger', 'any', 0, 'tokens'],
      'must be a whole number from 1 to 1,000,000',
    ],
    [
      'signals inside any',
      { trigger: { any: [{ tokens: 1, signals: 'ignore' }] } },
      ['trigger', 'any', 0, 'signals'],
      'stands inside the list',
    ],
    ['a negative duration', { response: { grace: -1 } }, ['response', 'grace'], 'is negative'],
    ['then to nowhere', { then: 3 }, ['then'], 'is not a known place to go'],
    ['a list', [], [], 'is not a policy'],
  ])('refuses %s', (_, value, path, message) => {
    expect(problems(value)).toEqual([
      expect.objectContaining({ path, message, params: expect.objectContaining({ expected: expect.any(String) }) }),
    ])
  })

  it('says so when a response stands where a policy is meant', () => {
    expect(problems('drain')[0]!.params.hint).toBe('`drain` is a response: write `policy: { response: drain }`.')
  })

  it('refuses any in any without end', () => {
    let trigger: unknown = 'signal'
    for (let depth = 0; depth < 20; depth++) trigger = { any: [trigger] }
    expect(problems({ trigger })).toEqual([expect.objectContaining({ message: 'is nested too deeply' })])
  })

  it('never throws, whatever it is given', () => {
    const names = fc.constantFrom(
      'trigger',
      'response',
      'carry',
      'any',
      'signals',
      'then',
      'preset',
      'tokens',
      '__proto__',
    )
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.anything(),
        names,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(names, tie('tree')),
      ),
    }))
    fc.assert(
      fc.property(tree, (value) => {
        const result = readPolicy(catalogue, value)
        expect('value' in result || result.problems.length > 0).toBe(true)
      }),
    )
  })

  it('has a JSON Schema that lists every name', () => {
    const text = JSON.stringify(z.toJSONSchema(policySchema(catalogue), { io: 'input' }))
    for (const name of ['cut-in', 'tokens', 'grace', 'boundary', 'sentences', 'load', 'other', 'again']) {
      expect(text).toContain(`"${name}"`)
    }
  })
})
