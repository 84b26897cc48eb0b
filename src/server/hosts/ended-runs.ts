import type { KeptRun } from './kept-run.ts'

/** What stays in memory of runs that have ended: their events and their texts. */
export interface KeptLimits {
  /** 1000 by default. */
  readonly runs: number
  /** Of their events; 64 Mi by default. */
  readonly characters: number
}

const defaults: KeptLimits = { runs: 1000, characters: 64 * 1024 * 1024 }

/** The runs that ended last, as many as there is room for. */
export class EndedRuns {
  readonly #limits: KeptLimits
  /** In the order in which they ended. */
  readonly #runs = new Map<string, { readonly run: KeptRun; readonly size: number }>()
  #size = 0

  constructor(limits: Partial<KeptLimits> = {}) {
    this.#limits = { ...defaults, ...limits }
  }

  get(runId: string): KeptRun | undefined {
    return this.#runs.get(runId)?.run
  }

  /** Lets go of those that ended first where there is no room. */
  add(run: KeptRun): void {
    const size = run.size
    this.#runs.set(run.note.runId, { run, size })
    this.#size += size
    for (const [runId, each] of this.#runs) {
      if (this.#runs.size <= this.#limits.runs && this.#size <= this.#limits.characters) return
      this.#runs.delete(runId)
      this.#size -= each.size
    }
  }
}
