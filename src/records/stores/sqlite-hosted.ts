import type { DatabaseSync } from 'node:sqlite'
import type { RunLine } from '../../core/fleet.ts'
import type { EndedFilter, HostedRunStore, LostRun, NotedRun, RunNote } from '../../core/hosting.ts'
import { recordSchema } from '../../core/record.ts'
import { guard, inTransaction } from './sqlite-file.ts'

const NOTE = `
  INSERT INTO hosted (run_id, trace_id, pipeline, tenant, submitted_unix_ms, submitted_by, fingerprint, seen_unix_ms)
  SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM runs WHERE run_id = ?)
  ON CONFLICT DO NOTHING
`
const END = `
  UPDATE hosted SET ended = 1, seq = max(seq, ?) WHERE run_id = ? AND EXISTS (SELECT 1 FROM runs WHERE run_id = hosted.run_id)
`
const COLUMNS = `
  hosted.run_id, hosted.trace_id, hosted.pipeline, tenant, submitted_unix_ms, submitted_by, fingerprint, seq, seen_unix_ms,
  outcome, started_at, duration_ms, interrupts, to_first_token_ms, wasted_tokens
`
const NOTED = `
  SELECT ${COLUMNS} FROM hosted LEFT JOIN runs ON ended = 1 AND runs.run_id = hosted.run_id WHERE hosted.run_id = ?
`
const LIST = `
  SELECT ${COLUMNS} FROM hosted JOIN runs ON runs.run_id = hosted.run_id
  WHERE ended = 1 AND (? IS NULL OR hosted.pipeline = ?) AND (? IS NULL OR tenant = ?) AND (? IS NULL OR outcome = ?)
    AND (? IS NULL OR (submitted_unix_ms, hosted.run_id) < (?, ?))
  ORDER BY submitted_unix_ms DESC, hosted.run_id DESC LIMIT ?
`

/** The runs that a process hosts for others: one row each, beside the record that comes when it has ended. */
export function sqliteHosted(file: string, database: DatabaseSync): HostedRunStore {
  return {
    note({ runId, traceId, pipeline, tenant, submittedAt, submittedBy, fingerprint }) {
      return guard(file, () => {
        const row = [runId, traceId, pipeline, tenant, submittedAt, submittedBy ?? null, fingerprint ?? null] as const
        return Number(database.prepare(NOTE).run(...row, submittedAt, runId).changes) > 0
      })
    },
    seen(runs, at) {
      if (runs.length === 0) return
      guard(file, () => {
        const update = database.prepare('UPDATE hosted SET seq = ?, seen_unix_ms = ? WHERE run_id = ? AND ended = 0')
        inTransaction(database, () => {
          for (const { runId, seq } of runs) update.run(seq, at, runId)
        })
      })
    },
    ended: (runId, seq) => guard(file, () => Number(database.prepare(END).run(seq, runId).changes) > 0),
    noted(runId) {
      return guard(file, () => {
        const row = database.prepare(NOTED).get(runId)
        return row && notedRun(row)
      })
    },
    recordedTrace(runId) {
      return guard(file, () => {
        const row = database.prepare("SELECT record ->> '$.traceId' AS trace FROM runs WHERE run_id = ?").get(runId)
        return row && String(row.trace)
      })
    },
    listEnded: (filter) =>
      guard(file, () =>
        database
          .prepare(LIST)
          .all(...wanted(filter))
          .map(notedRun),
      ),
    unended: () =>
      guard(file, () =>
        database.prepare('SELECT * FROM hosted WHERE ended = 0 ORDER BY submitted_unix_ms').all().map(lost),
      ),
  }
}

// Node 22 binds plain `?` only.
function wanted({ pipeline = null, tenant = null, outcome = null, before, limit }: Nullable<EndedFilter>) {
  const at = before?.submittedAt ?? null
  return [pipeline, pipeline, tenant, tenant, outcome, outcome, at, at, before?.runId ?? null, limit] as const
}
type Nullable<T extends EndedFilter> = Omit<T, 'pipeline' | 'tenant' | 'outcome'> & {
  readonly [K in 'pipeline' | 'tenant' | 'outcome']?: T[K] | null
}

type Row = Record<string, unknown>

function noteOf(row: Row): RunNote {
  return {
    runId: String(row.run_id),
    traceId: String(row.trace_id),
    pipeline: String(row.pipeline),
    tenant: String(row.tenant),
    submittedAt: Number(row.submitted_unix_ms),
    ...(row.submitted_by !== null && { submittedBy: String(row.submitted_by) }),
    ...(row.fingerprint !== null && { fingerprint: String(row.fingerprint) }),
  }
}

const lost = (row: Row): LostRun => ({ ...noteOf(row), seenAt: Number(row.seen_unix_ms) })

const notedRun = (row: Row): NotedRun => ({
  ...noteOf(row),
  seq: Number(row.seq),
  ...(row.outcome !== null && { ended: lineOf(row) }),
})

const lineOf = (row: Row): RunLine => ({
  outcome: recordSchema.shape.outcome.parse(row.outcome),
  startedAt: String(row.started_at),
  durationMs: Number(row.duration_ms),
  interrupts: Number(row.interrupts),
  wastedTokens: Number(row.wasted_tokens),
  ...(row.to_first_token_ms !== null && { toFirstTokenMs: Number(row.to_first_token_ms) }),
})
