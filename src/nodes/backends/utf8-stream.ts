import { CaesuraError } from '../../core/errors.ts'

/** The longest line that is read, in bytes. Bounds the memory of a call against a server that never breaks a line. */
export const LONGEST_LINE_BYTES = 1_048_576

export const lineTooLong = (): CaesuraError =>
  new CaesuraError('CAESURA_E_LINE_TOO_LONG', `a line of the answer is longer than ${LONGEST_LINE_BYTES} bytes`)

const LINE_BREAK = 0x0a

/** Cuts bytes behind each line break, so that bytes that are no text cost their own line only, and not those before it. */
export function* cutBehindBreaks(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let from = 0; from < bytes.length; ) {
    const breakAt = bytes.indexOf(LINE_BREAK, from)
    const to = breakAt === -1 ? bytes.length : breakAt + 1
    yield bytes.subarray(from, to)
    from = to
  }
}

/** The text of a stream of bytes, however they were cut on the way. Throws `CAESURA_E_PROTOCOL` for what is not UTF-8. */
export class Utf8Stream {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })

  push(bytes: Uint8Array): string {
    return this.#decode(() => this.#decoder.decode(bytes, { stream: true }))
  }

  end(): string {
    return this.#decode(() => this.#decoder.decode())
  }

  #decode(decode: () => string): string {
    try {
      return decode()
    } catch (cause) {
      throw new CaesuraError('CAESURA_E_PROTOCOL', 'the answer is not UTF-8 text', { cause })
    }
  }
}
