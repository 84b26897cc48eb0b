import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { SentenceScanner } from '../../src/core/sentence.ts'

const count = (pieces: string[]) => {
  const scanner = new SentenceScanner()
  return pieces.map((piece) => scanner.feed(piece))
}

const segmenter = new Intl.Segmenter('und', { granularity: 'sentence' })
/** As the scanner, but it forgets nothing of a sentence, and looks at each piece. */
function countSlowly(pieces: readonly string[]): number[] {
  let sentence = ''
  return pieces.map((piece) => {
    const segments = [...segmenter.segment(sentence + piece)]
    sentence = segments.at(-1)?.segment ?? ''
    return Math.max(0, segments.length - 1)
  })
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

  it('are those that are found by who forgets nothing, at the same piece', () => {
    const atoms = [
      '.',
      '.',
      'a',
      'B',
      '7',
      ' ',
      '!',
      '\n',
      '"',
      ')',
      ',',
      '(',
      '…',
      '。',
      '文',
      '🫖',
      'é',
      'e.g',
      'U.S',
      'x.ts',
      '3.5',
    ]
    const piece = fc.array(fc.constantFrom(...atoms), { maxLength: 4 }).map((parts) => parts.join(''))
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        expect(count(pieces)).toEqual(countSlowly(pieces))
      }),
      { numRuns: 2_000 },
    )
  })

  it('are none in a long chain of full stops', () => {
    for (const piece of ['U.S.', 'A.', 'a.b', 'e.g. a', '.', '. ']) {
      const ends = count(Array(500).fill(piece)).reduce((sum, each) => sum + each, 0)
      expect(ends, piece).toBe(0)
    }
  })

  it('are looked for only where a piece can end one', () => {
    const segment = vi.spyOn(Intl.Segmenter.prototype, 'segment')
    try {
      count(Array(1_000).fill('a.b'))
      expect(segment).not.toHaveBeenCalled()
      count(['a', '.', 'b', 'c'])
      expect(segment).toHaveBeenCalledTimes(2)
      // What was passed over is not looked at later either.
      segment.mockClear()
      count([...Array(10_000).fill('a.b'), '. ', 'C'])
      expect(Math.max(...segment.mock.calls.map(([text]) => text.length))).toBeLessThan(2_000)
    } finally {
      segment.mockRestore()
    }
  })
})
