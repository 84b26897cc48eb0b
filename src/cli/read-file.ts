import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { type Document, decodeText, MOST_BYTES, readDocument, tooLarge } from '../core/document.ts'
import { CaesuraError } from '../core/errors.ts'
import { present } from '../core/present.ts'
import { didYouMean, show } from '../core/problems.ts'

/**
 * Reads a YAML file of at most 1 MiB. Throws `CAESURA_E_FILE` (missing, a folder, a device or pipe, unreadable),
 * `CAESURA_E_FILE_TOO_LARGE` before it is read, and what `readDocument` throws.
 */
export async function readDocumentFile(file: string): Promise<Document> {
  return readDocument(await readBytes(file), file)
}

/** Reads a text file of at most 1 MiB. Throws as `readDocumentFile` does. */
export async function readTextFile(file: string): Promise<string> {
  return decodeText(await readBytes(file), { file })
}

async function readBytes(file: string): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  try {
    const status = await stat(file)
    if (status.isDirectory()) throw refusal(file, 'is a folder', 'a file')
    // Opening a pipe waits for its writer, and a device may never end.
    if (!status.isFile()) throw refusal(file, 'is not a regular file', 'a file')
    if (status.size > MOST_BYTES) throw tooLarge(status.size, { file })
    // `end` is inclusive: one byte more than allowed, if it grew meanwhile.
    for await (const chunk of createReadStream(file, { end: MOST_BYTES })) chunks.push(chunk as Buffer)
  } catch (error) {
    if (error instanceof CaesuraError) throw error
    throw await explain(file, error)
  }
  return Buffer.concat(chunks)
}

const refusal = (file: string, fault: string, expected: string, more: { hint?: string; cause?: unknown } = {}) =>
  new CaesuraError('CAESURA_E_FILE', `${show(file)} ${fault}.`, { file, received: show(file), expected, ...more })

async function explain(file: string, cause: unknown): Promise<CaesuraError> {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const neighbours = await readdir(dirname(file)).catch(() => [])
    const hint = didYouMean(basename(file), neighbours)
    return refusal(file, 'does not exist', 'a file that exists', { cause, ...present({ hint }) })
  }
  const denied = code === 'EACCES' || code === 'EPERM'
  return refusal(file, denied ? 'may not be read' : `cannot be read${code && ` (${code})`}`, 'a readable file', {
    cause,
  })
}
