export interface LlamaCppSettings {
  /** A GGUF file; relative to the current folder. */
  readonly model: string
  /** Calls at once, a sequence of the context each; 1 by default. More calls wait. */
  readonly slots?: number
  /**
   * Threads that compute; 1 by default. A thread more than there are idle cores makes a token hundreds of times slower,
   * because llama.cpp's threads wait for each other in a loop.
   */
  readonly threads?: number
  /** Tokens of a prompt read in one piece; 128 by default. A cancelled call ends after the piece in hand. */
  readonly batchTokens?: number
  /** Tokens of prompt and answer that fit into one call; by default 4096, or what the model was trained on if that is less. */
  readonly contextTokens?: number
  /** Lets the package use a GPU if it has a build for it; false by default. */
  readonly gpu?: boolean
  /** The names by which calls may ask for the model; absent: any name. The file's name without `.gguf` is always one. */
  readonly names?: readonly string[]
}
