import type { Backend } from '../../core/ports.ts'

/**
 * The model of a server: in memory or not, and who uses it. To unload it, its backend is closed and made anew; `Backend.unload`
 * is not used, which some backends lack and which waits for calls instead of counting who uses the model. A request that comes
 * before the last user has left keeps it, as with Ollama.
 */
export class ServedModel {
  readonly name: string
  readonly #make: () => Backend
  #backend: Backend | undefined
  #closing: Promise<void> = Promise.resolve()
  #users = 0
  #leaves = false
  #isLoaded = false

  /** `name`: as the backends that `make` gives know the model. */
  constructor(name: string, make: () => Backend) {
    this.name = name
    this.#make = make
  }

  get isLoaded(): boolean {
    return this.#isLoaded
  }

  /** Brings the model into memory, where it stays until each user has called `release`. Throws what `Backend.load` does; then nothing is to be released. */
  async acquire(signal: AbortSignal): Promise<Backend> {
    this.#users += 1
    this.#leaves = false
    try {
      await this.#closing
      this.#backend ??= this.#make()
      const backend = this.#backend
      await backend.load?.(this.name, signal)
      this.#isLoaded = true
      return backend
    } catch (error) {
      this.release()
      throw error
    }
  }

  release(): void {
    this.#users -= 1
    this.#closeIfIdle()
  }

  /** Unloads the model as soon as nobody uses it, unless somebody asks for it before. */
  unload(): void {
    this.#leaves = true
    this.#closeIfIdle()
  }

  /** Ends every call and frees the memory. */
  async close(): Promise<void> {
    await this.#closing
    await this.#backend?.close()
  }

  #closeIfIdle(): void {
    if (!this.#leaves || this.#users > 0 || this.#backend === undefined) return
    const backend = this.#backend
    this.#backend = undefined
    this.#isLoaded = false
    // What a close throws is nothing that the next load could mend.
    this.#closing = backend.close().catch(() => {})
  }
}
