import type { RunEvent } from '../../src/core/event.ts'
import type { RunRecord } from '../../src/core/record.ts'
import { draftPrompt, refinePrompt, tokensFor } from './text.ts'

/** What was done to a run, and what was seen of it. */
export interface Story {
  readonly runId: string
  readonly input: string
  /** Whether this run was ordered to be cancelled. */
  cancelled: boolean
  /** The inputs of the signals that were sent to it. */
  readonly signals: string[]
  /** As they came to the reader. */
  readonly events: RunEvent[]
  record?: RunRecord
  failure?: string
}

export interface Faults {
  wrongText: string[]
  crossKills: string[]
  doubled: string[]
}

/** Compares what a run said with what it should have. `kept`: its events as Redis has them. */
export function verify(story: Story, kept: readonly RunEvent[], faults: Faults): void {
  const { runId, record, events } = story
  if (record === undefined) return
  const wrong = (what: string) => faults.wrongText.push(`${runId}: ${what}`)
  if (JSON.stringify(events) !== JSON.stringify(kept)) wrong('what the reader saw is not what is kept')
  if (events.some(({ seq }, index) => seq !== index + 1)) wrong('an event is missing, or came twice')
  if (record.outcome === 'cancelled' && !story.cancelled) faults.crossKills.push(`${runId}: cancelled`)
  if (record.outcome === 'failed') wrong(`failed: ${record.error?.code} ${record.error?.message}`)
  const own = new Set(['after', 'tokens', ...story.signals])
  for (const { input } of record.interrupts) {
    if (input !== undefined && !own.has(input)) faults.crossKills.push(`${runId}: interrupted with ${input}`)
  }
  for (const stage of record.stages) {
    const told = events
      .flatMap((event) => (event.type === 'token' && event.callId === stage.callId ? event.text : []))
      .join('')
    if (told !== stage.text) wrong(`${stage.callId}: told ${told.length} characters of ${stage.text?.length}`)
    const lostWorker = stage.settlement === 'failed' && stage.error?.code === 'CAESURA_E_WORKER_LOST'
    const wasOrdered = stage.settlement === 'aborted' || stage.settlement === 'withdrawn'
    if (wasOrdered && !story.cancelled && record.interrupts.length === 0)
      faults.crossKills.push(`${runId} ${stage.callId}: ${stage.settlement}`)
    const expected =
      stage.id === 'draft'
        ? tokensFor('draft', draftPrompt(story.input))
        : refineTokens(story, record, events, stage.callId)
    if (expected === undefined) continue
    const whole = expected.join('')
    if (!whole.startsWith(stage.text ?? ''))
      wrong(
        `${stage.callId}: ${JSON.stringify(stage.text?.slice(0, 40))} is no beginning of ${JSON.stringify(whole.slice(0, 40))}`,
      )
    if (!lostWorker && (stage.settlement === 'completed' || stage.settlement === 'drained') && stage.text !== whole)
      wrong(`${stage.callId}: ended early`)
  }
  if (record.outcome === 'completed' && record.output !== record.stages.at(-1)?.text && record.output === undefined)
    wrong('no output')
}

/** What a refine call had to say: it follows from what stood of the draft and the newest input when it was entered. */
function refineTokens(
  story: Story,
  record: RunRecord,
  events: readonly RunEvent[],
  callId: string,
): string[] | undefined {
  // An attempt after a lost worker asks what the first one asked.
  const attempt = record.stages.findIndex((stage) => stage.callId === callId)
  const earlier = record.stages.slice(0, attempt).findLast(({ id }) => id === 'refine')
  if (earlier?.error?.code === 'CAESURA_E_WORKER_LOST') return refineTokens(story, record, events, earlier.callId!)
  const startedAt = events.find((event) => event.type === 'stage-start' && event.callId === callId)?.seq ?? 0
  const before = events.slice(0, startedAt - 1)
  const commit = before.findLast((event) => event.type === 'output-commit' && event.stage === 'draft')
  const draft = commit?.type === 'output-commit' ? commit : undefined
  const text = record.stages.find((stage) => stage.callId === draft?.callId)?.text ?? ''
  const signals = before.flatMap((event) => (event.type === 'interrupt-signal' ? [event] : []))
  const change = signals.findLast(({ input }) => input !== undefined)?.input ?? ''
  return tokensFor('refine', refinePrompt(story.input, text.slice(0, draft?.characters ?? 0), change))
}
