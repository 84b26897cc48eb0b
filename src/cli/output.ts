import { once } from 'node:events'
import type { CaesuraError } from '../core/errors.ts'
import { redactor } from '../logs.ts'

/**
 * How an error that ends the process is told on stderr. A process with a log has it there instead, one line of JSON each. `redact`
 * takes out what looks like a secret, and what a process with a log knows to be one.
 */
export const fatal: { log?: (error: CaesuraError) => void; redact: (text: string) => string } = {
  redact: redactor([]),
}

/** Aborted when the reader of stdout has gone (`| head -1`). */
const closed = new AbortController()

export const stdoutClosed: AbortSignal = closed.signal

/** Takes the end of the reader quietly; any other fault of stdout stays an error. Call once, before anything is written. */
export function expectClosedStdout(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    closed.abort()
  })
  // Nowhere to report to: whatever happens to stderr is no reason to end otherwise than without it.
  process.stderr.on('error', () => {})
}

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

/** A remark beside the result: on stderr, one line. */
export const remark = (text: string): void => void process.stderr.write(`${text}\n`)
