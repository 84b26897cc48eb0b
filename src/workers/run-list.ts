import { z } from 'zod'
import { type FleetRunLine, lineOf, type RunFilter } from '../core/fleet.ts'
import { present } from '../core/present.ts'
import { type RunRecord, recordSchema } from '../core/record.ts'
import type { FleetRedis } from './redis.ts'
import type { RunSpec } from './run-spec.ts'
import { parseJson } from './wire.ts'

/** What a page holds by default and at most. */
const PAGE = 50
const MOST_LISTED = 500
/** How many runs one page looks at, whatever it finds: it takes Redis a few milliseconds at most. */
const MOST_LOOKED_AT = 1000

/** What is told of a run, in the order of `list-runs.lua`. */
const LINE_FIELDS = ['line', 'status', 'submitted', 'seq', 'tenant', 'dead', 'pipeline', 'by'] as const
type Row = readonly (string | null)[]
/** What Redis holds of a run; null what it does not have. */
type Fields = Readonly<Record<(typeof LINE_FIELDS)[number], string | null>>

const fieldsOf = (values: Row): Fields =>
  Object.fromEntries(LINE_FIELDS.map((field, index) => [field, values[index] ?? null])) as Record<
    (typeof LINE_FIELDS)[number],
    string | null
  >

/** A place in a list: the run that a page ended with, by its score, in the runs that have not ended (0) or those that have (1). */
const cursorPattern = /^([01])(?:-(\d{1,16}(?:\.\d{1,6})?)-([A-Za-z0-9_-]{1,100}))?$/

const lineSchema = z.strictObject({
  pipeline: z.string(),
  submittedAt: z.number(),
  tenant: z.string(),
  seq: z.int(),
  submittedBy: z.string().optional(),
  ended: z.strictObject({
    outcome: recordSchema.shape.outcome,
    startedAt: z.string(),
    durationMs: z.number(),
    interrupts: z.int(),
    wastedTokens: z.number(),
    toFirstTokenMs: z.number().optional(),
  }),
})

/** What is known of a run beside its events and its record. */
export type Submitted = Pick<FleetRunLine, 'pipeline' | 'submittedAt' | 'tenant' | 'submittedBy'>

/** The field `line` of a run that has ended: what a list tells of it. `seq`: of its last event. */
export const lineText = ({ pipeline, submittedAt, tenant, submittedBy }: Submitted, seq: number, record: RunRecord) =>
  JSON.stringify({
    ...{ pipeline, submittedAt, tenant, seq },
    ...present({ submittedBy }),
    ended: lineOf(record),
  })

/** Newest first: those that have not ended, then those that have. Neither specs nor records are read of what this version wrote. */
export async function listRuns(
  redis: FleetRedis,
  filter: RunFilter,
): Promise<{ runs: FleetRunLine[]; cursor?: string }> {
  const limit = Math.min(filter.limit ?? PAGE, MOST_LISTED)
  const [, from = '0', fromScore = '', fromRun = ''] = cursorPattern.exec(filter.cursor ?? '0') ?? []
  const runs: FleetRunLine[] = []
  const sets = (['live', 'ended'] as const).filter((set) => filter.status === undefined || filter.status === set)
  for (const set of sets) {
    const index = set === 'live' ? 0 : 1
    // What has not ended has no outcome.
    if (index < Number(from) || (set === 'live' && filter.outcome !== undefined)) continue
    const [score, runId] = index === Number(from) ? [fromScore, fromRun] : ['', '']
    const [, lastScore, lastRun, rows] = await redis.call(
      'listRuns',
      set,
      wanted(filter.tenant),
      wanted(filter.pipeline),
      wanted(filter.outcome),
      score,
      runId,
      limit - runs.length,
      MOST_LOOKED_AT,
    )
    runs.push(...(await linesOf(redis, rows)).filter((line) => matches(line, filter)))
    if (lastScore !== '') return { runs, cursor: `${index}-${lastScore}-${lastRun}` }
    if (runs.length === limit && set !== sets.at(-1)) return { runs, cursor: '1' }
  }
  return { runs }
}

const wanted = (value: string | undefined): string => (value === undefined ? '' : `=${value}`)

const matches = ({ pipeline, ended }: FleetRunLine, filter: RunFilter): boolean =>
  (filter.pipeline === undefined || filter.pipeline === pipeline) &&
  (filter.outcome === undefined || filter.outcome === ended?.outcome)

/** Undefined where Redis knows no such run. */
export async function lookAt(redis: FleetRedis, runId: string): Promise<FleetRunLine | undefined> {
  const { client, keys } = redis
  const fields = await client.hmget(keys.run(runId), ...LINE_FIELDS)
  if (fields[1] === null) return undefined
  const [line] = await linesOf(redis, [[runId, ...fields]])
  return line
}

/** Of what another version wrote the spec and the record are read. */
async function linesOf({ client, keys }: FleetRedis, rows: readonly Row[]): Promise<FleetRunLine[]> {
  const runs = rows.map(([runId, ...values]) => ({ runId: runId!, fields: fieldsOf(values) }))
  const bare = runs.filter(({ fields }) => isBare(fields)).map(({ runId }) => runId)
  const found =
    bare.length === 0
      ? []
      : await client.pipeline(bare.map((runId) => ['hmget', keys.run(runId), 'spec', 'record'])).exec()
  const kept = new Map(bare.map((runId, index) => [runId, (found?.[index]?.[1] ?? []) as Row]))
  return runs.map(({ runId, fields }) => {
    const read = readLine(fields.line)
    if (read !== undefined) return { runId, status: 'ended', ...read }
    const [spec = null, record = null] = kept.get(runId) ?? []
    return runLineOf(runId, fields, readBare(spec, record))
  })
}

const isBare = ({ line, status, dead, pipeline }: Fields): boolean =>
  line === null && (pipeline === null || (status === 'ended' && dead === null))

function runLineOf(runId: string, fields: Fields, bare: ReturnType<typeof readBare>): FleetRunLine {
  const { status, submitted, seq, tenant, dead, pipeline, by } = fields
  const { record } = bare
  return {
    runId,
    pipeline: pipeline ?? bare.pipeline,
    status: status === 'ended' ? 'ended' : seq === '0' ? 'waiting' : 'running',
    submittedAt: Number(submitted ?? 0),
    tenant: tenant ?? '',
    seq: Number(seq ?? 0),
    ...(by !== null && { submittedBy: by }),
    ...(record !== undefined && { ended: lineOf(record) }),
    ...(dead !== null ? { dead: reasonOf(dead) } : status === 'ended' && record === undefined && { dead: UNREADABLE }),
  }
}

/** Why a run was put aside. An older version wrote the sentence alone. */
const reasonOf = (dead: string): string => (Object(parseJson(dead)) as { message?: string }).message ?? dead

export const UNREADABLE = 'its record is of another version'

/** Of a run that this version has not written: its pipeline, and its record where it can be read. */
export function readBare(spec: string | null, record: string | null): { pipeline: string; record?: RunRecord } {
  const read = readRecord(record)
  return { pipeline: inSpec(spec, ({ pipeline }) => pipeline.name), ...present({ record: read }) }
}

/** Undefined where it is none, or one of another version. */
export function readRecord(record: string | null | undefined): RunRecord | undefined {
  const read = recordSchema.safeParse(parseJson(record))
  return read.success ? read.data : undefined
}

function readLine(line: string | null | undefined): Omit<FleetRunLine, 'runId' | 'status'> | undefined {
  if (line == null) return undefined
  const read = lineSchema.safeParse(parseJson(line))
  return read.success ? (read.data as Omit<FleetRunLine, 'runId' | 'status'>) : undefined
}

/** Of a spec as it was kept; '' where it is unreadable: such a run is listed all the same. */
export function inSpec(spec: string | null | undefined, part: (spec: RunSpec) => string): string {
  try {
    return part(JSON.parse(spec ?? '') as RunSpec)
  } catch {
    return ''
  }
}
