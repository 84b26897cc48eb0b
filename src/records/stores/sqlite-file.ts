import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { ZodType } from 'zod'
import { CaesuraError } from '../../core/errors.ts'
import { migrations } from './sqlite-migrations.ts'

/** How long a writer waits for another process's transaction, ms. */
const BUSY_TIMEOUT_MS = 5_000

/** What this version writes to `user_version`. */
const SCHEMA_VERSION = migrations.length

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

/** Opens the records file, and brings an older one up to this version. Makes it and its folder. For use within `guard`. */
export function openDatabase(file: string): DatabaseSync {
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
  inTransaction(database, () => {
    const version = Number(database.prepare('PRAGMA user_version').get()?.user_version)
    for (const step of migrations.slice(version)) step(database)
    database.exec(`PRAGMA user_version = ${Math.max(version, SCHEMA_VERSION)}`)
  })
}

/** All of `work`, or nothing of it. */
export function inTransaction(database: DatabaseSync, work: () => void): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    work()
    database.exec('COMMIT')
  } catch (error) {
    try {
      database.exec('ROLLBACK')
    } catch {
      // SQLite has rolled back already.
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

/** What stands in a row, as `schema` has it. Throws `CAESURA_E_RECORDS`. */
export function parseRow<T>(file: string, schema: ZodType<T>, json: string): T {
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
export function guard<T>(file: string, work: () => T): T {
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
