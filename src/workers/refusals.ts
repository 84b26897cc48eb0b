/**
 * What Redis says when it takes no command, or none of this kind, for now: it is full, a replica, loading, busy with a script, cut off from
 * its replicas, unable to write to its disk, no more where the keys are, or its user lost a right. Each passes without our doing.
 */
const refusals: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['OOM', /\bOOM command not allowed/],
  ['READONLY', /\bREADONLY You can't write/],
  ['MISCONF', /\bMISCONF /],
  ['NOREPLICAS', /\bNOREPLICAS /],
  ['LOADING', /\bLOADING /],
  ['BUSY', /\bBUSY Redis is busy/],
  ['MASTERDOWN', /\bMASTERDOWN /],
  ['CLUSTERDOWN', /\bCLUSTERDOWN /],
  // A cluster's node that has lost the fleet's slot: the next connection goes to the one that has it.
  ['MOVED', /^MOVED |access a non local key in a cluster node/],
  ['TRYAGAIN', /\bTRYAGAIN /],
  ['NOPERM', /\bNOPERM /],
]

/** The name by which Redis refused a command for now; undefined for any other error. */
export function refusalOf(error: unknown): string | undefined {
  const text = error instanceof Error ? error.message : typeof error === 'string' ? error : ''
  return refusals.find(([, pattern]) => pattern.test(text))?.[0]
}

/** The pauses between two attempts, ms: doubled from the first to the last. */
const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 400

/** Without a refusal for so long, ms, Redis takes commands again. */
const QUIET_MS = 1000

/** Hears when Redis begins to refuse commands, and when it takes them again. */
export interface RefusalListener {
  /** Each command that was refused. */
  refused?(name: string): void
  began(name: string): void
  ended(ms: number): void
}

/** Waits out the refusals of one Redis, as a lost connection is waited out. */
export class Refusals {
  readonly #listeners = new Set<RefusalListener>()
  #since: number | undefined
  #lastAt = 0
  #isClosed = false
  /** How many answers were refusals so far. */
  count = 0

  listen(listener: RefusalListener): void {
    this.#listeners.add(listener)
  }

  /** Whether the last answer was a refusal. */
  get isRefusing(): boolean {
    return this.#since !== undefined
  }

  /** Nothing is tried again any more. */
  close(): void {
    this.#isClosed = true
  }

  /** Redis has refused a command. */
  note(name: string): void {
    this.count += 1
    this.#lastAt = performance.now()
    for (const { refused } of this.#listeners) refused?.(name)
    if (this.#since !== undefined) return
    this.#since = performance.now()
    for (const { began } of this.#listeners) began(name)
  }

  /** Redis has taken a command: it may be one that it never refuses, so it takes them all again once it has refused none for a while. */
  over(): void {
    if (this.#since === undefined || performance.now() - this.#lastAt < QUIET_MS) return
    const ms = Math.round(this.#lastAt - this.#since)
    this.#since = undefined
    for (const { ended } of this.#listeners) ended(ms)
  }

  /** Does it again until Redis takes it. It must be safe to do twice. Rejects for any other fault, and once this is closed. */
  async waitOut<T>(work: () => Promise<T>): Promise<T> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        const result = await work()
        this.over()
        return result
      } catch (error) {
        const name = refusalOf(error)
        if (name === undefined || this.#isClosed) throw error
        this.note(name)
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    }
  }
}
