/** A process that makes the trials of an execution, as the records name it. An execution has one at a time. */
export interface Conductor {
  /** Of one sitting alone: a process that goes on with the execution later has another one. */
  readonly owner: string
  readonly host: string
  readonly pid: number
  /** Among which processes `pid` is one: those of another boot or another container have ids of their own. */
  readonly processes: string
  /** When it began, ms since 1970. */
  readonly sinceUnixMs: number
  /** When it last showed that it lives, ms since 1970. */
  readonly beatUnixMs: number
}

/** How often a conductor shows that it lives, ms. Each trial that it writes does so too. */
export const BEAT_MS = 2_000

/** A conductor that has not shown for so long that it lives has lost its execution to whoever asks for it, ms. */
export const GONE_AFTER_MS = 10_000
