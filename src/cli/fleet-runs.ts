import { CaesuraError } from '../core/errors.ts'
import type { FleetRunLine, RunFilter } from '../core/fleet.ts'
import { present } from '../core/present.ts'
import type { RunRecord } from '../core/record.ts'
import { type FleetFlags, findRun, onFleet } from './on-fleet.ts'

/** As many as one page of the fleet holds. */
const PAGE = 500

/** The newest runs of a fleet, those that have not ended first. */
export async function fleetRuns(flags: FleetFlags, { limit, ...filter }: RunFilter & { readonly limit: number }) {
  const runs = await onFleet(flags, async (fleet) => {
    const found: FleetRunLine[] = []
    let cursor: string | undefined
    do {
      const page = await fleet.list({
        ...filter,
        limit: Math.min(PAGE, limit - found.length),
        ...present({ cursor }),
      })
      found.push(...page.runs)
      cursor = page.cursor
    } while (cursor !== undefined && found.length < limit)
    return found
  })
  return { where: 'this fleet', runs: runs.map(summary) }
}

/** As the records file summarizes a run, as far as it has come. */
function summary({ runId, pipeline, status, submittedAt, tenant, submittedBy, ended, dead }: FleetRunLine) {
  return {
    runId,
    pipeline,
    status: dead === undefined ? status : ('put aside' as const),
    startedAt: ended?.startedAt ?? new Date(submittedAt).toISOString(),
    ...(tenant !== '' && { tenant }),
    ...present({ submittedBy, reason: dead }),
    ...ended,
  }
}

/** The record of a run that has ended. Throws `CAESURA_E_RUN_UNKNOWN`, and `CAESURA_E_STATE` for a run that was put aside. */
export async function fleetRecord(run: string, flags: FleetFlags): Promise<RunRecord> {
  const { runId, record, status, dead } = await onFleet(flags, (fleet) => findRun(fleet, run))
  if (record !== undefined) return record
  if (dead !== undefined) throw new CaesuraError('CAESURA_E_STATE', `the run ${runId} was put aside: ${dead}`)
  throw new CaesuraError('CAESURA_E_USAGE', `the run ${runId} has no record yet: it is ${status}`, { received: run })
}
