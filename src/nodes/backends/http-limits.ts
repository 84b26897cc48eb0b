/** Limits that every server over HTTP has. */
export interface HttpLimits {
  /**
   * The longest wait for the first line of an answer, ms; 300,000 by default. A runner that dies while it starts makes
   * Ollama 0.24 wait for ever, so a call must not.
   */
  readonly loadDeadlineMs?: number
  /**
   * The longest silence after the first line of an answer, ms; 300,000 by default. What counts is bytes, so a stage's
   * `timeout.stall` is the sharper limit; this one bounds a call that has none.
   */
  readonly idleDeadlineMs?: number
  /** The longest wait for a connection, ms; 10,000 by default. */
  readonly connectTimeoutMs?: number
  /**
   * Keeps one idle connection ready while calls run, so that the call after an interrupt opens none; true by default. Each
   * costs the server one small GET.
   */
  readonly spareConnection?: boolean
}
