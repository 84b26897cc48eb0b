import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { harmless } from '../../src/cli/screen.ts'
import { visible, visibleLines } from '../../src/core/unsafe-text.ts'
import { textLine } from '../../src/logging/text-line.ts'
import { printable } from '../../src/pages/html.ts'

/** Every character that a terminal or a page could obey. */
const unsafe = [
  ...Array.from({ length: 32 }, (_, code) => code),
  ...Array.from({ length: 33 }, (_, index) => 0x7f + index),
  ...[0x061c, 0x200e, 0x200f, 0x2028, 0x2029, 0xd800, 0xdfff],
  ...[0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069],
].map((code) => String.fromCharCode(code))

describe('text from outside', () => {
  it.each([
    ['an error', (text: string) => visible(text), ''],
    ['an error of several lines', (text: string) => visibleLines(text), '\n'],
    ['a screen', (text: string) => harmless(text), '\n'],
    ['a log', (text: string) => textLine(JSON.stringify({ msg: text })).slice(0, -1), ''],
    ['a page', (text: string) => printable(text), '\n\t'],
  ])('loses on %s what could be obeyed, in one and the same sense, and nothing else', (_, shown, kept) => {
    for (const character of unsafe) {
      const text = shown(`a${character}b`)
      for (const bad of unsafe)
        if (!kept.includes(bad)) expect(text.includes(bad), JSON.stringify([character, bad])).toBe(false)
    }
    const words = fc.string({ unit: fc.constantFrom('a', 'é', '漢', 'ש', 'ع', '😀', '-', '(', 'Z') })
    fc.assert(
      fc.property(words, (text) => {
        expect(shown(text)).toBe(text)
      }),
    )
  })

  it('is written as a program would write it', () => {
    expect(visible('a\n\t\u001b[1m\u202e\ud800')).toBe('a\\n\\t\\u001b[1m\\u202e\\ud800')
  })
})
