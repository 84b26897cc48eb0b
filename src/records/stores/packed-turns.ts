import { isAscii } from 'node:buffer'
import { type Turn, turnEnds } from '../../core/turn.ts'

/** Before the texts of a turn: when it began, the bytes of its input, of its text and of its run's id, its number, and how it ended. */
const HEAD = 24
const NO_END = 15
const CUT = 16
const HAS_TEXT = 32
/** Its run is that of the turn before. */
const SAME_RUN = 64

/**
 * The turns of one session as bytes: as objects they would take half as much again as their texts. Appending copies what is there, which is
 * far less work than the turn itself was.
 */
export class PackedTurns {
  #bytes = Buffer.alloc(0)
  /** Where the last turn begins. */
  #last = 0
  #count = 0
  /** Of the texts. Once one of them has another character, it stays so. */
  #isAscii = true
  /** The runs of the last turn, and of the one before. */
  #lastRun = ''
  #previousRun = ''

  /** Adds a turn, or takes the place of the one with its run and number. */
  write(turn: Turn): void {
    if (this.#count > 0 && isSame(this.#read(this.#last, this.#previousRun).turn, turn)) {
      this.#cutAt(this.#last)
      this.#append(turn)
      return
    }
    const turns = this.all()
    const at = turns.findLastIndex((known) => isSame(known, turn))
    if (at < 0) this.#append(turn)
    else {
      this.#cutAt(0)
      this.#count = 0
      for (const each of turns.with(at, turn)) this.#append(each)
    }
  }

  /** Oldest first. */
  all(): Turn[] {
    const turns: Turn[] = []
    const text = this.#decoder()
    for (let [at, run] = [0, '']; at < this.#bytes.length; ) {
      const { turn, end } = this.#read(at, run, text)
      turns.push(turn)
      run = turn.runId
      at = end
    }
    return turns
  }

  /** Whether a turn of this run is kept. */
  has(runId: string): boolean {
    return this.#lastRun === runId || this.all().some((turn) => turn.runId === runId)
  }

  /** The last turn; undefined where there is none. */
  get last(): Turn | undefined {
    return this.#count === 0 ? undefined : this.#read(this.#last, this.#previousRun).turn
  }

  #cutAt(at: number): void {
    this.#bytes = this.#bytes.subarray(0, at)
    this.#count -= 1
    this.#lastRun = this.#previousRun
  }

  #append(turn: Turn): void {
    const isSameRun = this.#count > 0 && turn.runId === this.#lastRun
    const parts = [isSameRun ? '' : turn.runId, turn.input, turn.text ?? ''].map((text) => Buffer.from(text))
    this.#isAscii &&= parts.every(isAscii)
    const lengths = parts.map(({ length }) => length)
    const size = HEAD + lengths.reduce((sum, length) => sum + length, 0)
    // Of its own, and as large as it is: not a part of Node's pool.
    const bytes = Buffer.allocUnsafeSlow(this.#bytes.length + size)
    this.#bytes.copy(bytes)
    let at = this.#bytes.length
    this.#last = at
    bytes.writeDoubleLE(turn.at, at)
    bytes.writeUInt32LE(lengths[1]!, at + 8)
    bytes.writeUInt32LE(lengths[2]!, at + 12)
    bytes.writeUInt16LE(lengths[0]!, at + 16)
    bytes.writeUInt32LE(turn.number, at + 18)
    const end = turn.end === undefined ? NO_END : turnEnds.indexOf(turn.end)
    const flags = (turn.cut ? CUT : 0) | (turn.text === undefined ? 0 : HAS_TEXT) | (isSameRun ? SAME_RUN : 0)
    bytes.writeUInt16LE(end | flags, at + 22)
    at += HEAD
    for (const part of parts) at += part.copy(bytes, at)
    this.#bytes = bytes
    this.#count += 1
    this.#previousRun = this.#lastRun
    this.#lastRun = turn.runId
  }

  /** Reads texts out of all the bytes. Where each byte of these texts is a character, they are parts of one text, which is several times as fast. */
  #decoder(): (from: number, to: number) => string {
    if (!this.#isAscii) return (from, to) => this.#bytes.toString('utf8', from, to)
    const all = this.#bytes.toString('latin1')
    return (from, to) => all.slice(from, to)
  }

  #read(
    at: number,
    runBefore: string,
    textAt = (from: number, to: number) => this.#bytes.toString('utf8', from, to),
  ): { readonly turn: Turn; readonly end: number } {
    const bytes = this.#bytes
    const flags = bytes.readUInt16LE(at + 22)
    const input = at + HEAD + bytes.readUInt16LE(at + 16)
    const text = input + bytes.readUInt32LE(at + 8)
    const end = text + bytes.readUInt32LE(at + 12)
    const ended = flags & NO_END
    const turn: Turn = {
      runId: flags & SAME_RUN ? runBefore : textAt(at + HEAD, input),
      number: bytes.readUInt32LE(at + 18),
      input: textAt(input, text),
      at: bytes.readDoubleLE(at),
      ...(flags & HAS_TEXT && { text: textAt(text, end) }),
      ...(flags & CUT && { cut: true as const }),
      ...(ended !== NO_END && { end: turnEnds[ended]! }),
    }
    return { turn, end }
  }
}

const isSame = (one: Turn, other: Turn): boolean => one.runId === other.runId && one.number === other.number
