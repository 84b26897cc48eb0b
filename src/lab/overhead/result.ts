import type { PhaseName } from '../../core/record.ts'
import type { CellPlan, Transport } from './design.ts'

/** Whether HTTP is what an interrupt that waits for the old call costs. */
export type Finding = 'yes' | 'no' | 'in part' | 'not known'

// What `overhead --json` prints: plain JSON. What was not observed is absent: never null, never NaN.

export type ContrastName = 'transport' | 'connection' | 'load' | 'preparation' | 'drain' | 'abort' | 'slot' | 'prefill'

/** One share of the time, as the difference of two cells of the factorial, or of two clocks of one call. */
export interface Contrast {
  readonly name: ContrastName
  /** Where: `embedded server`, `ollama`. The first contrast of a name is that of the server that the answer is for. */
  readonly server: string
  /** Median of the differences within blocks, ms. Absent where nothing was measured: `note` says why. */
  readonly ms?: number
  /** The interval of the median, from the order statistics of the blocks. With fewer than six blocks it is their range. */
  readonly interval?: readonly [number, number]
  /** How often such an interval holds the true median: 0.95; less with fewer than six blocks. */
  readonly level?: number
  /** Blocks. */
  readonly n: number
  /** What minus what, in words. */
  readonly is: string
  readonly note?: string
}

/** One cell of the factorial. */
export interface Cell extends Readonly<Omit<CellPlan, 'answer' | 'repeat'>> {
  /** Tokens of the first answer. */
  readonly maxTokens?: number
  readonly n: number
  /** Request → first token where nothing interrupts, else interrupt → first token, ms. */
  readonly p50Ms?: number
  readonly p95Ms?: number
  readonly lost: number
  /** Medians of the phases of that time. */
  readonly phases?: readonly { readonly name: PhaseName; readonly ms: number }[]
}

export interface Slope {
  readonly handoff: string
  readonly transport: Transport
  /** ms of interrupt → first token a ms that the interrupt comes later, inside the first stage. */
  readonly value?: number
  /** 95 %, Student's t with the standard error of a bootstrap of whole blocks. */
  readonly interval?: readonly [number, number]
  /** ms, of the line at an interrupt at the call's start. */
  readonly intercept?: number
  /** Of a cloud: at most 1,000 interrupts, for the report to draw. */
  readonly points?: readonly { readonly sinceCallMs: number; readonly toFirstTokenMs: number }[]
  readonly n: number
}

/** The two runs that the claim came from, made again with their controls. All in ms, medians. */
export interface Replication {
  /** Interrupt → the second stage's first token. */
  readonly at100Ms?: number
  readonly at500Ms?: number
  readonly differenceMs?: number
  /** As a contrast has them. */
  readonly interval?: readonly [number, number]
  readonly level?: number
  readonly n: number
  /** The first stage's length here; in the original 187 ms. */
  readonly firstStageMs: number
  /** The same two with an abort in the drain's place. */
  readonly abortAt100Ms?: number
  /** What the difference consists of, largest first; they sum to it with `unattributed`. */
  readonly parts: readonly { readonly name: PhaseName | 'transport'; readonly ms: number }[]
  readonly transport: Transport
  readonly note: string
}

export interface Overhead {
  readonly schema: 'caesura.overhead/1'
  readonly execution: string
  readonly startedAt: string
  readonly durationMs: number
  readonly quick: boolean
  /** What it ran on: the same weights, prompt and number of tokens everywhere. */
  readonly setting: {
    readonly model: string
    readonly seed: number
    readonly blocks: number
    readonly maxTokens: number
    readonly promptTokens?: number
    readonly servers: readonly { readonly name: string; readonly version?: string; readonly address?: string }[]
    /** Transports that could not be measured, and why. */
    readonly skipped: readonly { readonly transport: string; readonly reason: string }[]
  }
  readonly contrasts: readonly Contrast[]
  /** Of drain over the HTTP that the answer is for. */
  readonly slopeInsideFirstStage: { readonly value?: number; readonly interval?: readonly [number, number] }
  readonly slopes: readonly Slope[]
  /** Over the HTTP that the answer is for. */
  readonly replication: Replication
  /** The same two runs with the same engine and no HTTP. */
  readonly replicationInProcess?: Replication
  readonly cells: readonly Cell[]
  readonly warmUps: number
  /** Why the figures must be read with care, if so. */
  readonly cautions: readonly string[]
  /** In one or two sentences, from the first contrasts of transport and drain, and the two runs. */
  readonly answer: string
  readonly finding: Finding
  /** Why nothing is known, a clause each; empty where something is. */
  readonly unknown: readonly string[]
  /** For which server the answer is, and what it does not tell. */
  readonly scope: string
}
