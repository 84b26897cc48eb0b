import { once } from 'node:events'
import { redactor } from '../app/logs.ts'
import type { CaesuraError } from '../core/errors.ts'
import { visibleLines } from '../core/unsafe-text.ts'

/**
 * How an error that ends the process is told on stderr. A process with a log has it there instead, one line of JSON each. `redact`
 * takes out what looks like a secret, and what a process with a log knows to be one.
 */
export const fatal: { log?: (error: CaesuraError) => void; redact: (text: string) => string } = {
  redact: redactor([]),
}

/** Aborted when nothing can be written to stdout any more: its reader has gone (`| head -1`), or the disk behind it is full. */
const closed = new AbortController()

export const stdoutClosed: AbortSignal = closed.signal

/** Why it cannot be written to, by the code of the system; another code is told as it is. */
const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of the disk is used up',
  EFBIG: 'the file is too large',
  EIO: 'the device has failed',
  EBADF: 'it is closed',
}

/** Takes the end of the reader quietly; any other fault of stdout is told once, and the process exits with 3. Call once, before anything is written. */
export function expectClosedStdout(): void {
  process.stdout.on('error', ({ code = '', message }: NodeJS.ErrnoException) => {
    if (closed.signal.aborted) return
    closed.abort()
    if (code === 'EPIPE') return
    remark(`stdout cannot be written to: ${reasons[code] ?? message}`)
    process.exitCode = STDOUT_FAILED
    // What the verb makes of its end is a lesser fault.
    process.once('exit', () => {
      process.exitCode = STDOUT_FAILED
    })
  })
  // Nowhere to report to: whatever happens to stderr is no reason to end otherwise than without it.
  process.stderr.on('error', () => {})
}

/** The surroundings are not usable. */
const STDOUT_FAILED = 3

/** Writes to stdout, unless its reader has gone. */
export function print(text: string): void {
  if (!closed.signal.aborted) process.stdout.write(text)
}

/** Writes one after the other, as fast as stdout takes them, until its reader has gone. */
export async function printChunks(chunks: Iterable<string>): Promise<void> {
  for (const chunk of chunks) {
    if (closed.signal.aborted) return
    // The reader may go while this waits.
    if (!process.stdout.write(chunk)) await once(process.stdout, 'drain', { signal: closed.signal }).catch(() => {})
  }
}

export const printJson = (value: unknown): void => print(`${JSON.stringify(value, undefined, 2)}\n`)

export const printLines = (lines: readonly string[]): void => print(lines.map((line) => `${line.trimEnd()}\n`).join(''))

/** A remark beside the result: on stderr, with nothing in it that a terminal obeys. */
export const remark = (text: string): void => styledRemark(visibleLines(text))

/** One whose text was made safe where it was styled. */
export const styledRemark = (text: string): void => void process.stderr.write(`${text}\n`)
