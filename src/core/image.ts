import { CaesuraError } from './errors.ts'

/** Bytes of one picture, and of all pictures of one call. */
export const MOST_IMAGE = 10 * 1024 * 1024
export const MOST_IMAGES = 20 * 1024 * 1024

/** What a picture may be, by its first bytes; `at` where they do not stand at the start. */
const kinds: readonly (readonly [type: string, bytes: string, at?: number])[] = [
  ['image/png', '\x89PNG\r\n\x1a\n'],
  ['image/jpeg', '\xff\xd8\xff'],
  ['image/gif', 'GIF87a'],
  ['image/gif', 'GIF89a'],
  ['image/webp', 'WEBP', 8],
]
export const IMAGE_KINDS = 'PNG, JPEG, WebP or GIF'
const MB = 'MB'

/** The type of a picture by its first bytes; undefined where it is none. */
export function imageType(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.subarray(0, 16)).toString('latin1')
  const found = kinds.find(([, start, at = 0]) => head.startsWith(start, at))
  return found?.[0] === 'image/webp' && !head.startsWith('RIFF') ? undefined : found?.[0]
}

/** Picture as a `data:` URL. Its type is that of its bytes. Throws `CAESURA_E_IMAGE`. */
export function imageUrl(bytes: Uint8Array): string {
  const type = imageType(bytes)
  if (type === undefined) throw refusal('is no picture', `a ${IMAGE_KINDS}`, 'bytes of another kind')
  if (bytes.length > MOST_IMAGE) throw tooLarge(bytes.length)
  return `data:${type};base64,${Buffer.from(bytes).toString('base64')}`
}

const DATA = /^data:([\w.+-]+\/[\w.+-]+)?(?:;[\w=.-]+)*;base64,/i

/** The base64 of a picture's `data:` URL. It was checked before. */
export const imageBase64 = (url: string): string => url.slice(url.indexOf(',') + 1)

/** An input as records keep it: a picture is in none. */
export const withoutPicture = (text: string): string =>
  DATA.test(text.trimStart().slice(0, 200)) ? '(a picture)' : text

/** How many bytes the picture of a checked URL has. */
export const imageBytes = (url: string): number => Math.floor((imageBase64(url).replace(/=+$/, '').length * 3) / 4)

/**
 * A picture that somebody gives as a `data:` URL in base64, with the type that its bytes tell. Throws `CAESURA_E_IMAGE`: for a path, for a
 * URL to elsewhere (nothing is fetched), for what is no picture, or too large. No error quotes it.
 */
export function readImage(text: string): string {
  const given = text.trim()
  const head = DATA.exec(given.slice(0, 200))
  if (head === null)
    throw refusal(whatItIs(given), 'a data: URL in base64, such as data:image/png;base64,…', shown(given))
  const base64 = given.slice(head[0].length)
  const bytes = Math.floor((base64.length * 3) / 4)
  if (bytes > MOST_IMAGE + 2) throw tooLarge(bytes)
  if (!/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(base64))
    throw refusal('is no base64', 'a picture in base64', 'other characters')
  return imageUrl(Buffer.from(base64, 'base64'))
}

const whatItIs = (text: string): string =>
  /^https?:/i.test(text)
    ? 'is a URL to the network, from which nothing is fetched'
    : /^data:/i.test(text)
      ? 'is a data: URL without base64'
      : 'is no data: URL; a path works only where it is written in a pipeline file of this host'

/** It may be a secret, or a picture. */
const shown = (text: string): string => `a text of ${text.length.toLocaleString('en-US')} characters`

const refusal = (message: string, expected: string, received: string): CaesuraError =>
  new CaesuraError('CAESURA_E_IMAGE', message, { expected, received })

const tooLarge = (bytes: number): CaesuraError =>
  refusal(
    'is too large',
    `a picture of at most ${MOST_IMAGE / 1024 / 1024} ${MB}`,
    `${(bytes / 1024 / 1024).toFixed(1)} ${MB}`,
  )

/** Throws `CAESURA_E_IMAGE` where the pictures of one call are too large together. */
export function checkImages(urls: readonly string[]): void {
  const bytes = urls.reduce((sum, url) => sum + imageBytes(url), 0)
  if (bytes <= MOST_IMAGES) return
  const together = `${(bytes / 1024 / 1024).toFixed(1)} ${MB} together`
  throw refusal('are too large', `pictures of at most ${MOST_IMAGES / 1024 / 1024} ${MB} together`, together)
}
