import type { DatabaseSync } from 'node:sqlite'
import { CaesuraError } from '../../core/errors.ts'
import type { HostedRunStore } from '../../core/hosting.ts'
import type { ExperimentStore, RunStore, RunSummary } from '../../core/ports.ts'
import { type ProbeResult, probeResultSchema } from '../../core/probe.ts'
import { type RunRecord, recordSchema } from '../../core/record.ts'
import type { SessionStore } from '../../core/session.ts'
import { trialOf } from '../../core/trial.ts'
import { asConductor, sqliteConductors } from './sqlite-conductors.ts'
import { sqliteExperiments } from './sqlite-experiments.ts'
import { guard, inTransaction, openDatabase, parseRow } from './sqlite-file.ts'
import { sqliteHosted } from './sqlite-hosted.ts'
import { sqliteSessions } from './sqlite-sessions.ts'
import { trialRow, WRITE_TRIAL } from './sqlite-trial-row.ts'

// Node 22 binds plain `?` only: it does not map `?1` used twice.

const INSERT = `
  INSERT INTO runs (run_id, pipeline, outcome, started_at, duration_ms, interrupts, to_first_token_ms, wasted_tokens, record)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
`

/** Of a run that no `ab` and no `overhead` made: a trial on live traffic has no execution. */
const NO_TRIAL = "NOT EXISTS (SELECT 1 FROM trials WHERE trials.sequence = runs.sequence AND trials.execution <> '')"

/**
 * Keeps records in one SQLite file, which several processes may read and write at once. Makes the file and its folder.
 * Throws `CAESURA_E_RECORDS` when the file cannot be used: not a database, read-only, full disk, a newer version's.
 */
export function sqliteStore(
  file: string,
): RunStore & ExperimentStore & HostedRunStore & { readonly sessions: SessionStore } {
  const database = guard(file, () => openDatabase(file))
  let closed = false
  return {
    write(record) {
      guard(file, () => write(database, record))
    },
    writeAs(owner, record) {
      guard(file, () => asConductor(database, owner, () => insert(database, record)))
    },
    read(run) {
      return guard(file, () => parseRow<RunRecord>(file, recordSchema, find(database, run)))
    },
    list({ limit, pipeline, trials = true } = {}) {
      return guard(file, () =>
        database
          .prepare(
            `SELECT run_id, pipeline, outcome, started_at, duration_ms, interrupts, to_first_token_ms, wasted_tokens
             FROM runs WHERE (? IS NULL OR pipeline = ?)${trials ? '' : ` AND ${NO_TRIAL}`}
             ORDER BY started_at DESC, sequence DESC LIMIT ?`,
          )
          .all(pipeline ?? null, pipeline ?? null, limit ?? -1)
          .map(summary),
      )
    },
    writeProbe(result) {
      guard(file, () =>
        database
          .prepare('INSERT INTO probes (node, address, model, measured_at, result) VALUES (?, ?, ?, ?, ?)')
          .run(result.node, result.address ?? '', result.model, result.measuredAt, JSON.stringify(result)),
      )
    },
    readProbe({ node, address, model }) {
      return guard(file, () => {
        const newest = database
          .prepare(
            `SELECT result FROM probes WHERE node = ? AND address = ? AND model = ?
             ORDER BY measured_at DESC, sequence DESC LIMIT 1`,
          )
          .get(node, address ?? '', model)
        return newest === undefined ? undefined : parseRow<ProbeResult>(file, probeResultSchema, String(newest.result))
      })
    },
    findProbe(node, model) {
      return guard(file, () => {
        const newest = database
          .prepare(
            'SELECT address, result FROM probes WHERE node = ? AND model = ? ORDER BY measured_at DESC, sequence DESC',
          )
          .all(node, model)
        const isOneServer = newest.every(({ address }) => address === newest[0]?.address)
        return newest[0] === undefined || !isOneServer
          ? undefined
          : parseRow<ProbeResult>(file, probeResultSchema, String(newest[0].result))
      })
    },
    ...sqliteExperiments(file, database),
    ...sqliteConductors(file, database),
    ...sqliteHosted(file, database),
    sessions: sqliteSessions(file, database),
    close() {
      if (!closed) database.close()
      closed = true
    },
  }
}

/** A run of an experiment and its trial, or neither. */
function write(database: DatabaseSync, record: RunRecord): void {
  if (record.experiment === undefined) insert(database, record)
  else inTransaction(database, () => insert(database, record))
}

function insert(database: DatabaseSync, record: RunRecord): void {
  const { experiment } = record
  const trial = trialOf(record)
  const { lastInsertRowid } = database.prepare(INSERT).run(...row(record))
  if (experiment === undefined || trial === undefined) return
  database.prepare(WRITE_TRIAL).run(lastInsertRowid, ...trialRow(experiment, trial))
}

function row(record: RunRecord) {
  const answered = record.interrupts.find((interrupt) => interrupt.toFirstTokenMs !== undefined)
  return [
    record.runId,
    record.pipeline,
    record.outcome,
    record.startedAt,
    record.durationMs,
    record.interrupts.length,
    answered?.toFirstTokenMs ?? null,
    record.cost.wastedTokens,
    JSON.stringify(record),
  ] as const
}

type Row = Record<string, unknown>

function summary(row: Row): RunSummary {
  const outcome = String(row.outcome)
  return {
    runId: String(row.run_id),
    pipeline: String(row.pipeline),
    outcome: recordSchema.shape.outcome.parse(outcome),
    startedAt: String(row.started_at),
    durationMs: Number(row.duration_ms),
    interrupts: Number(row.interrupts),
    ...(row.to_first_token_ms === null ? {} : { toFirstTokenMs: Number(row.to_first_token_ms) }),
    wastedTokens: Number(row.wasted_tokens),
  }
}

function find(database: DatabaseSync, run: string): string {
  if (run === 'last') return newest(database)
  const exact = database.prepare('SELECT record FROM runs WHERE run_id = ?').get(run)
  if (exact !== undefined) return String(exact.record)
  const rows =
    run === ''
      ? []
      : database
          .prepare('SELECT run_id, record FROM runs WHERE substr(run_id, 1, length(?)) = ? ORDER BY run_id LIMIT 4')
          .all(run, run)
  if (rows.length === 0) throw unknown(run, 'no recorded run has this id', '`caesura runs` lists the recorded runs.')
  if (rows.length > 1)
    throw unknown(
      run,
      'several recorded runs begin with this id',
      `Give more of it: ${rows.map((row) => String(row.run_id)).join(', ')}.`,
    )
  return String(rows[0]?.record)
}

/** The record of the newest run that somebody made. */
function newest(database: DatabaseSync): string {
  const row = database
    .prepare(`SELECT record FROM runs WHERE ${NO_TRIAL} ORDER BY started_at DESC, sequence DESC LIMIT 1`)
    .get()
  if (row !== undefined) return String(row.record)
  throw database.prepare('SELECT 1 FROM runs LIMIT 1').get() === undefined
    ? unknown('last', 'no run is recorded yet', 'Record one with `caesura run PIPELINE`.')
    : unknown('last', 'only trials of experiments are recorded', '`caesura runs --trials` lists them.')
}

const unknown = (received: string, message: string, hint: string) =>
  new CaesuraError('CAESURA_E_RUN_UNKNOWN', message, {
    received,
    expected: 'a run id, the beginning of one, or `last`',
    hint,
  })
