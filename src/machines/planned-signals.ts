import { msToNs } from '../core/clock.ts'
import type { RunEnvironment } from './environment.ts'

/** Sets timers for the planned signals that count from the run's start (those of a stage are its call's). Returns what withdraws them. */
export function planRunSignals(
  { planned, clock, journal }: RunEnvironment,
  send: (signal: { input?: string }) => void,
): () => void {
  const timers: (() => void)[] = []
  for (const signal of planned) {
    if (signal.stage !== undefined || signal.afterMs === undefined) continue
    const due = () => {
      if (planned.delete(signal)) send(signal.input === undefined ? {} : { input: signal.input })
    }
    timers.push(clock.schedule(journal.toClock(msToNs(signal.afterMs)), due))
  }
  return () => {
    for (const withdraw of timers) withdraw()
  }
}
