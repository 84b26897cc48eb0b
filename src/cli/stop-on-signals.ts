import { stdoutClosed } from './output.ts'

/** What the exit code is after a signal. */
const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const

export interface StopOnSignals {
  /** Aborted by the first SIGINT or SIGTERM, and when nobody reads stdout any more. */
  readonly signal: AbortSignal
  /** 130 or 143 after a signal. */
  readonly exitCode: number | undefined
  dispose(): void
}

/** Lets work end by itself after SIGINT or SIGTERM; a second one ends the process at once. */
export function stopOnSignals(): StopOnSignals {
  const controller = new AbortController()
  let exitCode: number | undefined
  const onSignal = (name: keyof typeof exitCodes) => {
    if (exitCode !== undefined) process.exit(exitCodes[name])
    exitCode = exitCodes[name]
    controller.abort()
  }
  const onClosed = () => controller.abort()
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  if (stdoutClosed.aborted) onClosed()
  else stdoutClosed.addEventListener('abort', onClosed, { once: true })
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode
    },
    dispose() {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
      stdoutClosed.removeEventListener('abort', onClosed)
    },
  }
}
