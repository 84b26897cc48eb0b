/** What the process exits with: 1 the work failed, 2 bad input, 3 the surroundings are not usable. */
export type ExitCode = 1 | 2 | 3

/** Every error code, with the exit status it leads to. Codes are stable: scripts match them. */
export const errorCodes = {
  // bad input: nothing was started
  CAESURA_E_FILE: 2, // a file is missing, a folder, unreadable, or cannot be written
  CAESURA_E_FILE_TOO_LARGE: 2,
  CAESURA_E_ENCODING: 2, // not UTF-8 text
  CAESURA_E_YAML: 2, // syntax, tabs, duplicate keys, alias bombs
  CAESURA_E_PIPELINE: 2, // a pipeline that does not hold: type, unknown key, range, reference
  CAESURA_E_TEMPLATE: 2, // template syntax or an unknown name in a prompt
  CAESURA_E_CONFIG: 2,
  CAESURA_E_ALIAS: 2, // a model name that is neither an alias nor known to a node
  CAESURA_E_USAGE: 2, // a flag or an argument in a wrong form
  CAESURA_E_EXPERIMENT: 2, // an experiment that does not hold: type, unknown metric, arms, budget
  CAESURA_E_EXPERIMENT_UNKNOWN: 2, // no recorded experiment has this name
  CAESURA_E_EXPERIMENT_CHANGED: 2, // a resumed execution would not be of the same design, or trials count in two ways
  CAESURA_E_EXPERIMENT_TAKEN: 2, // another process conducts this execution
  CAESURA_E_RUN_UNKNOWN: 2, // no recorded run has this id
  CAESURA_E_RUN_ENDED: 2, // an interrupt or a cancel after the end of the run
  CAESURA_E_SESSION_UNKNOWN: 2, // there is no session of this id, or it counts for another tenant
  CAESURA_E_SESSION_BUSY: 2, // an input that came while a run of the session was live, with `busy: reject`
  CAESURA_E_PROMPT_EMPTY: 2, // a prompt that renders to nothing
  CAESURA_E_IMAGE: 2, // a picture that is none, too large, from where it may not be, or for a model that takes none
  // the surroundings
  CAESURA_E_NO_SERVER: 3,
  CAESURA_E_NO_MODEL: 3,
  CAESURA_E_NO_BACKEND: 3, // node-llama-cpp is not installed, or has no build for this machine
  CAESURA_E_LISTEN: 3, // a server of ours cannot listen at its address
  CAESURA_E_RECORDS: 3, // the records database cannot be opened or written
  CAESURA_E_REDIS: 3, // no Redis answers, or it is too old, or it may drop keys
  CAESURA_E_NODE_TAKEN: 3, // another worker serves a node of this name
  CAESURA_E_FLEET_FULL: 3, // too many runs wait, or the fleet's Redis is nearly full, or a host of runs stops
  // the work failed
  CAESURA_E_REFUSED: 1, // the model server refused the connection
  CAESURA_E_CONNECTION: 1, // DNS, TLS, reset before an answer
  CAESURA_E_SERVER: 1, // the model server answered with an error
  CAESURA_E_SERVER_BUSY: 1, // its queue is full (503) or it limits the rate (429)
  CAESURA_E_AUTH: 1, // the model server does not accept the key (401, 403)
  CAESURA_E_SERVER_WEDGED: 1, // after an abort it answers no call any more (ollama#17131)
  CAESURA_E_REQUEST: 1, // the model server rejected the request (400)
  CAESURA_E_PROTOCOL: 1, // an answer that is not the protocol: HTML, broken JSON, wrong shapes
  CAESURA_E_LINE_TOO_LONG: 1,
  CAESURA_E_STREAM_CUT: 1, // the answer ended without its last line
  CAESURA_E_FORMAT: 1, // an answer that is no document of its format, or a tool call without its arguments
  CAESURA_E_MODEL_ERROR: 1, // an error line in the middle of an answer
  CAESURA_E_TIMEOUT_LOAD: 1,
  CAESURA_E_TIMEOUT_FIRST_TOKEN: 1,
  CAESURA_E_TIMEOUT_STALL: 1,
  CAESURA_E_TIMEOUT_TOTAL: 1,
  CAESURA_E_EXPERIMENT_LOST: 1, // another process has taken the execution over meanwhile
  CAESURA_E_POLICY: 1, // a trigger, response or carry of a policy threw, or returned what it may not
  CAESURA_E_BACKEND: 1, // a backend threw, ended as none may, or did not end
  CAESURA_E_TEMPLATE_LIMIT: 1, // the rendering of a prompt takes more than one may
  CAESURA_E_OUTPUT_LIMIT: 1, // a run generated more than its limit
  CAESURA_E_HOST_LOST: 1, // the process that hosted the run ended before the run did
  CAESURA_E_WORKER_LOST: 1, // the worker of a call died, lost its lock or was stopped
  CAESURA_E_READER_SLOW: 1, // a reader of a run's events takes nothing any more; it may resume
  CAESURA_E_STATE: 1, // what Redis holds of a run is of another version, or no state of a run
  CAESURA_E_CONTEXT_FULL: 1, // the prompt is longer than the model's context
  CAESURA_E_TOO_MANY_INTERRUPTS: 1,
  CAESURA_E_INTERNAL: 1,
} as const satisfies Record<string, ExitCode>

export type ErrorCode = keyof typeof errorCodes

/** Where a value stands and what was wrong with it. All optional: what is not known is left out. */
export interface ErrorPlace {
  readonly file?: string
  /** 1-based. */
  readonly line?: number
  /** 1-based. */
  readonly column?: number
  /** The path in the document, such as `stages[0].policy.response`. */
  readonly path?: string
  readonly received?: string
  readonly expected?: string
  /** What to do next, in one sentence. */
  readonly hint?: string
}

/** The one error class of the library: a stable code, a sentence, and the place. */
export class CaesuraError extends Error {
  override readonly name = 'CaesuraError'
  readonly code: ErrorCode
  readonly place: ErrorPlace

  constructor(code: ErrorCode, message: string, place: ErrorPlace & { cause?: unknown } = {}) {
    const { cause, ...rest } = place
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.place = rest
  }

  get exitCode(): ExitCode {
    return errorCodes[this.code]
  }

  /** The body of `{"error": …}` on stdout with `--json`. */
  toJSON(): { code: ErrorCode; message: string } & ErrorPlace {
    return { code: this.code, message: this.message, ...this.place }
  }
}

/** Several errors found in one reading, in the order of the document. */
export class CaesuraErrors extends AggregateError {
  override readonly name = 'CaesuraErrors'
  declare errors: CaesuraError[]

  constructor(errors: CaesuraError[]) {
    super(errors, errors.map((error) => error.message).join('\n'))
  }
}

/** An error as a record keeps it. */
export interface ErrorSummary {
  readonly code: ErrorCode
  readonly message: string
  /** What was received. May be text of a prompt or an answer, so it is kept only where text is. */
  readonly received?: string
}

/** The message is well-formed Unicode: an error may quote what was cut in the middle of a character. */
export function summarize(error: unknown): ErrorSummary {
  const message = (error instanceof Error ? error.message : String(error)).toWellFormed()
  if (!(error instanceof CaesuraError)) return { code: 'CAESURA_E_INTERNAL', message }
  const { code, place } = error
  return { code, message, ...(place.received !== undefined && { received: place.received.toWellFormed() }) }
}

/**
 * The reason every cancelled call carries. Its name is `AbortError`, because instrumentation and HTTP clients
 * treat any other name as a fault.
 */
export class CallCancelled extends Error {
  override readonly name = 'AbortError'
}
