import { type PhaseName, phaseNames } from '../core/record.ts'
import type { Trial, TrialInterrupt } from '../core/trial.ts'

/** One interrupt of a trial, or a trial without one, as plain columns. What does not exist is absent. */
export type DataRow = Readonly<Record<string, string | number | boolean | undefined>>

/** `slot` and `first-token` are also figures of the whole trial. */
export const phaseColumns: readonly (readonly [name: PhaseName, column: string])[] = phaseNames.map((name) => [
  name,
  `${camelCase(`phase-${name}`)}Ms`,
])

/** The columns of every row, in order. Times in ms; `trial` and `block` count from 0, `interrupt` too. */
export const dataColumns: readonly string[] = [
  ...['experiment', 'execution', 'arm', 'session', 'block', 'trial', 'warmUp', 'runId', 'startedUnixMs'],
  ...['outcome', 'errorCode', 'lagMs', 'exposedMs', 'counting', 'counted', 'runMs', 'firstTokenMs', 'answerMs'],
  ...['generatedTokens', 'wastedTokens', 'slotMs', 'wastedSlotMs', 'nodes'],
  ...['interrupt', 'atMs', 'sinceCallMs', 'decision', 'settlement', 'end'],
  ...['toFirstTokenMs', 'toFirstTokenFromSignalMs', 'toSilenceMs', 'lostAfterMs', 'keptTokens'],
  ...phaseColumns.map(([, column]) => column),
]

/** The rows of a trial: one an interrupt, one where there was none. Its own figures are the same in each of them. */
export function dataRows(trial: Trial, of: { experiment: string; execution?: string }): DataRow[] {
  const { interrupts, nodes, ...own } = trial
  const shared = { ...of, ...own, ...(nodes !== undefined && { nodes: JSON.stringify(nodes) }) }
  if (interrupts.length === 0) return [shared]
  return interrupts.map((interrupt, index) => ({ ...shared, interrupt: index, ...interruptColumns(interrupt) }))
}

function interruptColumns({ phases, ...own }: TrialInterrupt): DataRow {
  const columns = phaseColumns.flatMap(([name, column]) => {
    const ms = phases[name]
    return ms === undefined ? [] : [[column, ms] as const]
  })
  return { ...own, ...Object.fromEntries(columns) }
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
