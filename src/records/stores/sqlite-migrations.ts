import type { DatabaseSync } from 'node:sqlite'
import { recordSchema } from '../../core/record.ts'
import { trialOf } from '../../core/trial.ts'
import { trialRow, WRITE_TRIAL } from './sqlite-trial-row.ts'

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

/** A trial belongs to a run. Live traffic has no execution: the empty text, for NULL equals nothing. */
const TRIALS = `
  CREATE TABLE trials (
    sequence INTEGER PRIMARY KEY REFERENCES runs (sequence),
    experiment TEXT NOT NULL,
    execution TEXT NOT NULL,
    session TEXT NOT NULL,
    started_unix_ms REAL NOT NULL,
    run_id TEXT NOT NULL,
    trial TEXT NOT NULL
  ) STRICT;
  CREATE INDEX trials_in_order ON trials (experiment, execution, session, started_unix_ms, run_id);
  CREATE TABLE executions (
    sequence INTEGER PRIMARY KEY,
    experiment TEXT NOT NULL,
    execution TEXT NOT NULL,
    started_at TEXT NOT NULL,
    state TEXT NOT NULL,
    UNIQUE (experiment, execution)
  ) STRICT;
`

/** Who makes the trials of an execution now. Times are ms since 1970. */
const CONDUCTORS = `
  CREATE TABLE IF NOT EXISTS conductors (
    experiment TEXT NOT NULL,
    execution TEXT NOT NULL,
    owner TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    processes TEXT NOT NULL,
    since_unix_ms REAL NOT NULL,
    beat_unix_ms REAL NOT NULL,
    PRIMARY KEY (experiment, execution)
  ) STRICT;
`

/** The runs that `serve` hosts without a fleet. "seen": when they were last seen to go on, and `seq` their last event then. */
const HOSTED = `
  CREATE TABLE IF NOT EXISTS hosted (
    run_id TEXT NOT NULL PRIMARY KEY,
    trace_id TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    tenant TEXT NOT NULL,
    submitted_unix_ms REAL NOT NULL,
    submitted_by TEXT,
    fingerprint TEXT,
    seen_unix_ms REAL NOT NULL,
    seq INTEGER NOT NULL DEFAULT 0,
    ended INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS hosted_newest ON hosted (ended, submitted_unix_ms, run_id);
`

/** What was said in sessions. Turns are numbered in the order in which they came into the file. */
const SESSIONS = `
  CREATE TABLE IF NOT EXISTS sessions (
    session TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    written_unix_ms REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS sessions_written ON sessions (written_unix_ms);
  CREATE TABLE IF NOT EXISTS turns (
    sequence INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    run_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    turn TEXT NOT NULL,
    UNIQUE (session, run_id, number)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS turns_of_session ON turns (session, sequence);
`

/** Runs of experiments that an older version kept become trials too. */
function addTrials(database: DatabaseSync): void {
  database.exec(TRIALS)
  const insert = database.prepare(WRITE_TRIAL)
  for (const row of database
    .prepare("SELECT sequence, record FROM runs WHERE json_extract(record, '$.experiment') IS NOT NULL")
    .iterate()) {
    const record = recordSchema.safeParse(JSON.parse(String(row.record))).data
    const trial = record === undefined ? undefined : trialOf(record)
    if (record?.experiment !== undefined && trial !== undefined)
      insert.run(Number(row.sequence), ...trialRow(record.experiment, trial))
  }
}

/** What leads from each version of the file to the next; the first one starts with an empty file. Only ever added to. */
export const migrations: readonly ((database: DatabaseSync) => void)[] = [
  (database) => database.exec(RUNS),
  (database) => database.exec(PROBES),
  addTrials,
  (database) => database.exec(CONDUCTORS),
  (database) => database.exec(HOSTED),
  (database) => database.exec(SESSIONS),
]
