import type { ProbeResult } from '../core/probe.ts'
import { type Findings, hiddenMs } from './findings.ts'
import { medianOf } from './samples.ts'
import { TWO_BATCHES_TOKENS } from './speed.ts'

/** An abort at `share` of the long prompt's prefill. */
export interface PrefillSample {
  readonly share: number
  readonly lagMs: number
}

/** A lag of so much of what was left of the prefill means that it ran to its end; noise takes the rest. */
const RAN_ON = 0.7
/** A lag below so much of the prefill means that it did not wait for a batch: it is 20 of 1,000 tokens. */
const AT_ONCE = 0.02
/** Fewer may by chance all lie at the end of a batch. */
export const SAMPLES_OF_AT_ONCE = 3

/**
 * Whether the server stops a prefill, by how long the slot stayed busy: to the end of the prompt, for a part of it, or not at
 * all. Undefined where one long batch and a prefill that never stops look alike, or where the lag is hidden.
 */
export function prefillStops(samples: readonly PrefillSample[], findings: Findings): ProbeResult['prefillStops'] {
  const { long, firstToken } = findings
  if (long === undefined || samples.length === 0) return undefined
  // A call that has to be prepared for itself does not see what the slot does meanwhile.
  const rest = (share: number) => Math.max((1 - share) * long.prefillMs - hiddenMs(findings), long.prefillMs / 10)
  const ranOn = medianOf(samples.map(({ share, lagMs }) => lagMs / rest(share))) ?? 0
  if (ranOn >= RAN_ON) return (long.tokens ?? 0) >= TWO_BATCHES_TOKENS ? 'never' : undefined
  const idle = medianOf(firstToken) ?? 0
  const noise = medianOf(firstToken.map((ms) => Math.abs(ms - idle))) ?? 0
  const atOnce = Math.max(AT_ONCE * long.prefillMs, Math.min(2 * noise, long.prefillMs / 10))
  const longest = Math.max(...samples.map(({ lagMs }) => lagMs))
  if (longest > atOnce) return 'between-batches'
  return samples.length >= SAMPLES_OF_AT_ONCE && longest + hiddenMs(findings) <= atOnce ? 'at-once' : undefined
}
