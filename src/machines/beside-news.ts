import type { ToolCallSeen } from '../core/call.ts'
import type { Nanoseconds } from '../core/clock.ts'
import type { Journal } from '../core/journal.ts'
import type { Transcript } from '../core/transcript.ts'
import { WellFormedPieces } from '../core/well-formed.ts'

/**
 * Takes what a call gives beside its text into its transcript, and tells the readers: thinking piece by piece, tool calls whole. It is no
 * part of the answer, so it is told while delivery is paused as well. What the owner before has told is not told again.
 */
export class BesideNews {
  readonly #journal: Journal
  readonly #transcript: Transcript
  readonly #pieces = new WellFormedPieces()
  #thoughts = 0
  #toolCalls = 0

  constructor(journal: Journal, transcript: Transcript) {
    this.#journal = journal
    this.#transcript = transcript
  }

  /** A piece of thinking came. False where the owner before has told it. */
  thought(piece: string, at: Nanoseconds): boolean {
    const text = this.#pieces.push(piece)
    this.#transcript.think(text, at)
    return this.#tellThought(text)
  }

  /** A tool call came, whole. False where the owner before has told it. */
  toolCall(call: ToolCallSeen, at: Nanoseconds): boolean {
    this.#transcript.callTool(call, at)
    this.#toolCalls += 1
    if (this.#toolCalls <= this.#transcript.toldBesideBefore.toolCalls) return false
    const { stage, callId } = this.#transcript.request
    const { id, name, arguments: given = {} } = call
    this.#journal.tell({ type: 'tool-call', stage, callId, ...(id !== undefined && { id }), name, arguments: given })
    return true
  }

  /** No more comes. */
  end(): void {
    const left = this.#pieces.end()
    if (left === '') return
    this.#transcript.amendThinking(left)
    this.#tellThought(left)
  }

  #tellThought(text: string): boolean {
    const { toldBesideBefore, request } = this.#transcript
    if (text === '') return this.#thoughts >= toldBesideBefore.thoughts
    this.#thoughts += 1
    if (this.#thoughts <= toldBesideBefore.thoughts) return false
    this.#journal.tell({ type: 'thinking', stage: request.stage, callId: request.callId, text })
    return true
  }
}
