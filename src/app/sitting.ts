import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { BEAT_MS, type Conductor, GONE_AFTER_MS } from '../core/conductor.ts'
import { CaesuraError } from '../core/errors.ts'
import type { ExecutionKey, ExperimentStore } from '../core/ports.ts'
import type { RunRecord } from '../core/record.ts'
import type { Execution } from '../core/trial.ts'

type SittingStore = Pick<ExperimentStore, 'claim' | 'conductor' | 'beat' | 'release' | 'writeAs' | 'writeExecution'>

/**
 * The time in which this process is the conductor of an execution. It shows that it lives as long as it lasts, and writes nothing any
 * more once another process has taken the execution over.
 */
export class Sitting {
  readonly #store: SittingStore
  readonly #of: ExecutionKey
  readonly #owner: string
  readonly #lost = new AbortController()
  readonly #timer: NodeJS.Timeout

  /** Throws `CAESURA_E_EXPERIMENT_TAKEN` where another process that lives is the conductor. */
  static begin(store: SittingStore, of: ExecutionKey): Sitting {
    const conductor = thisProcess()
    const other = store.claim(of, conductor, isGone)
    if (other !== undefined) throw taken(of, other, conductor.beatUnixMs)
    return new Sitting(store, of, conductor.owner)
  }

  private constructor(store: SittingStore, of: ExecutionKey, owner: string) {
    this.#store = store
    this.#of = of
    this.#owner = owner
    this.#timer = setInterval(() => this.#beat(), BEAT_MS)
    this.#timer.unref()
  }

  /** Aborted when another process has taken the execution over; its reason is a `CAESURA_E_EXPERIMENT_LOST`. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** Throws `CAESURA_E_EXPERIMENT_LOST`, and what the store throws. */
  write(record: RunRecord): void {
    this.#whileOurs(() => this.#store.writeAs(this.#owner, record))
  }

  /** Throws as `write` does. */
  writeExecution(execution: Execution): void {
    this.#whileOurs(() => this.#store.writeExecution(execution, this.#owner))
  }

  /** Never throws: who cannot write that it has ended is soon seen to be gone. */
  end(): void {
    clearInterval(this.#timer)
    try {
      this.#store.release(this.#owner)
    } catch {
      // What made the file unusable was told by the write before.
    }
  }

  #beat(): void {
    try {
      if (!this.#store.beat(this.#owner)) this.#lose()
    } catch {
      // A file that is busy or full for a while: whether the execution is still ours is found out with the next write.
    }
  }

  #whileOurs(write: () => void): void {
    this.lost.throwIfAborted()
    try {
      write()
    } catch (error) {
      if (!(error instanceof CaesuraError) || error.code !== 'CAESURA_E_EXPERIMENT_LOST') throw error
      this.#lose()
      throw this.lost.reason
    }
  }

  #lose(): void {
    clearInterval(this.#timer)
    if (!this.lost.aborted) this.#lost.abort(lost(this.#of, this.#store.conductor(this.#of)))
  }
}

/** This process as it shows itself to others from now on. */
export function thisProcess(): Conductor {
  const [now, processes] = [Date.now(), whoseProcesses()]
  return { owner: randomUUID(), host: hostname(), pid: process.pid, processes, sinceUnixMs: now, beatUnixMs: now }
}

/** A process that was killed is gone at once, where that can be seen from here. */
export function isGone({ beatUnixMs, pid, processes }: Conductor): boolean {
  // A clock that was set back shows in a time to come.
  if (Math.abs(Date.now() - beatUnixMs) > GONE_AFTER_MS) return true
  return processes === whoseProcesses() && !isAlive(pid)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It may be another user's.
    return error instanceof Error && 'code' in error && error.code !== 'ESRCH'
  }
}

/** Two containers may have the same host name, and a host that has started again the ids of other processes. */
function whoseProcesses(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return hostname()
  }
}

const seconds = (ms: number): string => `${(Math.max(0, ms) / 1000).toFixed(1)} s`
const instant = (unixMs: number): string => new Date(unixMs).toISOString()
const named = ({ pid, host }: Conductor): string => `process ${pid} on ${host}`

const taken = ({ experiment, execution }: ExecutionKey, other: Conductor, now: number): CaesuraError =>
  new CaesuraError('CAESURA_E_EXPERIMENT_TAKEN', `${named(other)} makes the trials of this execution`, {
    received: `execution ${execution} of ${experiment}: conducted since ${instant(other.sinceUnixMs)}, last heartbeat ${seconds(now - other.beatUnixMs)} ago`,
    expected: `an execution without a conductor, or one whose conductor gave no heartbeat for ${seconds(GONE_AFTER_MS)}`,
    hint: 'Wait for its end or stop it. Without --resume a new execution begins.',
  })

const lost = ({ experiment, execution }: ExecutionKey, other: Conductor | undefined): CaesuraError =>
  new CaesuraError(
    'CAESURA_E_EXPERIMENT_LOST',
    `${other === undefined ? 'another process' : named(other)} has taken this execution over, so this process has stopped`,
    {
      received: `execution ${execution} of ${experiment}`,
      expected: `a heartbeat at least every ${seconds(GONE_AFTER_MS)}`,
      hint: 'This process was paused. What it had written before is kept, and it writes nothing more.',
    },
  )
