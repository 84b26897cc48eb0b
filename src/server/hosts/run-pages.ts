import type { RunFilter } from '../../core/fleet.ts'
import type { EndedFilter, HostedRunStore } from '../../core/hosting.ts'
import { present } from '../../core/present.ts'
import type { HostedRunLine } from '../../core/run-host.ts'
import type { KeptRun } from './kept-run.ts'
import { storedLine } from './stored-line.ts'

/** What a page holds by default and at most. */
const PAGE = 50
const MOST_LISTED = 500

/** A place in a list: the run that a page ended with, in the runs that have not ended (0) or those that have (1). */
const cursorPattern = /^([01])(?:-(\d{1,16}(?:\.\d{1,6})?)-([A-Za-z0-9_-]{1,100}))?$/
type Place = NonNullable<EndedFilter['before']>

/** Newest first: those that have not ended, then those that have. */
export function listRuns(
  live: readonly KeptRun[],
  store: Pick<HostedRunStore, 'listEnded'>,
  filter: RunFilter,
): { readonly runs: readonly HostedRunLine[]; readonly cursor?: string } {
  const limit = Math.min(filter.limit ?? PAGE, MOST_LISTED)
  const [, part = '0', at, runId] = cursorPattern.exec(filter.cursor ?? '0') ?? []
  const before = at === undefined || runId === undefined ? undefined : { submittedAt: Number(at), runId }
  const runs: HostedRunLine[] = []
  // What has not ended has no outcome.
  if (part === '0' && filter.status !== 'ended' && filter.outcome === undefined) {
    const found = livePage(live, filter, before)
    runs.push(...found.slice(0, limit))
    if (found.length > limit) return { runs, cursor: cursorOf(0, runs.at(-1)!) }
  }
  if (filter.status === 'live') return { runs }
  if (runs.length === limit) return { runs, cursor: '1' }
  const { pipeline, tenant, outcome } = filter
  const ended = store.listEnded({
    ...present({ pipeline, tenant, outcome }),
    ...(part === '1' && before !== undefined && { before }),
    // One more says whether there is more.
    limit: limit - runs.length + 1,
  })
  const isMore = ended.length > limit - runs.length
  runs.push(...ended.slice(0, limit - runs.length).map(storedLine))
  return { runs, ...(isMore && { cursor: cursorOf(1, runs.at(-1)!) }) }
}

const cursorOf = (part: 0 | 1, { submittedAt, runId }: Place): string => `${part}-${submittedAt}-${runId}`

function livePage(live: readonly KeptRun[], filter: RunFilter, before: Place | undefined): HostedRunLine[] {
  const { pipeline, tenant } = filter
  return live
    .map(({ line }) => line)
    .filter((line) => pipeline === undefined || line.pipeline === pipeline)
    .filter((line) => tenant === undefined || line.tenant === tenant)
    .filter((line) => before === undefined || isOlder(line, before))
    .sort((a, b) => (isOlder(a, b) ? 1 : -1))
}

const isOlder = (a: Place, b: Place): boolean =>
  a.submittedAt === b.submittedAt ? a.runId < b.runId : a.submittedAt < b.submittedAt
