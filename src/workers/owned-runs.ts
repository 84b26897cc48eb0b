import type { Host, OwnedRun } from './hosted-run.ts'
import type { Inbox } from './inbox.ts'
import { asNews, signalSchema } from './wire.ts'

/** How many events may wait to be written before more news are taken in. */
const MOST_BACKLOG = 20_000
/** It is counted each time that so many characters have come. */
const PACE_CHARACTERS = 65_536

/** The runs that one process owns: what arrives in its inbox for one of them is handed to it. */
export class OwnedRuns {
  readonly #runs = new Map<string, OwnedRun>()
  /** Runs that are being taken up, and whether something came for them meanwhile: what Redis sent may be here before its answer is. */
  readonly #opening = new Map<string, boolean>()
  readonly #group: Host['group']
  /** Characters that came since the backlog was counted. */
  #came = 0

  constructor({ group, directory }: Pick<Host, 'group' | 'directory'>, inbox: Inbox) {
    this.#group = group
    this.#hear(inbox)
    directory.onRefresh(() => {
      for (const run of this.#runs.values()) run.review()
    })
  }

  get size(): number {
    return this.#runs.size
  }

  /** By run id. */
  get all(): ReadonlyMap<string, OwnedRun> {
    return this.#runs
  }

  /** A run is being taken up: from now on it is noted whether something comes for it. */
  expect(runId: string): void {
    this.#opening.set(runId, false)
  }

  /** The run is here. Returns whether something came for it before it was. */
  add(runId: string, run: OwnedRun): boolean {
    this.#runs.set(runId, run)
    return this.#opening.get(runId) === true
  }

  /** The run is taken up, or will not be. */
  expectNoMore(runId: string): void {
    this.#opening.delete(runId)
  }

  /** The run is not owned any more. The same run may have come back to this process under a newer epoch: then that one stays. */
  drop(runId: string, run: OwnedRun): void {
    if (this.#runs.get(runId) === run) this.#runs.delete(runId)
  }

  #hear(inbox: Inbox): void {
    inbox.on('news', (runId, callId, index, batch) => {
      if (Number.isInteger(index)) this.#ownerOf(runId)?.news(String(callId), index as number, asNews(batch))
    })
    inbox.on('signal', (runId, number, payload) => {
      const signal = signalSchema.safeParse(payload)
      if (signal.success && Number.isInteger(number)) this.#ownerOf(runId)?.signal(number as number, signal.data)
    })
    inbox.on('declined', (runId, callId) => this.#runs.get(runId as string)?.declined(String(callId)))
    const look = (runId: unknown) => {
      this.#runs
        .get(runId as string)
        ?.look()
        .catch(() => undefined)
    }
    inbox.on('gone', look)
    inbox.on('look', look)
    inbox.on('delivered', (runs) => {
      for (const [runId, seq] of Object.entries(runs ?? {}))
        if (Number.isInteger(seq)) this.#runs.get(runId)?.delivered(seq)
    })
    inbox.onGap(() => {
      for (const run of this.#runs.values()) run.catchUp().catch(() => undefined)
    })
    inbox.pace = (characters) => this.#pace(characters)
  }

  #ownerOf(runId: unknown): OwnedRun | undefined {
    const run = this.#runs.get(runId as string)
    if (run === undefined && this.#opening.has(runId as string)) this.#opening.set(runId as string, true)
    return run
  }

  /** What to wait for before more is read: the runs have more to write than they may. */
  #pace(characters: number): Promise<void> | undefined {
    this.#came += characters
    if (this.#came < PACE_CHARACTERS) return undefined
    this.#came = 0
    let backlog = 0
    for (const run of this.#runs.values()) backlog += run.session.backlog
    return backlog > MOST_BACKLOG ? this.#group.idle() : undefined
  }
}
