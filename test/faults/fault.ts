import type { EngineSettings } from '../../src/app/compose.ts'
import type { Settlement } from '../../src/core/call.ts'
import type { ErrorCode } from '../../src/core/errors.ts'
import type { RunRecord } from '../../src/core/record.ts'

/** What became of the call that met the fault. */
export interface FaultOutcome {
  readonly settlement: Settlement
  readonly code?: ErrorCode
  /** Whether the same call was made once more, by `retry: { attempts: 2 }`. */
  readonly retried: boolean
  /** What had come and was kept in the record. */
  readonly text: string
  readonly tokens: number
}

/** What the reader of the run has seen so far, for servers that wait for it before they do harm. */
export interface ReaderProgress {
  /** Resolves when the reader was handed so many tokens. */
  received(tokens: number): Promise<void>
}

/** A server with its fault, or only an address. */
export interface FaultScene {
  readonly url: string
  /** What the server saw, for those who look closer. */
  readonly requests?: () => number
  readonly accepted?: () => number
  readonly bytesWritten?: () => number
  /** Resolves when the server has no open connection that a call came on. */
  quiet?(): Promise<void>
  close(): Promise<unknown>
}

/** One fault of a model server, or of a reader, and what the engine has to make of it. */
export interface FaultCase {
  readonly group: FaultGroup
  /** What happens, in words; unique. */
  readonly fault: string
  readonly expected: FaultOutcome
  start(reader: ReaderProgress): Promise<FaultScene>
  /** Short ones where the fault ends by a limit; else so long that a slow machine does not meet them. */
  readonly timeout?: Readonly<Partial<Record<'firstToken' | 'stall' | 'total', string>>>
  /** A stage whose call goes well comes first, on the same server. */
  readonly second?: boolean
  /** Whether the node keeps a spare connection; true by default. With one, a second call may not need the first one's. */
  readonly spareConnection?: boolean
  /** Of the node; its default otherwise. */
  readonly idleDeadlineMs?: number
  /** How the run's events are read; as they come by default. `never`: not at all. `late`: after the end. */
  readonly reader?: 'never' | 'late'
  readonly outputLimits?: EngineSettings['outputLimits']
}

export const faultGroups = {
  connection: 'No connection',
  refusal: 'An answer that is a refusal',
  silence: 'A server that says nothing more',
  cut: 'An answer that breaks off',
  wrong: 'An answer that is not the protocol',
  odd: 'An answer that is odd, but whole',
  much: 'Too much',
} as const
export type FaultGroup = keyof typeof faultGroups

/** A run that met a fault, and what its server saw. */
export interface FaultRun {
  readonly outcome: FaultOutcome
  /** From the start of the call that met the fault to its settlement, ms. */
  readonly ms: number
  readonly record: RunRecord
  readonly requests?: number
  readonly accepted?: number
  readonly bytesWritten?: number
}
