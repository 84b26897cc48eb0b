import type { Backend } from '../../core/ports.ts'
import type { Line } from './line.ts'
import { shortPrompt } from './prompts.ts'

/** The model in the server's memory: takes it out, and sees to it that it is there again at the end. */
export class Residence {
  readonly #backend: Backend
  readonly #model: string
  readonly #line: Line
  #isGone = false

  constructor(backend: Backend, model: string, line: Line) {
    this.#backend = backend
    this.#model = model
    this.#line = line
  }

  get canUnload(): boolean {
    return this.#backend.unload !== undefined
  }

  /** Of the model's file; undefined where the server does not say. */
  async bytes(): Promise<number | undefined> {
    const models = await this.#line.unlessStopped((signal) => this.#backend.models(signal))
    return models.find(({ name }) => name === this.#model || name === `${this.#model}:latest`)?.bytes
  }

  /** Ends every call and has the model unloaded; `loaded` says when it is back. Throws `ProbeStopped`, and what `unload` throws. */
  async unload(): Promise<void> {
    await this.#line.clear()
    this.#isGone = true
    await this.#line.unlessStopped(async (signal) => this.#backend.unload?.(this.#model, signal))
  }

  /** A call was answered: the model is there. */
  loaded(): void {
    this.#isGone = false
  }

  /** Unloads the model and loads it again, which brings back a slot that an abort has lost. Throws as `unload` does. */
  async renew(): Promise<void> {
    await this.unload()
    await this.#line.ask(shortPrompt())
    this.loaded()
  }

  /** Loads the model if it was left unloaded, however long that takes: nobody who probes a server wants it cold. Throws as `load`. */
  async restore(): Promise<void> {
    if (!this.#isGone) return
    await this.#backend.load?.(this.#model, new AbortController().signal)
    this.loaded()
  }
}
