import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  checkImages,
  imageBase64,
  imageBytes,
  imageType,
  imageUrl,
  MOST_IMAGE,
  readImage,
} from '../../src/core/image.ts'

const png = Buffer.from('\x89PNG\r\n\x1a\nrest', 'latin1')
const bytes = (text: string) => Buffer.from(text, 'latin1')
const code = (read: () => unknown) => {
  try {
    read()
    return undefined
  } catch (error) {
    return (error as { code?: string }).code
  }
}

describe('a picture', () => {
  it.each([
    ['PNG', png, 'image/png'],
    ['JPEG', bytes('\xff\xd8\xff\xe0'), 'image/jpeg'],
    ['GIF', bytes('GIF89a..'), 'image/gif'],
    ['WebP', bytes('RIFF....WEBPVP8 '), 'image/webp'],
    ['a sound', bytes('RIFF....WAVEfmt '), undefined],
    ['SVG', bytes('<svg></svg>'), undefined],
    ['PDF', bytes('%PDF-1.7'), undefined],
    ['nothing', bytes(''), undefined],
  ])('is told by its first bytes: %s', (_, given, type) => {
    expect(imageType(given)).toBe(type)
    expect(code(() => imageUrl(given))).toBe(type === undefined ? 'CAESURA_E_IMAGE' : undefined)
  })

  it('is read from a data: URL, whatever type that claims, and is the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 99 }), (rest) => {
        const whole = Buffer.concat([png, rest])
        const url = readImage(` data:text/plain;charset=x;base64,${whole.toString('base64')}\n`)
        expect(url.startsWith('data:image/png;base64,')).toBe(true)
        expect(Buffer.from(imageBase64(url), 'base64').equals(whole)).toBe(true)
        expect(imageBytes(url)).toBe(whole.length)
      }),
    )
  })

  it.each([
    ['a path', '/etc/passwd', /works only where it is written in a pipeline file/],
    ['a URL', 'https://example.org/a.png', /nothing is fetched/],
    ['a URL without base64', 'data:image/png,abc', /without base64/],
    ['a text', 'data:image/png;base64,aGVsbG8=', /is no picture/],
    ['no base64', 'data:image/png;base64,*MARKER*', /is no base64/],
    ['nothing', '', /is no data: URL/],
    ['one of 50 MB', `data:image/png;base64,${'A'.repeat(70_000_000)}`, /is too large/],
  ])('is refused where it is %s', (_, text, message) => {
    const refused = () => readImage(text)
    expect(refused).toThrow(message)
    expect(code(refused)).toBe('CAESURA_E_IMAGE')
    try {
      refused()
    } catch (error) {
      expect(JSON.stringify(error)).not.toContain('MARKER')
    }
  })

  it('may be 10 MB, and 20 MB together', () => {
    const large = imageUrl(Buffer.concat([png, Buffer.alloc(MOST_IMAGE - png.length)]))
    expect(code(() => checkImages([large, large]))).toBeUndefined()
    expect(code(() => checkImages([large, large, imageUrl(png)]))).toBe('CAESURA_E_IMAGE')
    expect(code(() => imageUrl(Buffer.concat([png, Buffer.alloc(MOST_IMAGE)])))).toBe('CAESURA_E_IMAGE')
  })
})
