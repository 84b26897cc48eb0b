import type { ToolCallSeen } from './call.ts'

/** What is kept of it, plain JSON. What never came is absent. */
export interface KeptBeside {
  /** Pieces of thinking. */
  readonly thoughts?: number
  /** What they said together. */
  readonly thinking?: string
  /** The tools that were called, in order. */
  readonly toolCalls?: readonly ToolCallSeen[]
}

/** What a model gave beside its text: what it thought, and the tools that it called. */
export class Beside {
  thinking = ''
  /** Pieces of thinking. */
  thoughts = 0
  readonly toolCalls: ToolCallSeen[] = []

  think(text: string): void {
    this.thoughts += 1
    this.thinking += text
  }

  restore({ thoughts = 0, thinking = '', toolCalls = [] }: KeptBeside): void {
    this.thoughts = thoughts
    this.thinking = thinking
    this.toolCalls.push(...toolCalls)
  }

  get kept(): KeptBeside {
    return {
      ...(this.thoughts > 0 && { thoughts: this.thoughts, thinking: this.thinking }),
      ...(this.toolCalls.length > 0 && { toolCalls: this.toolCalls }),
    }
  }
}
