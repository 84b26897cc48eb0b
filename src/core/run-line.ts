import { correlation, type Log } from './log.ts'
import type { RunRecord } from './record.ts'

/** One line of a run that has ended: at `debug`, as there may be a thousand a second; `warn` where it failed. `input`: what it was asked. */
export function tellEnd(log: Log, record: RunRecord, input: string): void {
  const isFailed = record.outcome === 'failed'
  if (!log.has(isFailed ? 'warn' : 'debug')) return
  const { runId, traceId, outcome, cost, error, output, cancelReason } = record
  const interrupts = record.interrupts.filter(({ suppressed }) => suppressed === undefined)
  const ms = Math.round(record.durationMs)
  const sentence = `run ${runId} ${outcome}${error === undefined ? '' : ` (${error.code})`} in ${ms} ms: interrupts ${interrupts.length}, tokens ${cost.generatedTokens}, wasted ${cost.wastedTokens}`
  log[isFailed ? 'warn' : 'debug'](
    sentence,
    {
      ...correlation(runId, traceId),
      pipeline: record.pipeline,
      outcome,
      code: error?.code,
      duration_ms: ms,
      calls: record.stages.length,
      interrupts: interrupts.length,
      generated_tokens: cost.generatedTokens,
      wasted_tokens: cost.wastedTokens,
    },
    {
      ...{ input, output },
      ...(interrupts.length > 0 && { interrupts: interrupts.map((each) => each.input ?? '') }),
      ...{ error: error?.message, cancelReason },
    },
  )
}
