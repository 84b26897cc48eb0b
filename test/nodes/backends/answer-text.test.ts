import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StopFilter, TokenText } from '../../../src/nodes/backends/answer-text.ts'

/** A vocabulary of one byte a token. */
const bytes = (tokens: readonly number[]) => new TextDecoder().decode(Uint8Array.from(tokens))

describe('text of tokens', () => {
  it('holds half a character until it is complete', () => {
    const text = new TokenText(bytes)
    const [a, b] = new TextEncoder().encode('é')
    expect(text.push(a!)).toBe('')
    expect(text.push(b!)).toBe('é')
  })

  it('makes up the whole text, without a broken character, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (whole) => {
        const text = new TokenText(bytes)
        const pieces = [...new TextEncoder().encode(whole)].map((token) => text.push(token))
        expect(pieces.join('')).toBe(whole)
        for (const piece of pieces) expect(Buffer.from(piece).toString()).toBe(piece)
      }),
    )
  })

  it('goes on after bytes that are no text', () => {
    const text = new TokenText(bytes)
    const pieces = [0xff, 0xff, 0xff, 0xff, 0x61, 0x62].map((token) => text.push(token))
    expect(pieces.join('')).toMatch(/^\uFFFD+ab$/)
  })

  it('shows the detokenizer the last three tokens in front', () => {
    const seen: number[][] = []
    const text = new TokenText<number>(
      (tokens, before) => {
        seen.push([...before])
        return tokens.join()
      },
      [1, 2, 3, 4],
    )
    for (const token of [5, 6]) text.push(token)
    expect(seen).toEqual([
      [2, 3, 4],
      [3, 4, 5],
    ])
  })
})

describe('stop sequences', () => {
  const read = (stops: readonly string[], pieces: readonly string[]) => {
    const filter = new StopFilter(stops)
    let text = ''
    for (const piece of pieces) {
      const { text: free, stopped } = filter.push(piece)
      text += free
      if (stopped) return { text, stopped }
    }
    return { text: text + filter.end(), stopped: false }
  }

  it('never reach the text, however they are cut into pieces', () => {
    expect(read(['\n\nUser:'], ['Hello', '.\n', '\nUs', 'er', ': more'])).toEqual({ text: 'Hello.', stopped: true })
  })

  it('the first one in the text counts', () => {
    expect(read(['later', 'b'], ['a', 'b later'])).toEqual({ text: 'a', stopped: true })
  })

  it('what only began like one is passed on', () => {
    expect(read(['<end>'], ['a <e', 'lse>'])).toEqual({ text: 'a <else>', stopped: false })
    expect(read(['<end>'], ['a <en'])).toEqual({ text: 'a <en', stopped: false })
  })

  it('agree with a search in the whole text', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 4 })
    fc.assert(
      fc.property(fc.array(letters), fc.array(letters, { maxLength: 3 }), (pieces, stops) => {
        const whole = pieces.join('')
        const found = stops.filter((stop) => stop !== '').map((stop) => [whole.indexOf(stop), stop] as const)
        const hits = found.filter(([at]) => at !== -1)
        // A filter sees pieces, so of two stop sequences it finds the one that is complete first.
        const first = Math.min(...hits.map(([at, stop]) => at + stop.length))
        const result = read(stops, pieces)
        expect(result.stopped).toBe(hits.length > 0)
        if (hits.length === 0) expect(result.text).toBe(whole)
        else {
          expect(whole.startsWith(result.text)).toBe(true)
          expect(result.text.length).toBeLessThan(first)
          for (const [, stop] of hits) expect(result.text).not.toContain(stop)
        }
      }),
    )
  })
})
