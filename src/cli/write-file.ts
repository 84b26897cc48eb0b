import { randomUUID } from 'node:crypto'
import { realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CaesuraError } from '../core/errors.ts'
import { show } from '../core/problems.ts'

/**
 * Writes a file whole or not at all: a reader sees the old one or the new one. Throws `CAESURA_E_FILE` where it cannot be
 * written: no such folder, a folder or device of that name, no rights, a full disk.
 */
export async function writeWhole(file: string, text: string | Iterable<string>): Promise<void> {
  const there = await stat(file).catch(() => undefined)
  if (there?.isDirectory()) throw unwritable(file, 'it is a folder')
  // The rename would put a file in the place of a device or pipe.
  if (there !== undefined && !there.isFile()) throw unwritable(file, 'it is not a regular file')
  // A link goes on leading to the file that it led to.
  const target = there === undefined ? file : await realpath(file)
  // In the same folder: a rename across file systems is no rename.
  const draft = join(dirname(target), `.${basename(target)}.${randomUUID().slice(0, 8)}`)
  try {
    await writeFile(draft, text, { flag: 'wx' })
    await rename(draft, target)
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => {})
    throw unwritable(file, reasonOf(cause), cause)
  }
}

const reasons: Record<string, string> = {
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'its folder is a file',
  EACCES: 'there are no rights to write there',
  EPERM: 'there are no rights to write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return reasons[code] ?? (code || String(cause))
}

const unwritable = (file: string, reason: string, cause?: unknown) =>
  new CaesuraError('CAESURA_E_FILE', `${show(file)} cannot be written: ${reason}.`, {
    file,
    received: show(file),
    expected: 'a file in a folder that exists and may be written',
    cause,
  })
