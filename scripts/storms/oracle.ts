import type { RunEvent } from '../../src/core/event.ts'
import { type Faults, type Story, verify } from '../chaos/verify.ts'

/** What the fleet may take, beside the storms themselves, to get over one: a silent connection and a call without its worker come together. */
const RECOVERY_MS = 20_000
const LEAST_MS = 20_000
/** A run may take so many times what it takes at rest: the machine is busier in a storm. */
const TIMES_CALM = 15

/** The time in which a fault was there, on this process's clock. */
export interface Span {
  readonly name: string
  readonly from: number
  until: number
}

/** Tells when a run is stuck: it may take what it takes at rest on this machine, and as long as the faults that it met. */
export class Allowance {
  readonly spans: Span[] = []
  readonly #baseMs: number

  /** `calmMs`: the longest of some runs at rest. */
  constructor(calmMs: number) {
    this.#baseMs = Math.max(LEAST_MS, TIMES_CALM * calmMs)
  }

  isStuck(beganAt: number, now: number): boolean {
    let allowed = this.#baseMs
    for (const { from, until } of this.spans) {
      const shared = Math.min(until, now) - Math.max(from, beganAt)
      if (until > beganAt - RECOVERY_MS && from < now) allowed += Math.max(0, shared) + RECOVERY_MS
    }
    return now - beganAt > allowed
  }

  /** Whether a fault of this name was there in the life of a run. */
  met(name: string, beganAt: number, now: number): boolean {
    return this.spans.some((span) => span.name === name && span.until >= beganAt && span.from <= now)
  }
}

/** What went wrong, each with a line that says where. All empty: the fleet held. */
export interface Findings extends Faults {
  /** Runs that were taken, and ended without a record. */
  readonly lost: string[]
  /** Runs that did not end in time. */
  readonly stuck: string[]
  readonly exited: string[]
  readonly unhandled: string[]
}

export const noFindings = (): Findings => ({
  ...{ lost: [], doubled: [], wrongText: [], stuck: [], crossKills: [], exited: [], unhandled: [] },
})

/** Checks a run with known answers against the events that are kept of it. */
export const check = (story: Story, kept: readonly RunEvent[], findings: Findings): void =>
  verify({ ...story, events: story.events.length === 0 ? [...kept] : story.events }, kept, findings)

/** Calls that a model was asked for twice. */
export function doubledCalls(asked: ReadonlyMap<string, number>): string[] {
  return [...asked].flatMap(([call, count]) => (count > 1 ? [`${call}: asked for ${count} times`] : []))
}
