import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'

const carry = (name: string) => catalogue.carries.find((candidate) => candidate.name === name)!
const keep = (name: string, text: string, delivered = text, complete = false) =>
  carry(name).keep({ text, delivered, heard: delivered.slice(0, 1), complete })

describe('carry', () => {
  it('keeps a prefix of the text, whatever the text is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), fc.boolean(), (text, cut, complete) => {
        const delivered = text.slice(0, cut % (text.length + 1))
        for (const { keep } of catalogue.carries)
          expect(text.startsWith(keep({ text, delivered, heard: delivered.slice(0, 1), complete }))).toBe(true)
      }),
    )
  })

  it('none, all, delivered, heard', () => {
    const names = ['none', 'all', 'delivered', 'heard']
    expect(names.map((name) => keep(name, 'a b c', 'a b'))).toEqual(['', 'a b c', 'a b', 'a'])
  })

  it.each([
    ['One. Two thr', 'One.'],
    ['One. Two.', 'One. Two.'],
    ['One. Two.  ', 'One. Two.'],
    ['No end', ''],
    ['It costs 3.', ''],
    ['It costs 3.50 now. And', 'It costs 3.50 now.'],
    ['He said "no." Then', 'He said "no."'],
    ['Really?! Ye', 'Really?!'],
    ['これは文です。次の', 'これは文です。'],
    ['', ''],
  ])('sentences of %j', (text, kept) => expect(keep('sentences', text)).toBe(kept))

  it('valid: all of a whole answer, and nothing of one that was cut', () => {
    expect([keep('valid', '{"a":1}', '', true), keep('valid', '{"a":1')]).toEqual(['{"a":1}', ''])
  })

  it('sentences: a call that ended by itself keeps its whole text', () => {
    expect(keep('sentences', 'no end', 'no', true)).toBe('no end')
  })
})
