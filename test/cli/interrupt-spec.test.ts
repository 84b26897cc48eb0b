import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { interruptGrammar, parseInterruptSpec } from '../../src/cli/interrupt-spec.ts'

describe('parseInterruptSpec', () => {
  it.each([
    ['100ms', { afterMs: 100 }],
    ['100', { afterMs: 100 }],
    ['0', { afterMs: 0 }],
    ['1.5s', { afterMs: 1500 }],
    ['100ms:I have no vinegar.', { afterMs: 100, input: 'I have no vinegar.' }],
    ['tokens=12', { afterTokens: 12 }],
    ['tokens=12:TEXT', { afterTokens: 12, input: 'TEXT' }],
    ['stage=refine,100ms:TEXT', { stage: 'refine', afterMs: 100, input: 'TEXT' }],
    ['stage=refine, tokens=5:TEXT', { stage: 'refine', afterTokens: 5, input: 'TEXT' }],
    ['stage=refine,tokens=5', { stage: 'refine', afterTokens: 5 }],
    ['1s:At 10:30, stage=x, tokens=3: ok', { afterMs: 1000, input: 'At 10:30, stage=x, tokens=3: ok' }],
  ])('reads %s', (spec, signal) => {
    expect(parseInterruptSpec(spec)).toEqual(signal)
  })

  it('keeps any text after the first colon as it is', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => text.trim() !== ''),
        (text) => {
          expect(parseInterruptSpec(`stage=a,tokens=3:${text}`)).toEqual({ stage: 'a', afterTokens: 3, input: text })
        },
      ),
    )
  })

  it.each([
    '',
    ':TEXT',
    '100ms:',
    '100ms:  ',
    'soon',
    '-5ms',
    'NaN',
    'Infinity',
    '25h',
    '90000000',
    '1e3',
    'tokens=',
    'tokens=0',
    'tokens=-1',
    'tokens=1.5',
    'tokens=9999999',
    'tokens=twelve',
    'tokens=12,',
    'stage=,100ms',
    'stage=refine',
    'refine,100ms',
    'stage=a,stage=b,100ms',
    '100ms,stage=a',
  ])('refuses "%s" with the grammar', (spec) => {
    expect(() => parseInterruptSpec(spec)).toThrow(
      expect.objectContaining({
        code: 'CAESURA_E_USAGE',
        exitCode: 2,
        place: { received: spec, expected: interruptGrammar },
      }),
    )
  })
})
