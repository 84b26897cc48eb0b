import type { ProbeResult } from '../src/core/probe.ts'

/** A probe written by hand in which everything was measured, for tests of what stores and draws it. */
export const fullProbe: ProbeResult = {
  schema: 'caesura.probe/1',
  node: 'gpu-1',
  address: 'http://127.0.0.1:11434',
  server: { kind: 'ollama', version: '0.24.0' },
  model: 'smollm2:135m',
  measuredAt: '2026-08-01T10:00:00.000Z',
  durationMs: 45_900,
  firstTokenMs: { p50: 111, p95: 120, n: 5 },
  tokensPerSecond: { prefill: 184, decode: 146 },
  warmPreparationMs: 27,
  longPrompt: { tokens: 821, prefillMs: 4_390 },
  slotFreeAfterAbortMs: {
    decode: { p50: 7.6, p95: 48, n: 5 },
    prefill: { p50: 3_190, p95: 3_950, n: 5 },
    queue: { p50: 6.1, p95: 8.6, n: 5 },
    load: { p50: 40, p95: 140, n: 5 },
  },
  witness: 'call',
  prefillStops: 'never',
  slots: 1,
  prefixReuse: true,
  advice: ['An abort while tokens come costs the next call 7.6 ms: abort is cheap in decode.'],
  notes: ['2 of 15 calls after an abort were faster than on an idle server; they count as 0.'],
}
