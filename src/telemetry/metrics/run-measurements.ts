import type { Labels } from '../../core/figures.ts'
import type { CallRecord, InterruptRecord, RunRecord } from '../../core/record.ts'
import type { RunMetricName } from '../metric-table.ts'
import { attribute as key } from '../semconv.ts'

/** Tells a value of a metric: seconds, or a number of what is counted. */
export type Take = (name: RunMetricName, value: number, labels: Labels) => void

/**
 * What a run that has ended adds to the figures. Calls and interrupts that were cut off are in them as what they are: a call that
 * never had a token has no time to it, and an interrupt that led to none is counted, without a length.
 */
export function measureRun(record: RunRecord, take: Take): void {
  const { pipeline, outcome, error, stages, interrupts, experiment } = record
  take('gen_ai.workflow.duration', record.durationMs / 1000, {
    [key.workflowName]: pipeline,
    [key.outcome]: outcome,
    ...(outcome === 'failed' && { [key.errorType]: error?.code ?? 'CAESURA_E_INTERNAL' }),
  })
  if (experiment !== undefined)
    take('caesura.experiment.runs', 1, {
      [key.flagKey]: experiment.name,
      [key.flagVariant]: experiment.arm,
      [key.exposed]: String(experiment.exposedMs !== undefined),
    })
  for (const call of stages) measureCall(call, take)
  for (const interrupt of interrupts) measureInterrupt(interrupt, stages, take)
}

function measureCall(call: CallRecord, take: Take): void {
  const { settlement, tokens, firstTokenMs, lastTokenMs, model } = call
  // A fixed text is no operation of a model.
  if (model === undefined) return
  const slotAt = call.marks.find(({ name }) => name === 'slot-acquired')?.ms
  // As the span of the call has it.
  const startMs = slotAt ?? call.startMs
  const labels = {
    [key.operationName]: 'chat',
    [key.providerName]: call.backend ?? 'unknown',
    [key.requestModel]: model,
  }
  take('gen_ai.client.operation.duration', seconds(call.settledMs - startMs), {
    ...labels,
    [key.settlement]: settlement,
    ...(settlement === 'failed' && { [key.errorType]: call.error?.code ?? 'CAESURA_E_INTERNAL' }),
  })
  if (firstTokenMs !== undefined && slotAt !== undefined) {
    const onNode = call.node === undefined ? labels : { ...labels, [key.node]: call.node }
    take('gen_ai.client.operation.time_to_first_chunk', seconds(firstTokenMs - slotAt), onNode)
    // Between the first text and the last no thinking is counted.
    const ofText = tokens.generated - (tokens.thinking ?? 0)
    if (lastTokenMs !== undefined && lastTokenMs > firstTokenMs && ofText > 1)
      take('gen_ai.client.operation.time_per_output_chunk', seconds(lastTokenMs - firstTokenMs) / (ofText - 1), onNode)
  }
  const used = (type: 'input' | 'output') => ({ ...labels, [key.tokenType]: type, [key.settlement]: settlement })
  if (tokens.prompt !== undefined) take('gen_ai.client.token.usage', tokens.prompt, used('input'))
  // No token of a call that was cut off before its first is not a reply of length 0.
  if (tokens.generated > 0 || settlement === 'completed')
    take('gen_ai.client.token.usage', tokens.generated, used('output'))

  const cost = {
    [key.requestModel]: model,
    ...(call.policy !== undefined && { [key.policy]: call.policy }),
    [key.settlement]: settlement,
  }
  take('caesura.tokens.generated', tokens.generated, cost)
  take('caesura.tokens.wasted', tokens.wasted, cost)
  take('caesura.slot.held', call.slotMs / 1000, cost)
  take('caesura.slot.wasted', call.wastedSlotMs / 1000, cost)
}

function measureInterrupt(interrupt: InterruptRecord, calls: readonly CallRecord[], take: Take): void {
  const { suppressed, superseded, toFirstTokenMs, toSilenceMs, response, decision } = interrupt
  const fate = suppressed ? 'suppressed' : superseded ? 'superseded' : 'handled'
  // The model that was waited for; where the run went nowhere, the one that was interrupted.
  const id = interrupt.toCall ?? interrupt.fromCall
  const model = calls.find(({ callId }) => callId === id)?.model
  const labels = {
    [key.response]: response,
    [key.decision]: decision,
    ...(model !== undefined && { [key.requestModel]: model }),
  }
  take('caesura.interrupts', 1, { [key.interruptFate]: fate, ...labels })
  if (fate === 'handled' && toSilenceMs !== undefined)
    take('caesura.interrupt.to_silence', seconds(toSilenceMs), labels)
  if (fate !== 'handled' || toFirstTokenMs === undefined) return
  take('caesura.interrupt.to_first_token', seconds(toFirstTokenMs), labels)
  for (const { name, ms } of interrupt.phases)
    take('caesura.interrupt.phase', seconds(ms), { [key.phase]: name, ...labels })
}

/** Two processes' clocks may be apart by more than what is between two marks. */
const seconds = (ms: number): number => Math.max(0, ms) / 1000
