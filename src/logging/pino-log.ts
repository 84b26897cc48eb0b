import { hostname } from 'node:os'
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
import { CaesuraError } from '../core/errors.ts'
import type { Log, LogContent, LogFields, LogLevel } from '../core/log.ts'
import { HIDDEN, redactor } from './redaction.ts'
import { textLine } from './text-line.ts'

export interface PinoLogSettings {
  readonly format: 'text' | 'json'
  readonly level: LogLevel
  /** By which every line names this process. */
  readonly service: string
  /** What is never written, whatever it stands in. */
  readonly secrets: Iterable<string>
  /** Whether content is written; not by default. */
  readonly captureContent?: boolean
  /** Where lines go; stderr by default. */
  readonly to?: DestinationStream
}

/** Of each text of content that is captured, UTF-16 units. */
export const LONGEST_CONTENT = 1024
const STDERR = 2
/** What may wait where stderr takes nothing; more is dropped. */
const MOST_WAITING_BYTES = 1024 * 1024
/** A cause of a cause … */
const MOST_CAUSES = 3
/** Fields that should never be there. */
const PATHS = ['authorization', 'password', 'token', 'apiKey', 'api_key', 'cookie', 'headers.authorization']

/** A log on pino: one line at a time, written before the call returns, so that nothing is lost when the process ends. */
export function pinoLog(settings: PinoLogSettings): Log {
  const { format, level, service, captureContent = false } = settings
  const logger = pino(
    {
      level,
      base: { service, host: hostname(), pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: PATHS, censor: HIDDEN },
      ...(format === 'text' && { hooks: { streamWrite: textLine } }),
    },
    settings.to ?? stderr(),
  )
  return logOn(logger, new Cleaning(redactor(settings.secrets), captureContent))
}

/** Nowhere to report to: whatever happens to stderr is no reason to end. */
function stderr(): DestinationStream {
  const stream = destination({ dest: STDERR, sync: true, maxLength: MOST_WAITING_BYTES })
  stream.on('error', () => undefined)
  return stream
}

function logOn(logger: Logger, cleaning: Cleaning): Log {
  const say =
    (level: LogLevel) =>
    (sentence: string, fields: LogFields = {}, content: LogContent = {}) => {
      if (!logger.isLevelEnabled(level)) return
      logger[level]({ ...cleaning.fields(fields), ...cleaning.content(content) }, cleaning.text(sentence))
    }
  return {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    has: (level) => logger.isLevelEnabled(level),
    child: (fields) => logOn(logger.child(cleaning.fields(fields)), cleaning),
  }
}

/** Every string on its way into a line. */
class Cleaning {
  readonly text: (text: string) => string
  readonly #captureContent: boolean

  constructor(redact: (text: string) => string, captureContent: boolean) {
    this.text = redact
    this.#captureContent = captureContent
  }

  fields(fields: LogFields): Record<string, unknown> {
    return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, this.#value(value)]))
  }

  content(content: LogContent): { readonly captured?: Record<string, unknown> } {
    if (!this.#captureContent) return {}
    const cut = (text: string) => this.text(text).slice(0, LONGEST_CONTENT).toWellFormed()
    const captured = Object.entries(content)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, typeof value === 'string' ? cut(value) : value?.map(cut)])
    return captured.length === 0 ? {} : { captured: Object.fromEntries(captured) }
  }

  #value(value: LogFields[string]): unknown {
    if (typeof value === 'string') return this.text(value)
    if (value instanceof Error) return this.#error(value, MOST_CAUSES)
    return Array.isArray(value) ? value.map(this.text) : value
  }

  /** Nothing but these: what else hangs on an error may be a command with a prompt in it. */
  #error(error: Error, causes: number): Record<string, unknown> {
    const { name, cause } = error
    // What V8 says of text that is no JSON quotes it.
    const said = (text: string) =>
      name === 'SyntaxError' && !this.#captureContent ? text.replaceAll(error.message, 'no JSON, or no code') : text
    return {
      type: this.text(name),
      ...(error instanceof CaesuraError && { code: error.code }),
      message: this.text(said(error.message)),
      ...(error.stack !== undefined && { stack: this.text(said(error.stack)) }),
      ...(cause instanceof Error && causes > 0 && { cause: this.#error(cause, causes - 1) }),
    }
  }
}
