import type { Worker } from 'bullmq'
import { correlation, type Log } from '../core/log.ts'
import type { RunRecord } from '../core/record.ts'

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

/** What becomes of jobs beside what their own code says. */
export function tellFaults(worker: Worker, log: Log): void {
  // Without a listener a fault of BullMQ's would end the process.
  worker.on('error', (error) => {
    if (!isOfConnection(error)) log.debug(`the queue ${worker.name}: ${error.message}`)
  })
  worker.on('failed', (job, error) =>
    log.error(`the job ${job?.id ?? '(gone)'} of ${worker.name} has failed`, { queue: worker.name, error }),
  )
  worker.on('lockRenewalFailed', (ids) =>
    log.warn(`${ids.length === 1 ? 'the lock of a job is' : `the locks of ${ids.length} jobs are`} lost`, {
      queue: worker.name,
      jobs: ids.slice(0, MOST_IDS),
    }),
  )
}

const MOST_IDS = 20

/** Each attempt to reach a Redis that is away is one; that it is away is told once, elsewhere. */
const isOfConnection = (error: Error & { code?: unknown }): boolean =>
  typeof error.code === 'string' || /connection (is|in) clos/i.test(error.message)
