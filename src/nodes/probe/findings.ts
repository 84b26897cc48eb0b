import type { ProbeResult } from '../../core/probe.ts'
import type { Fillers } from './fillers.ts'
import type { Line } from './line.ts'
import type { Residence } from './residence.ts'
import { medianOf } from './samples.ts'

/** What a probe has measured so far. Samples in ms; each step adds its own, so that a stopped probe keeps them. */
export interface Findings {
  /** Sent → first token of a short prompt. */
  readonly firstToken: number[]
  /** Sent → first token of the very first call, which may have loaded the model. */
  firstCallMs?: number
  /** Sent → first token of a short prompt where the model had to be loaded. */
  readonly coldFirstToken: number[]
  readonly shortTokens: number[]
  /** As the server reports or marks it. */
  readonly preparation: number[]
  readonly tokenInterval: number[]
  /** Tokens a second, by the server's report or marks. */
  readonly prefillRate: number[]
  long?: LongPrompt
  /** Calls at once; `bounded` when there may be more. */
  slots?: { readonly count: number; readonly bounded: boolean }
  prefixReuse?: boolean
  /** Before clipping: less than 0 where the call after the abort was faster than on an idle server. */
  readonly lags: Record<'decode' | 'prefill' | 'queue' | 'load', number[]>
  /** What became of the prefill is told from all of them, at the end. */
  readonly prefillAborts: PrefillAbort[]
  abortedLoad?: NonNullable<ProbeResult['abortedLoad']>
  witness?: 'call' | 'server'
  /** Aborts that lost a slot, which was brought back. */
  wedges: number
  readonly notes: string[]
}

/** The prompt that prefill is measured with. */
export interface LongPrompt {
  readonly sentences: number
  readonly tokens?: number
  /** Median of sent → first token, ms. */
  readonly ttftMs: number
  /** What of it is the prompt's length, ms. */
  readonly prefillMs: number
  /** How far a single time lay from that median, at most, ms: before the aborts, and after them. */
  readonly spreadMs: number
}

/** An abort in the prefill of the long prompt. */
export interface PrefillAbort {
  /** How much of the prefill was left, ms. */
  readonly restMs: number
  /** How much later the slot was seen free than on an idle server, ms, before clipping. */
  readonly lagMs: number
}

export const noFindings = (): Findings => ({
  firstToken: [],
  coldFirstToken: [],
  shortTokens: [],
  preparation: [],
  tokenInterval: [],
  prefillRate: [],
  lags: { decode: [], prefill: [], queue: [], load: [] },
  prefillAborts: [],
  wedges: 0,
  notes: [],
})

/** What each step of a probe works with. */
export interface Step {
  readonly line: Line
  readonly findings: Findings
  /** Shared by all steps. */
  readonly fillers: Fillers
  readonly residence: Residence
  readonly repetitions: number
  /** Tells how far the step is. */
  tell(done: number, of: number): void
}

/** Median sent → first token of a short prompt, ms. Every step after the first has it. */
export const idleMs = ({ firstToken }: Findings): number => medianOf(firstToken) ?? 0

/** Median ms before a call to a loaded model asks for its slot; 0 where it is not known. */
export const hiddenMs = ({ preparation }: Findings): number => medianOf(preparation) ?? 0

/**
 * What an abort may take without being seen by the call that looks for its slot: that call has to be prepared itself. Where the
 * preparation is not known, it is less than the whole time to first token. 0 where the server itself says when a slot is free.
 */
export const hiddenBoundMs = (findings: Findings): number =>
  findings.witness === 'server' ? 0 : (medianOf(findings.preparation) ?? idleMs(findings))

/** Tokens that take about `ms` to generate, within bounds. */
export function tokensFor(ms: number, { tokenInterval }: Findings, least: number, most: number): number {
  const interval = medianOf(tokenInterval)
  return interval === undefined ? most : Math.min(most, Math.max(least, Math.ceil(ms / interval)))
}
