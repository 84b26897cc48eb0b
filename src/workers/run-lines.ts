import type { Worker } from 'bullmq'
import type { Log } from '../core/log.ts'

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
