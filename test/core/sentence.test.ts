import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SentenceScanner } from '../../src/core/sentence.ts'

const count = (pieces: string[]) => {
  const scanner = new SentenceScanner()
  return pieces.map((piece) => scanner.feed(piece))
}

describe('sentence ends in a stream', () => {
  it('are told when the next sentence begins', () => {
    expect(count(['One', ' two', '.', ' Three', '.', ' '])).toEqual([0, 0, 0, 1, 0, 0])
    expect(count(['It costs 3', '.', '50', ' now', '.', ' Yes'])).toEqual([0, 0, 0, 0, 0, 1])
    expect(count(['A! B? C. D'])).toEqual([3])
  })

  it('do not depend on where a text is cut into pieces', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom(
            'Fill it. ',
            'Really?! ',
            '3.5 cups ',
            'He said "no." ',
            'and ',
            '文です。',
            'e.g. this ',
            '\n',
          ),
        ),
        fc.array(fc.nat(12)),
        (parts, cuts) => {
          const text = parts.join('')
          const pieces: string[] = []
          let from = 0
          for (const cut of cuts) {
            pieces.push(text.slice(from, from + cut))
            from += cut
          }
          pieces.push(text.slice(from))
          const sum = (counts: number[]) => counts.reduce((a, b) => a + b, 0)
          expect(sum(count(pieces))).toBe(sum(count([text])))
        },
      ),
    )
  })
})
