import type { Log } from '../../core/log.ts'
import type { RunStore } from '../../core/ports.ts'
import type { RunRecord } from '../../core/record.ts'

/** Writes records into a store that may fail for a while, such as on a full disk: what could not be written is tried again. */
export class RecordWriter {
  readonly #store: Pick<RunStore, 'write'>
  readonly #log: Log
  readonly #unwritten = new Map<string, RunRecord>()

  constructor(store: Pick<RunStore, 'write'>, log: Log) {
    this.#store = store
    this.#log = log
  }

  /** Never throws. */
  write(record: RunRecord): void {
    const { runId } = record
    try {
      this.#store.write(record)
    } catch (error) {
      this.#unwritten.set(runId, record)
      const sentence = `the record of the run ${runId} cannot be written now: it is tried again`
      this.#log.error(sentence, { run_id: runId, error: error as Error })
    }
  }

  /** Tries what could not be written. Never throws. Returns how many still cannot. */
  retry(): number {
    for (const [runId, record] of this.#unwritten) {
      try {
        this.#store.write(record)
        this.#unwritten.delete(runId)
      } catch {
        break
      }
    }
    return this.#unwritten.size
  }
}
