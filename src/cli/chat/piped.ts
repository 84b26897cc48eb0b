import { createInterface } from 'node:readline'
import type { Session } from '../../core/engine.ts'
import { present } from '../../core/present.ts'
import type { RunRecord } from '../../core/record.ts'
import { followRun } from '../follow-run.ts'
import { print, remark, stdoutClosed } from '../output.ts'
import { harmless } from '../screen.ts'
import { faultInWords } from '../words.ts'
import { Listener } from './listener.ts'

/** What `chat --json` prints of a turn. */
export interface TurnLine {
  readonly input: string
  readonly text: string
  readonly outcome: RunRecord['outcome']
  readonly interrupted: boolean
  /** From the turn's start to the first token of its answer, ms. Absent where none came. */
  readonly toFirstTokenMs?: number
  readonly error?: { readonly code: string; readonly message: string }
}

/**
 * A turn for each line of stdin, one after the other, and a line of stdout for each turn. Resolves to what the process exits with: 1 where
 * a turn has failed, 130 or 143 after a signal.
 */
export async function talkInPipe(session: Session, json: boolean): Promise<number> {
  let exitCode = 0
  for await (const input of createInterface({ input: process.stdin })) {
    if (stdoutClosed.aborted) break
    if (input.trim() === '') continue
    const run = session.say(input)
    const listener = new Listener(run)
    let toFirstTokenMs: number | undefined
    const { record, stoppedBy } = await followRun(
      run,
      (event) => {
        if (event.type === 'token') toFirstTokenMs ??= event.ms
        listener.heard(event)
      },
      stdoutClosed,
    )
    print(`${json ? JSON.stringify(turnLine(input, record, toFirstTokenMs)) : plainLine(record)}\n`)
    if (stoppedBy !== undefined) return stoppedBy
    if (record.outcome !== 'failed') continue
    exitCode = 1
    if (record.error !== undefined) remark(faultInWords(record.error))
  }
  return exitCode
}

export function turnLine(input: string, record: RunRecord, toFirstTokenMs?: number): TurnLine {
  const { output = '', outcome, interrupts, error } = record
  return {
    ...{ input, text: output, outcome, interrupted: interrupts.some(({ suppressed }) => suppressed !== true) },
    ...present({ toFirstTokenMs }),
    ...(error !== undefined && { error: { code: error.code, message: error.message } }),
  }
}

/** The answer of a turn on one line; `[cut]` stands behind one that did not end by itself. */
export function plainLine({ output = '', stages, outcome }: RunRecord): string {
  const text = harmless(output).replace(/\s+/g, ' ').trim()
  const isCut = outcome !== 'completed' || stages.at(-1)?.settlement === 'aborted'
  return isCut ? `${text} [cut]`.trimStart() : text
}
