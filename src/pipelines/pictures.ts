import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { CaesuraError } from '../core/errors.ts'
import { imageUrl, MOST_IMAGE } from '../core/image.ts'
import { isRecord, type Path, type Problem, type Source, show } from '../core/problems.ts'

/** Takes the place of a picture that cannot be read: its fault is told already. One white point. */
const BLANK = 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs='

/** A picture of a message as it was written, where it is a file: neither a URL nor a template. */
const isFile = (image: unknown): image is string =>
  typeof image === 'string' && image.trim() !== '' && !/^\s*[a-z][a-z0-9+.-]+:/i.test(image) && !/\{[{%]/.test(image)

/**
 * A pipeline as it was written, with the pictures in it that are files of this host. They are looked for beside the pipeline's own file;
 * without one nothing is read, so that no path from elsewhere (an inline pipeline, a program) opens a file here.
 */
export function withPictures(
  value: unknown,
  { file }: Source,
): { readonly value: unknown; readonly problems: Problem[] } {
  const problems: Problem[] = []
  if (file === undefined || !isRecord(value) || !Array.isArray(value.stages)) return { value, problems }
  const folder = dirname(file)
  const each = <T>(list: unknown, change: (entry: unknown, index: number) => T): unknown =>
    Array.isArray(list) ? (list as unknown[]).map(change) : list
  const stages = each(value.stages, (stage, stageAt) => {
    if (!isRecord(stage) || !Array.isArray(stage.messages)) return stage
    const messages = each(stage.messages, (message, messageAt) => {
      if (!isRecord(message) || !Array.isArray(message.images) || !message.images.some(isFile)) return message
      const images = each(message.images, (image, imageAt) => {
        if (!isFile(image)) return image
        const path = ['stages', stageAt, 'messages', messageAt, 'images', imageAt]
        return readPicture(resolve(folder, image), path, problems)
      })
      return { ...message, images }
    })
    return { ...stage, messages }
  })
  return { value: { ...value, stages }, problems }
}

function readPicture(file: string, path: Path, problems: Problem[]): string {
  try {
    const found = statSync(file, { throwIfNoEntry: false })
    if (found?.isFile() !== true) throw refusal('names a file that is not there', show(file))
    // Before it is read: it may be of any size.
    if (found.size > MOST_IMAGE) throw refusal('is too large', `${(found.size / 1024 / 1024).toFixed(1)} MB`)
    return imageUrl(readFileSync(file))
  } catch (error) {
    const known = error instanceof CaesuraError ? error : refusal('names a file that cannot be read', show(file))
    const { message, place } = known
    problems.push({
      path,
      ...(place.received !== undefined && { input: place.received }),
      message,
      params: { code: 'CAESURA_E_IMAGE', expected: place.expected ?? 'a picture' },
    })
    return BLANK
  }
}

const refusal = (message: string, received: string): CaesuraError =>
  new CaesuraError('CAESURA_E_IMAGE', message, {
    received,
    expected: `a PNG, JPEG, WebP or GIF of at most ${MOST_IMAGE / 1024 / 1024} MB beside the pipeline file`,
  })
