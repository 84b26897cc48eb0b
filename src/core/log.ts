import { spanIdOf } from './trace.ts'

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

/** What a line says beside its sentence: names with `_`, as OpenTelemetry has them. An undefined one is left out. */
export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[] | Error | undefined>>

/**
 * What people wrote and models answered. Written only where the process was told to capture it, and nothing of it belongs into a
 * sentence or a field: not the reason of a cancel either, nor what a model server says of a request.
 */
export type LogContent = Readonly<Record<string, string | readonly string[] | undefined>>

type Say = (sentence: string, fields?: LogFields, content?: LogContent) => void

/** What a process tells its operators. Never throws. */
export interface Log {
  /** What is of use only to who looks for something: each run, each request. */
  readonly debug: Say
  /** A change: a process, a node, a run that changes hands. */
  readonly info: Say
  /** Something is wrong, and the process goes on with its work all the same. */
  readonly warn: Say
  /** Work is lost, or the software has a fault. */
  readonly error: Say
  /** Whether lines of this level are written: for those that cost something to make. */
  has(level: LogLevel): boolean
  /** A log whose lines all have these fields. */
  child(fields: LogFields): Log
}

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  has: () => false,
  child: () => silentLog,
}

export interface LogLine {
  readonly level: LogLevel
  readonly sentence: string
  readonly fields: LogFields
  readonly content: LogContent
}

/** A log that a function hears, from `least` on. */
export function logTo(hear: (line: LogLine) => void, least: LogLevel = 'debug', always: LogFields = {}): Log {
  const from = logLevels.indexOf(least)
  const has = (level: LogLevel): boolean => logLevels.indexOf(level) >= from
  const say =
    (level: LogLevel): Say =>
    (sentence, fields, content = {}) => {
      if (has(level)) hear({ level, sentence, fields: { ...always, ...fields }, content })
    }
  return {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    has,
    child: (fields) => logTo(hear, least, { ...always, ...fields }),
  }
}

/** The fields by which lines and spans find each other, as OpenTelemetry names them. `part`: of the run; the run itself by default. */
export const correlation = (runId: string, traceId: string | undefined, part = 'run'): LogFields => ({
  run_id: runId,
  ...(traceId !== undefined && { trace_id: traceId, span_id: spanIdOf(runId, part) }),
})
