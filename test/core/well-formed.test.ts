import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { beginningOf, WellFormedPieces } from '../../src/core/well-formed.ts'

const unit = fc.constantFrom('a', 'é', '文', '🫖', '👩‍👧', '\ud83d', '\ude00', '\udbff', '\udc00', ' ')
const text = fc.array(unit, { maxLength: 30 }).map((parts) => parts.join(''))

/** A text in pieces that may end inside a character, or be empty. */
const cut = fc.tuple(text, fc.array(fc.nat(3))).map(([whole, lengths]) => {
  const pieces: string[] = []
  let from = 0
  for (const length of lengths) {
    pieces.push(whole.slice(from, from + length))
    from += length
  }
  return [...pieces, whole.slice(from)]
})

describe('pieces of a text', () => {
  it('are well-formed, and together the whole text made well-formed', () => {
    fc.assert(
      fc.property(cut, (pieces) => {
        const joiner = new WellFormedPieces()
        const said = [...pieces.map((piece) => joiner.push(piece)), joiner.end()]
        expect(said.every((piece) => piece.isWellFormed())).toBe(true)
        expect(said.join('')).toBe(pieces.join('').toWellFormed())
      }),
    )
  })

  it('hold back half of a character, and nothing else', () => {
    const joiner = new WellFormedPieces()
    expect(['a\ud83d', '\ude00b', '\ud83d', '\ude00', '\ud83d', 'c', '\ude00'].map((p) => joiner.push(p))).toEqual([
      'a',
      '😀b',
      '',
      '😀',
      '',
      '\uFFFDc',
      '\uFFFD',
    ])
    expect(joiner.end()).toBe('')
    joiner.push('\ud83d')
    expect(joiner.end()).toBe('\uFFFD')
    expect(joiner.end()).toBe('')
  })
})

it('the beginning of a text is well-formed, no longer than asked, and cuts no character in two', () => {
  expect(beginningOf('a😀b', 2)).toBe('a')
  expect(beginningOf('a😀b', 3)).toBe('a😀')
  expect(beginningOf('a😀b', 99)).toBe('a😀b')
  expect(beginningOf('😀', 0)).toBe('')
  fc.assert(
    fc.property(text, fc.nat(40), (whole, longest) => {
      const beginning = beginningOf(whole, longest)
      expect(beginning.isWellFormed()).toBe(true)
      expect(whole.toWellFormed().startsWith(beginning)).toBe(true)
      expect(beginning.length).toBeGreaterThanOrEqual(Math.min(whole.length, longest) - 1)
      expect(beginning.length).toBeLessThanOrEqual(longest)
    }),
  )
})
