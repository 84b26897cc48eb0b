import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { ZodType } from 'zod'
import { CaesuraError } from '../core/errors.ts'
import type { RunStore, RunSummary } from '../core/ports.ts'
import { type ProbeResult, probeResultSchema } from '../core/probe.ts'
import { type RunRecord, recordSchema } from '../core/record.ts'

// Node 22 binds plain `?` only: it does not map `?1` used twice.

/** How long a writer waits for another process's transaction, ms. */
const BUSY_TIMEOUT_MS = 5_000

const RUNS = `
  CREATE TABLE runs (
    sequence INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    pipeline TEXT NOT NULL,
    outcome TEXT NOT NULL,
    started_at TEXT NOT NULL,
    duration_ms REAL NOT NULL,
    interrupts INTEGER NOT NULL,
    to_first_token_ms REAL,
    wasted_tokens INTEGER NOT NULL,
    record TEXT NOT NULL
  ) STRICT;
  CREATE INDEX runs_started_at ON runs (started_at, sequence);
`

/** A node without an address has the empty text: NULL equals nothing. */
const PROBES = `
  CREATE TABLE probes (
    sequence INTEGER PRIMARY KEY,
    node TEXT NOT NULL,
    address TEXT NOT NULL,
    model TEXT NOT NULL,
    measured_at TEXT NOT NULL,
    result TEXT NOT NULL
  ) STRICT;
  CREATE INDEX probes_newest ON probes (node, address, model, measured_at, sequence);
`

/** What leads from each version of the file to the next; the first one starts with an empty file. Only ever added to. */
const MIGRATIONS = [RUNS, PROBES]

/** What this version writes to `user_version`. */
const SCHEMA_VERSION = MIGRATIONS.length

const INSERT = `
  INSERT INTO runs (run_id, pipeline, outcome, started_at, duration_ms, interrupts, to_first_token_ms, wasted_tokens, record)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
`

/**
 * Keeps records in one SQLite file, which several processes may read and write at once. Makes the file and its folder.
 * Throws `CAESURA_E_RECORDS` when the file cannot be used: not a database, read-only, full disk, a newer version's.
 */
export function sqliteStore(file: string): RunStore {
  const database = guard(file, () => open(file))
  let closed = false
  return {
    write(record) {
      guard(file, () => database.prepare(INSERT).run(...row(record)))
    },
    read(run) {
      return guard(file, () => parse<RunRecord>(file, recordSchema, find(database, run)))
    },
    list({ limit, pipeline } = {}) {
      return guard(file, () =>
        database
          .prepare(
            `SELECT run_id, pipeline, outcome, started_at, duration_ms, interrupts, to_first_token_ms, wasted_tokens
             FROM runs WHERE ? IS NULL OR pipeline = ? ORDER BY started_at DESC, sequence DESC LIMIT ?`,
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
        return newest === undefined ? undefined : parse<ProbeResult>(file, probeResultSchema, String(newest.result))
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
          : parse<ProbeResult>(file, probeResultSchema, String(newest[0].result))
      })
    },
    close() {
      if (!closed) database.close()
      closed = true
    },
  }
}

/**
 * The `node:sqlite` module without the ExperimentalWarning that Node 22 prints when it is first loaded. The load is
 * synchronous, so no other warning can fall into the gap.
 */
function loadSqlite(): typeof import('node:sqlite') {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return process.getBuiltinModule('node:sqlite')
  } finally {
    process.emitWarning = emitWarning
  }
}

function open(file: string): DatabaseSync {
  mkdirSync(dirname(file), { recursive: true })
  const { DatabaseSync } = loadSqlite()
  const database = new DatabaseSync(file)
  try {
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
    const version = Number(database.prepare('PRAGMA user_version').get()?.user_version)
    if (version > SCHEMA_VERSION)
      throw new CaesuraError('CAESURA_E_RECORDS', 'the records were written by a newer version of Caesura', {
        file,
        received: `version ${version}`,
        expected: `at most version ${SCHEMA_VERSION}`,
        hint: 'Update Caesura, or choose another file with CAESURA_RECORDS or `records:` in the configuration.',
      })
    if (version < SCHEMA_VERSION) migrate(database)
    database.exec('PRAGMA synchronous = NORMAL')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Safe when several processes start on a new or an old file: the first that gets the lock makes the tables, the others see them. */
function migrate(database: DatabaseSync): void {
  useWriteAheadLog(database)
  database.exec('BEGIN IMMEDIATE')
  try {
    const version = Number(database.prepare('PRAGMA user_version').get()?.user_version)
    for (const step of MIGRATIONS.slice(version)) database.exec(step)
    database.exec(`PRAGMA user_version = ${Math.max(version, SCHEMA_VERSION)}`)
    database.exec('COMMIT')
  } catch (error) {
    try {
      database.exec('ROLLBACK')
    } catch {
      // BEGIN itself failed, or SQLite has rolled back already.
    }
    throw error
  }
}

/** SQLite does not wait for its busy timeout when it changes the journal's mode, so two first starts may collide. */
function useWriteAheadLog(database: DatabaseSync): void {
  const deadline = performance.now() + BUSY_TIMEOUT_MS
  for (;;) {
    try {
      database.exec('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      if (resultCode(error) !== BUSY || performance.now() > deadline) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    }
  }
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
  const newest = database.prepare('SELECT record FROM runs ORDER BY started_at DESC, sequence DESC LIMIT 1')
  if (run === 'last') {
    const row = newest.get()
    if (row === undefined) throw unknown(run, 'no run is recorded yet', 'Record one with `caesura run PIPELINE`.')
    return String(row.record)
  }
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

const unknown = (received: string, message: string, hint: string) =>
  new CaesuraError('CAESURA_E_RUN_UNKNOWN', message, {
    received,
    expected: 'a run id, the beginning of one, or `last`',
    hint,
  })

function parse<T>(file: string, schema: ZodType<T>, json: string): T {
  try {
    return schema.parse(JSON.parse(json))
  } catch (cause) {
    throw new CaesuraError('CAESURA_E_RECORDS', 'a stored record cannot be read', {
      file,
      hint: 'It was changed by hand or by another program; others are not affected.',
      cause,
    })
  }
}

// https://www.sqlite.org/rescode.html: the low byte is the primary code.
const BUSY = 5
const causes: Record<number, readonly [message: string, hint: string]> = {
  [BUSY]: ['another process holds the records file', 'Try again when it has finished writing.'],
  8: ['the records file is read-only', 'Make it and its folder writable, or choose another with CAESURA_RECORDS.'],
  10: ['the disk under the records file fails or is full', 'Free some space, or choose another with CAESURA_RECORDS.'],
  11: ['the records file is damaged', 'Move it away, or choose another with CAESURA_RECORDS.'],
  13: ['the disk under the records file is full', 'Free some space, or choose another with CAESURA_RECORDS.'],
  14: ['the records file cannot be opened', 'Make its folder writable, or choose another with CAESURA_RECORDS.'],
  26: ['the records file is not a database', 'Move it away, or choose another with CAESURA_RECORDS.'],
}

/** The primary result code of an error of `node:sqlite`. */
function resultCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined
}

/** Runs `work`; what SQLite or the file system throws becomes `CAESURA_E_RECORDS`. */
function guard<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof CaesuraError) throw cause
    const code = resultCode(cause)
    const known = code === undefined ? undefined : causes[code]
    const detail = cause instanceof Error ? cause.message : String(cause)
    const [message, hint] = known ?? [
      'the records file cannot be used',
      'Choose another with CAESURA_RECORDS or `records:` in the configuration.',
    ]
    throw new CaesuraError('CAESURA_E_RECORDS', message, { file, received: detail, hint, cause })
  }
}
