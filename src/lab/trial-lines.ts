import type { z } from 'zod'
import { CaesuraError } from '../core/errors.ts'
import type { AnalysisPlan } from '../core/experiment.ts'
import { present } from '../core/present.ts'
import { isRecord, parseWith, show, toErrors } from '../core/problems.ts'
import { type Trial, trialInterruptSchema, trialSchema } from '../core/trial.ts'
import { phaseColumns } from './data-rows.ts'

// What `ab data --format ndjson` writes, read again: one line an interrupt, or one for a trial without any; all lines of a trial
// one after the other. A line may also be a whole trial, with a list of `interrupts`.

const interruptKeys = Object.keys(trialInterruptSchema.shape).filter((key) => key !== 'phases')
const phases = new Map(phaseColumns.map(([name, column]) => [column, name]))
const ofLine = ['experiment', 'execution', 'interrupt'] as const

export interface TrialLines {
  /** For errors. */
  readonly file: string
  readonly plan: Pick<AnalysisPlan, 'experiment' | 'kind' | 'arms'>
  /** Of which execution the trials must be; absent: of any, but all of the same. */
  readonly execution?: string
  readonly lines: Iterable<string>
}

/** One line, taken apart. */
interface Line {
  readonly number: number
  readonly head: Partial<Record<(typeof ofLine)[number], unknown>>
  /** What is of the trial, without its interrupts. */
  readonly own: Record<string, unknown>
  readonly interrupts: readonly unknown[]
  /** A whole trial, or one interrupt of it. */
  readonly isWhole: boolean
}

/**
 * The trials of a file, one at a time. Throws `CAESURA_E_EXPERIMENT` with file and line: no JSON, no trial, of another experiment, of
 * an arm that the plan does not have, a trial that stands twice.
 */
export function* trialsOfLines(from: TrialLines): IterableIterator<Trial> {
  const seen = new Set<string>()
  let execution = from.execution
  let open: Line[] = []
  let number = 0
  for (const text of from.lines) {
    number += 1
    if (text.trim() === '') continue
    const line = lineOf(text, number, from)
    execution = checkHead(line, execution, from)
    const runId = line.own.runId
    if (open[0] !== undefined && open[0].own.runId === runId && !line.isWhole && !open[0].isWhole) {
      open.push(line)
      continue
    }
    if (open.length > 0) yield trialOf(open, from)
    if (typeof runId === 'string' && seen.has(runId))
      throw fault(
        from,
        number,
        'runId',
        'a trial that stood further up already',
        runId,
        'each trial once, with its lines one after the other',
      )
    if (typeof runId === 'string') seen.add(runId)
    open = [line]
  }
  if (open.length > 0) yield trialOf(open, from)
}

function lineOf(text: string, number: number, from: TrialLines): Line {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw fault(from, number, undefined, 'no JSON', text, 'one JSON object a line')
  }
  if (!isRecord(value)) throw fault(from, number, undefined, 'no trial', value, 'a JSON object')
  const head = Object.fromEntries(ofLine.flatMap((key) => (value[key] === undefined ? [] : [[key, value[key]]])))
  const rest = Object.entries(value).filter(
    ([key, each]) => !(ofLine as readonly string[]).includes(key) && each !== undefined,
  )
  if (value.interrupts !== undefined) {
    const { interrupts, ...own } = Object.fromEntries(rest)
    return { number, head, own, interrupts: Array.isArray(interrupts) ? interrupts : [interrupts], isWhole: true }
  }
  const isOfInterrupt = (key: string) => interruptKeys.includes(key) || phases.has(key)
  const own = Object.fromEntries(
    rest.filter(([key]) => !isOfInterrupt(key)).map(([key, each]) => [key, key === 'nodes' ? listOf(each) : each]),
  )
  if (head.interrupt === undefined) {
    const stray = rest.find(([key]) => isOfInterrupt(key))
    if (stray !== undefined)
      throw fault(
        from,
        number,
        stray[0],
        'of an interrupt, and the line says of which one not',
        stray[1],
        '`interrupt`: its place in the trial, from 0',
      )
    return { number, head, own, interrupts: [], isWhole: false }
  }
  const interrupt = {
    ...Object.fromEntries(rest.filter(([key]) => interruptKeys.includes(key))),
    phases: Object.fromEntries(rest.flatMap(([key, ms]) => (phases.has(key) ? [[phases.get(key), ms]] : []))),
  }
  return { number, head, own, interrupts: [interrupt], isWhole: false }
}

/** A list in a text, as a column has it. */
function listOf(value: unknown): unknown {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

function checkHead({ head, number, own }: Line, execution: string | undefined, from: TrialLines): string | undefined {
  const { experiment, kind, arms } = from.plan
  if (head.experiment !== undefined && head.experiment !== experiment)
    throw fault(from, number, 'experiment', 'that of another plan', head.experiment, experiment)
  const id = head.execution === '' ? undefined : head.execution
  if (id !== undefined && typeof id !== 'string')
    throw fault(from, number, 'execution', 'no text', id, 'the id of an execution')
  if (id !== undefined && execution !== undefined && id !== execution)
    throw fault(from, number, 'execution', 'another one than before', id, execution)
  // Live traffic may have had other arms before.
  if (kind === 'offline' && typeof own.arm === 'string' && !arms.some(({ name }) => name === own.arm))
    throw fault(from, number, 'arm', 'none of the plan', own.arm, arms.map(({ name }) => name).join(', '))
  return execution ?? id
}

function trialOf(lines: readonly Line[], from: TrialLines): Trial {
  const [first] = lines
  const { own, number } = first!
  const interrupts: unknown[] = []
  for (const line of lines) {
    const differs = Object.keys({ ...own, ...line.own }).find(
      (key) => JSON.stringify(own[key]) !== JSON.stringify(line.own[key]),
    )
    if (differs !== undefined)
      throw fault(
        from,
        line.number,
        differs,
        'another one than in the trial’s first line',
        line.own[differs],
        show(own[differs]),
      )
    if (!line.isWhole && line.head.interrupt !== undefined && line.head.interrupt !== interrupts.length)
      throw fault(from, line.number, 'interrupt', 'out of its turn', line.head.interrupt, String(interrupts.length))
    if (!line.isWhole && line.head.interrupt === undefined && lines.length > 1)
      throw fault(from, line.number, 'runId', 'a trial that stood further up already', own.runId, 'each trial once')
    interrupts.push(...line.interrupts)
  }
  const parsed = parseWith(linesTrial, { ...own, interrupts })
  if ('value' in parsed) return parsed.value
  const [problem] = parsed.problems
  const at =
    problem!.path[0] === 'interrupts' && typeof problem!.path[1] === 'number' && !first!.isWhole ? problem!.path[1] : 0
  const [error] = toErrors([problem!], 'CAESURA_E_EXPERIMENT', { file: from.file })
  throw new CaesuraError('CAESURA_E_EXPERIMENT', error!.message, { ...error!.place, line: lines[at]?.number ?? number })
}

const linesTrial = trialSchema.refine(
  ({ interrupts }) =>
    interrupts.every(({ end, toFirstTokenMs }) => (end === 'reached') === (toFirstTokenMs !== undefined)),
  {
    path: ['interrupts'],
    error: 'have a toFirstTokenMs exactly where their end is `reached`',
    params: { expected: 'both or neither' },
  },
) satisfies z.ZodType<Trial>

function fault(
  { file }: TrialLines,
  line: number,
  path: string | undefined,
  what: string,
  received: unknown,
  expected: string,
): CaesuraError {
  return new CaesuraError('CAESURA_E_EXPERIMENT', `${path ?? 'The line'} is ${what}.`, {
    ...{ file, line },
    ...present({ path }),
    ...(received !== undefined && { received: show(received) }),
    expected,
  })
}
