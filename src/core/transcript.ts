import { Beside, type KeptBeside } from './beside.ts'
import type { CallEnd, CallRequest, Settlement, ToolCallSeen } from './call.ts'
import type { Nanoseconds } from './clock.ts'
import { documentIn } from './document-format.ts'
import type { ErrorSummary } from './errors.ts'
import { Ledger, type Mark } from './ledger.ts'
import type { CallPlace, NodeLoad, WarmOutcome } from './ports.ts'
import { SentenceScanner } from './sentence.ts'

/** What was generated, and when. Plain JSON. */
export interface GeneratedText extends KeptBeside {
  readonly text: string
  /** The length of the text after each piece. */
  readonly ends: readonly number[]
  /** When each piece came, ns from the run's start. */
  readonly times: readonly Nanoseconds[]
  /** When the last piece of any kind came. Absent in what older versions kept. */
  readonly lastPieceAt?: Nanoseconds
}

/** A transcript without its text, as plain JSON. */
export interface TranscriptState {
  readonly request: CallRequest
  readonly marks: readonly Mark[]
  readonly kept: number
  readonly interrupted: boolean
  readonly listening: boolean
  readonly triggered: boolean
  readonly held: boolean
  readonly passed?: Transcript['passed']
  readonly place?: CallPlace
  readonly retryOf?: string
  readonly end?: CallEnd
  readonly settlement?: Settlement
  readonly perPiece?: number
  readonly lateNs?: Nanoseconds
  readonly warmed?: Transcript['warmed']
  readonly atStart?: NodeLoad
  readonly scope?: Transcript['scope']
  readonly spoken?: number
  readonly isCut?: boolean
  readonly heard?: number
  readonly awaitsHearing?: boolean
  readonly isWithdrawn?: true
}

/** All that is known of one call: what was asked, what came, when, and how it ended. Instants are ns from the run's start. */
export class Transcript {
  readonly request: CallRequest
  readonly ledger: Ledger
  /** Once it has a slot. */
  place?: CallPlace
  /** The call that failed and whose place it took. */
  retryOf?: string
  end?: CallEnd
  settlement?: Settlement
  /** Tokens a piece, as learnt from other answers of its model there; where its server did not count, and it was known when it settled. */
  perPiece?: number
  /** The process that made it read a part of the answer up to so late. Absent where it read all in time. */
  lateNs?: Nanoseconds
  /** What was done ahead for the next stage while this call ran. */
  warmed?: { readonly model: string } & WarmOutcome
  /** What its prompt was filled in with: what is known of the next stage's prompt while it runs. */
  scope?: Readonly<Record<string, unknown>>
  /** How busy the nodes were that may take it, when it was handed to them. */
  atStart?: NodeLoad
  /** How much of the text was handed out, UTF-16 units. Absent where text is handed out as it comes. */
  spoken?: number
  /** Its speech was stopped before it was over. */
  isCut = false
  /** How much of the text its reader acknowledged, UTF-16 units. */
  heard?: number
  /** Its reader is to acknowledge what was handed out. */
  awaitsHearing = false
  /** Its answer was taken back: by a repetition after a fault, or because a newer input took its place. */
  isWithdrawn = false
  /** Nobody reads it: its pieces are no events. */
  isSilent = false
  /** Whether an interrupt came that was not a false one. */
  interrupted = false
  /** Whether a response listens to tokens and sentence ends. */
  listening = false
  /** Whether its trigger has fired: at most once, also where the run goes on elsewhere. */
  triggered = false
  /** The first limit that it passed: it was stopped for that, and has failed. `lost`: a token was not taken in. */
  passed?: { readonly error: ErrorSummary; readonly lost: boolean }
  /** How many token events another owner of the run has told already: their pieces come again, from where they are kept, and are not told again. */
  toldBefore = 0
  /** Pieces whose turn with the readers has come: all that came, where text is handed out as it comes. */
  uttered = 0
  /** The same of events of thinking and of tool calls. */
  toldBesideBefore = { thoughts: 0, toolCalls: 0 }
  /** Pieces that were generated while delivery was paused; absent while it is not. */
  held: string[] | undefined
  #text = ''
  /** The length of the text after each piece, and when the piece came. */
  readonly #ends: number[] = []
  readonly #times: Nanoseconds[] = []
  readonly #beside = new Beside()
  #lastPieceAt: Nanoseconds | undefined
  #kept = 0

  constructor(request: CallRequest, marks: readonly Mark[] = []) {
    this.request = request
    this.ledger = new Ledger(marks)
  }

  /** A transcript as it was when `state` was taken; without `generated` its text is still to come, again. */
  static restore(state: TranscriptState, generated?: GeneratedText): Transcript {
    const { request, marks, kept, held, ...rest } = state
    const transcript = new Transcript(request, marks)
    Object.assign(transcript, rest)
    if (held) transcript.held = []
    transcript.#kept = kept
    if (generated !== undefined) {
      transcript.#text = generated.text
      transcript.#ends.push(...generated.ends)
      transcript.#times.push(...generated.times)
      transcript.#beside.restore(generated)
      transcript.#lastPieceAt = generated.lastPieceAt ?? generated.times.at(-1)
      if (transcript.settlement !== undefined) transcript.uttered = generated.ends.length
    }
    return transcript
  }

  get state(): TranscriptState {
    const { request, ledger, interrupted, listening, triggered, held } = this
    const { passed, place, retryOf, end, settlement, perPiece, lateNs, warmed, scope, atStart } = this
    const { spoken, isCut, heard, awaitsHearing } = this
    return {
      request,
      marks: ledger.toArray(),
      kept: this.#kept,
      interrupted,
      listening,
      triggered,
      held: held !== undefined,
      ...(passed !== undefined && { passed }),
      ...(place !== undefined && { place }),
      ...(retryOf !== undefined && { retryOf }),
      ...(end !== undefined && { end }),
      ...(settlement !== undefined && { settlement }),
      ...(perPiece !== undefined && { perPiece }),
      ...(lateNs !== undefined && { lateNs }),
      ...(warmed !== undefined && { warmed }),
      ...(scope !== undefined && { scope }),
      ...(atStart !== undefined && { atStart }),
      ...(spoken !== undefined && { spoken }),
      ...(isCut && { isCut }),
      ...(heard !== undefined && { heard }),
      ...(awaitsHearing && { awaitsHearing }),
      ...(this.isWithdrawn && { isWithdrawn: true as const }),
    }
  }

  get generated(): GeneratedText {
    return {
      text: this.#text,
      ends: this.#ends,
      times: this.#times,
      ...this.#beside.kept,
      ...(this.#lastPieceAt !== undefined && { lastPieceAt: this.#lastPieceAt }),
    }
  }

  get text(): string {
    return this.#text
  }

  /** The node that it has a slot of. */
  get node(): string | undefined {
    return this.place?.name
  }

  /** Its pieces of text, and when each came. */
  *inPieces(): Generator<{ readonly text: string; readonly at: Nanoseconds }> {
    for (let [index, from] = [0, 0]; index < this.#ends.length; index++) {
      const to = this.#ends[index]!
      yield { text: this.#text.slice(from, to), at: this.#times[index]! }
      from = to
    }
  }

  /** When the pieces came that showed a sentence to be over, ns from the run's start: at most `most`. Reads all of the text. */
  sentenceEnds(most: number): Nanoseconds[] {
    const scanner = new SentenceScanner()
    const ends: Nanoseconds[] = []
    for (const { text, at } of this.inPieces()) {
      if (ends.length === most) break
      if (scanner.feed(text) > 0) ends.push(at)
    }
    return ends
  }

  /** When its pieces of text came, ns from the run's start: of the first one, the last one, and at even steps between, at most `most`. */
  pieceTimes(most: number): Nanoseconds[] {
    const last = this.#times.length - 1
    if (last < most) return [...this.#times]
    return Array.from({ length: most }, (_, step) => this.#times[Math.round((step * last) / (most - 1))]!)
  }

  /** Pieces of thinking received. */
  get thoughts(): number {
    return this.#beside.thoughts
  }

  /** What the model thought so far. */
  get thinking(): string {
    return this.#beside.thinking
  }

  /**
   * What it gave as JSON: the document of its format, or the tools that it called, as `{ calls }`. Only of an answer that is whole and was
   * checked; undefined where there is none.
   */
  get value(): unknown {
    if (this.end?.end !== 'completed') return undefined
    if (this.request.format !== undefined) return documentIn(this.#text)
    return this.toolCalls.length > 0 ? { calls: this.toolCalls } : undefined
  }

  /** The tools that the model called so far, whole, in order. */
  get toolCalls(): readonly ToolCallSeen[] {
    return this.#beside.toolCalls
  }

  /** When the last piece of any kind came. */
  get lastPieceAt(): Nanoseconds | undefined {
    return this.#lastPieceAt
  }

  /** Pieces of text received: one a token for most servers. */
  get pieces(): number {
    return this.#ends.length
  }

  /** The part of the text that was handed out, or is as it comes. */
  get spokenText(): string {
    return this.spoken === undefined ? this.#text : this.#text.slice(0, this.spoken)
  }

  /** The part of the text that stands. */
  get keptText(): string {
    return this.#text.slice(0, this.#kept)
  }

  get lastTokenAt(): Nanoseconds | undefined {
    return this.#times.at(-1)
  }

  /** Takes a piece in. Its text may be empty: then it ended in the middle of a character, which comes with the next one. */
  append(text: string, at: Nanoseconds): void {
    this.#text += text
    this.#ends.push(this.#text.length)
    this.#times.push(at)
    this.#lastPieceAt = at
  }

  /** A piece of thinking came. */
  think(text: string, at: Nanoseconds): void {
    this.#beside.think(text)
    this.#lastPieceAt = at
  }

  /** Adds to the thinking what no piece brought. */
  amendThinking(text: string): void {
    this.#beside.thinking += text
  }

  /** A tool call came, whole. */
  callTool(call: ToolCallSeen, at: Nanoseconds): void {
    this.#beside.toolCalls.push(call)
    this.#lastPieceAt = at
  }

  /** Adds to the text of the last piece: no other piece brought it. */
  amend(text: string): void {
    if (this.#ends.length === 0) return
    this.#text += text
    this.#ends[this.#ends.length - 1] = this.#text.length
  }

  /**
   * States that the first `characters` of the text stand. May be less than was said before: where a next stage is fired again, a
   * sentence that had seemed to end may have gone on.
   */
  keep(characters: number): void {
    this.#kept = characters
  }

  /** Nothing of the text stands any more. */
  withdraw(): void {
    this.#kept = 0
    this.isWithdrawn = true
  }

  /** The pieces of which anything stands, and when the last of them came. */
  get used(): { readonly pieces: number; readonly lastAt?: Nanoseconds } {
    return this.usedUpTo(this.#kept)
  }

  /** The same, if the first `characters` of the text stood. */
  usedUpTo(characters: number): { readonly pieces: number; readonly lastAt?: Nanoseconds } {
    let pieces = 0
    while (pieces < this.#ends.length && (pieces === 0 ? 0 : this.#ends[pieces - 1]!) < characters) pieces += 1
    return pieces === 0 ? { pieces } : { pieces, lastAt: this.#times[pieces - 1]! }
  }
}
