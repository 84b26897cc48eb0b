import type { NotedRun } from '../../core/hosting.ts'
import { present } from '../../core/present.ts'
import type { HostedRunLine } from '../../core/run-host.ts'

/** Of a run that is not in memory: it has ended. */
export function storedLine({ runId, pipeline, tenant, submittedAt, submittedBy, seq, ended }: NotedRun): HostedRunLine {
  return {
    ...{ runId, pipeline, status: 'ended', submittedAt, tenant, seq, eventsGone: true },
    ...present({ submittedBy }),
    ...(ended === undefined ? { dead: 'its record could not be written' } : { ended }),
  }
}
