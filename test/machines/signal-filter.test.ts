import { describe, expect, it } from 'vitest'
import { refusalOf } from '../../src/machines/signal-filter.ts'

const signals = 'heed' as const

describe('what a filter counts in an input', () => {
  it('is only what the policy asks for, and no more of it', () => {
    let read = 0
    const input = new Proxy(Object('a b c d'), {
      get: (text, key) => {
        read += 1
        const value = Reflect.get(text, key)
        return typeof value === 'function' ? value.bind(text) : value
      },
    }) as unknown as string
    expect(refusalOf({ signals }, 'a')).toBeUndefined()
    expect(refusalOf({ signals, cooldown: 5 }, input)).toBeUndefined()
    // It is trimmed, and nothing else is looked at.
    expect(read).toBeLessThanOrEqual(1)
  })

  it('is as many as there are, up to the least', () => {
    expect(refusalOf({ signals, minimum: { words: 3 } }, ' Oh, no! ')).toBe('2 words, and the policy wants 3 or more')
    expect(refusalOf({ signals, minimum: { words: 3 } }, '漢字とかな')).toBeUndefined()
    expect(refusalOf({ signals, minimum: { characters: 3 } }, ' 😀😀 ')).toBe(
      '2 characters, and the policy wants 3 or more',
    )
    expect(refusalOf({ signals, minimum: { characters: 2 } }, '😀😀')).toBeUndefined()
    expect(refusalOf({ signals, minimum: { words: 1, characters: 50 } }, 'word')).toMatch(/^4 characters/)
  })

  it('is looked for at the beginning: words behind a million marks are none', () => {
    expect(refusalOf({ signals, minimum: { words: 1 } }, `${'.'.repeat(1_000_000)} word`)).toMatch(/^0 words/)
    expect(refusalOf({ signals, minimum: { words: 2 } }, `two words${'.'.repeat(1_000_000)}`)).toBeUndefined()
  })
})
