import type { CallRecord, InterruptRecord, RunRecord } from '../src/core/record.ts'

/** Records written by hand, for tests of what stores and draws them. Every figure adds up as a real run's does. */

export const draftAborted: CallRecord = {
  id: 'draft',
  callId: 'draft.1.1',
  attempt: 1,
  node: 'embedded',
  backend: 'llama-cpp',
  model: 'caesura-demo-3m',
  settlement: 'aborted',
  text: 'To descale your kettle, fill it with equal parts',
  tokens: { prompt: 40, generated: 12, delivered: 12, wasted: 12 },
  startMs: 0.2,
  firstTokenMs: 20,
  lastTokenMs: 60,
  settledMs: 70,
  slotMs: 69,
  wastedSlotMs: 69,
  marks: [
    { name: 'call-start', ms: 0.2 },
    { name: 'slot-acquired', ms: 1 },
    { name: 'first-token', ms: 20 },
    { name: 'last-token', ms: 60 },
    { name: 'interrupt', ms: 60 },
    { name: 'abort-requested', ms: 60 },
    { name: 'closed', ms: 69 },
    { name: 'slot-released', ms: 70 },
    { name: 'settled', ms: 70 },
  ],
}

export const refineCompleted: CallRecord = {
  id: 'refine',
  callId: 'refine.1.1',
  attempt: 1,
  node: 'embedded',
  backend: 'llama-cpp',
  model: 'caesura-demo-3m',
  settlement: 'completed',
  finishReason: 'stop',
  text: 'Without vinegar, use citric acid instead.',
  tokens: { prompt: 52, generated: 60, delivered: 60, wasted: 0 },
  startMs: 70,
  firstTokenMs: 160,
  lastTokenMs: 390,
  settledMs: 400,
  slotMs: 329,
  wastedSlotMs: 0,
  marks: [
    { name: 'call-start', ms: 70 },
    { name: 'slot-acquired', ms: 71 },
    { name: 'prefill-start', ms: 71 },
    { name: 'prefill-end', ms: 158 },
    { name: 'first-token', ms: 160 },
    { name: 'last-token', ms: 390 },
    { name: 'settled', ms: 400 },
  ],
}

export const abortInterrupt: InterruptRecord = {
  at: 60,
  from: 'draft',
  fromCall: 'draft.1.1',
  to: 'refine',
  toCall: 'refine.1.1',
  trigger: 'signal',
  input: 'I have no vinegar.',
  response: 'abort',
  decision: 'abort',
  reason: 'the policy says abort',
  carry: 'sentences',
  superseded: false,
  toFirstTokenMs: 100,
  phases: [
    { name: 'decide', ms: 0.1, source: 'observed' },
    { name: 'settle', ms: 9.9, source: 'observed' },
    { name: 'slot', ms: 1, source: 'observed' },
    { name: 'prefill', ms: 87, source: 'inferred' },
    { name: 'unattributed', ms: 2, source: 'observed' },
  ],
}

export const interruptedRun: RunRecord = {
  schema: 'caesura.record/1',
  runId: '01JABCDEF0',
  pipeline: 'draft-refine',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  outcome: 'completed',
  output: 'Without vinegar, use citric acid instead.',
  startedAt: '2026-08-01T10:00:00.000Z',
  durationMs: 400,
  stages: [draftAborted, refineCompleted],
  interrupts: [abortInterrupt],
  cost: { generatedTokens: 72, wastedTokens: 12, slotMs: 398, wastedSlotMs: 69 },
}

export const plainRun: RunRecord = {
  ...interruptedRun,
  runId: '01JXYZ0000',
  startedAt: '2026-08-01T09:00:00.000Z',
  stages: [{ ...refineCompleted, id: 'only', callId: 'only.1.1' }],
  interrupts: [],
  cost: { generatedTokens: 60, wastedTokens: 0, slotMs: 329, wastedSlotMs: 0 },
}
