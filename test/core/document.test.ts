import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readDocument } from '../../src/core/document.ts'
import { CaesuraError, CaesuraErrors } from '../../src/core/errors.ts'

const errorsOf = (content: string | Uint8Array): CaesuraError[] => {
  try {
    readDocument(content, 'f.yaml')
    return []
  } catch (error) {
    if (error instanceof CaesuraErrors) return error.errors
    if (error instanceof CaesuraError) return [error]
    throw error
  }
}
const bomb = [
  'a: &a [x, x, x, x, x, x, x, x, x]',
  ...[...'bcdefgh'].map((key, index) => `${key}: &${key} [${Array(9).fill(`*${'abcdefg'[index]}`).join(', ')}]`),
].join('\n')

describe('a document', () => {
  it('is YAML or JSON, with or without a byte order mark', () => {
    for (const text of [
      'a: [1, x]',
      '{"a": [1, "x"]}',
      '{\n\t"a": [1, "x"]\n}',
      '\ufeffa: [1, x]',
      '---\na:\n  - 1\n  - x\n',
    ]) {
      expect(readDocument(text).value).toEqual({ a: [1, 'x'] })
      expect(readDocument(new TextEncoder().encode(text)).value).toEqual({ a: [1, 'x'] })
    }
  })

  it('is YAML 1.2 whatever it says of itself', () => {
    expect(readDocument('%YAML 1.1\n---\na: yes\nb: 2020-01-01\n').value).toEqual({ a: 'yes', b: '2020-01-01' })
  })

  it.each([
    ['a syntax error', 'a: {b: 1\nc: 2\n', 'CAESURA_E_YAML', 2, 1, /must be sufficiently indented/],
    ['a tab', 'a:\n\tb: 1\n', 'CAESURA_E_YAML', 2, 1, /tab/],
    ['a key that stands twice', 'a:\n  b: 1\n  c: 2\n  b: 3\n', 'CAESURA_E_YAML', 4, 3, /The key b stands twice/],
    ['two documents', 'a: 1\n---\nb: 2\n', 'CAESURA_E_YAML', 2, 1, /more than one document/],
    ['a tag', 'a: !!js/function "x"', 'CAESURA_E_YAML', 1, 4, /tag is not known/],
    ['a binary tag', 'a: !!binary aGVsbG8=', 'CAESURA_E_YAML', 1, 4, /tag is not known/],
    ['a key that is a list', '? [a]\n: b\n', 'CAESURA_E_YAML', 1, 3, /key is not a text/],
    ['an alias bomb', bomb, 'CAESURA_E_YAML', undefined, undefined, /too many aliases/],
    [
      'an alias to itself',
      'a: &a\n  b: *a\n',
      'CAESURA_E_YAML',
      undefined,
      undefined,
      /inside the value that it names/,
    ],
    ['an alias to nothing', 'a: *x\n', 'CAESURA_E_YAML', undefined, undefined, /names no anchor/],
    ['nesting without end', '['.repeat(20_000), 'CAESURA_E_YAML', 1, expect.any(Number), /nested too deeply/],
    ['nothing', '', 'CAESURA_E_YAML', undefined, undefined, /empty/],
    ['only a comment', '# a\n', 'CAESURA_E_YAML', undefined, undefined, /empty/],
    [
      'invalid UTF-8',
      new Uint8Array([97, 58, 32, 0xff]),
      'CAESURA_E_ENCODING',
      undefined,
      undefined,
      /not valid UTF-8/,
    ],
    ['binary', new Uint8Array([127, 69, 76, 70, 0]), 'CAESURA_E_ENCODING', undefined, undefined, /binary/],
    ['UTF-16', new Uint8Array([0xff, 0xfe, 97, 0]), 'CAESURA_E_ENCODING', undefined, undefined, /binary/],
    ['more than 1 MiB', 'x'.repeat(1_048_577), 'CAESURA_E_FILE_TOO_LARGE', undefined, undefined, /too large/],
  ])('is refused for %s', (_, content, code, line, column, message) => {
    const [error] = errorsOf(content)
    expect(error).toMatchObject({ code, message: expect.stringMatching(message), exitCode: 2 })
    expect(error!.place).toMatchObject({ file: 'f.yaml', ...(line && { line, column }) })
  })

  it('tells every key that stands twice', () => {
    expect(errorsOf('a: 1\nb: 2\na: 3\nb: 4\n').map(({ place }) => [place.line, place.received])).toEqual([
      [3, 'a'],
      [4, 'b'],
    ])
  })

  it('takes tens of thousands of keys without comparing each with each', () => {
    const text = Array.from({ length: 30_000 }, (_, index) => `key${index}: 1`).join('\n')
    expect(Object.keys(readDocument(text).value as object)).toHaveLength(30_000)
  })

  it('either reads or throws coded errors, whatever the bytes', () => {
    const piece = fc.constantFrom(
      'a: ',
      '- ',
      '\n',
      '  ',
      '\t',
      '&x ',
      '*x',
      '!t ',
      '"',
      "'",
      '{',
      '}',
      '[',
      ']',
      ',',
      '? ',
      '|\n',
      '>',
      '---',
      '<<: ',
      '#',
      '%',
      '1',
      '\u0000',
    )
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.array(piece).map((pieces) => pieces.join('')),
    )
    fc.assert(
      fc.property(bytes, (content) => {
        for (const error of errorsOf(content)) expect(error.exitCode).toBe(2)
      }),
      { numRuns: 500 },
    )
  })
})

describe('a place', () => {
  const text = `name: x
list:
  - id: a
    text: |
      one

        two {{ x }}
    plain: some words
    quoted: "in quotes"
    escaped: "a\\nb"
    empty:
  - &second { id: b }
  - *second
`
  const { place } = readDocument(text, 'f.yaml')
  const at = (...args: Parameters<typeof place>) => Object.values(place(...args) ?? {})

  it('is that of the value, or of its key', () => {
    expect(at(['name'])).toEqual([1, 7])
    expect(at(['name'], { key: true })).toEqual([1, 1])
    expect(at(['list', 0, 'id'])).toEqual([3, 9])
    expect(at(['list', 1, 'id'])).toEqual([12, 19])
  })

  it('goes through an alias', () => {
    expect(at(['list', 2, 'id'])).toEqual([12, 19])
  })

  it('is that of the key where there is no value, and of what is around it where there is no key', () => {
    expect(at(['list', 0, 'empty'])).toEqual([11, 5])
    expect(at(['list', 0, 'missing'])).toEqual([3, 5])
    expect(at(['list', 9])).toEqual([3, 3])
    expect(at(['nowhere', 'at', 'all'])).toEqual([1, 1])
  })

  it('counts into texts, where the source shows them as they are', () => {
    expect(at(['list', 0, 'text'], { offset: 5 + 'two {{ '.length + 2 })).toEqual([7, 16])
    expect(at(['list', 0, 'plain'], { offset: 5 })).toEqual([8, 17])
    expect(at(['list', 0, 'quoted'], { offset: 3 })).toEqual([9, 17])
    expect(at(['list', 0, 'escaped'], { offset: 2 })).toEqual([10, 14])
  })
})
