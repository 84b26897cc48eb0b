import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import stringWidth from 'string-width'
import { createEngine } from '../app/compose.ts'
import { sqliteStore } from '../app/stores.ts'
import { chooseSurroundings } from '../app/surroundings.ts'
import type { Engine } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import { modelsAsked } from '../core/pipeline.ts'
import type { RunStore } from '../core/ports.ts'
import { present } from '../core/present.ts'
import type { RunRecord } from '../core/record.ts'
import { milliseconds } from '../pages/figures.ts'
import { asTyped } from './as-typed.ts'
import { followRun } from './follow-run.ts'
import { LiveText } from './live-text.ts'
import { loadPipeline } from './load-pipeline.ts'
import { print, printJson, printLines, remark, stdoutClosed } from './output.ts'
import { interruptReport } from './report.ts'
import { paragraph, type Screen, screenOn } from './screen.ts'
import { readSettings } from './settings.ts'

const QUESTION = 'How do I descale my kettle?'
const CHANGE = 'I have no vinegar.'
/** A trigger in tokens shows the same on every machine, however fast. */
const AFTER_TOKENS = 12

interface Act {
  readonly name: string
  readonly title: string
  /** Takes the place of the draft's policy; without it nothing interrupts. */
  readonly policy?: string
}

const acts: readonly Act[] = [
  { name: 'no interrupt', title: 'No interrupt: the draft ends, the refinement follows.' },
  {
    name: 'abort',
    title: `"${CHANGE}" comes after ${AFTER_TOKENS} tokens of the draft: abort it, go on.`,
    policy: '{ trigger: signal, response: abort, carry: all }',
  },
  {
    name: 'drain',
    title: 'The same change: let the draft drain (run to its end), then go on.',
    policy: '{ trigger: signal, response: drain, carry: all }',
  },
]

/** `demo`: one pipeline three times on the bundled model, in this process: no interrupt, abort, drain. */
export function demoCommand(): Command {
  return new Command('demo')
    .description('see one pipeline run three times on the bundled model: no interrupt, abort, drain')
    .option('--json', 'print the three records')
    .option('--no-record', 'keep no records')
    .action(demo)
}

async function demo(flags: { json?: boolean; record: boolean }): Promise<void> {
  const file = fileURLToPath(new URL('../../examples/draft-refine.yaml', import.meta.url))
  const pipeline = await loadPipeline(file)
  const { nodes, models } = await chooseSurroundings(modelsAsked(pipeline), { backend: 'embedded' })
  const store = flags.record ? await openRecords() : undefined
  await using engine = createEngine({ nodes, models, ...present({ store }) })
  const screen = { ...screenOn(process.stdout), write: print }
  if (!flags.json) printLines(introduction(screen))
  const played: { act: Act; record: RunRecord }[] = []
  for (const [index, act] of acts.entries()) {
    if (!flags.json) printLines(['', ...title(`${index + 1}. ${act.title}`, screen), ''])
    const { record, stoppedBy } = await play(engine, file, act, flags.json ? undefined : screen)
    if (stoppedBy !== undefined) {
      process.exitCode = stoppedBy
      return
    }
    if (stdoutClosed.aborted) return
    if (record.outcome === 'failed') throw runFailed(record)
    if (!flags.json) printLines(interruptReport(record, screen))
    played.push({ act, record })
  }
  if (flags.json) printJson(played.map(({ act, record }) => ({ name: act.name, record })))
  else printLines([...table(played, screen), ...whatNext(file, store !== undefined, screen)])
}

/** A demo in a folder that cannot be written to is still a demo. */
async function openRecords(): Promise<RunStore | undefined> {
  const { recordsFile } = await readSettings()
  try {
    return sqliteStore(recordsFile)
  } catch (error) {
    if (!(error instanceof CaesuraError)) throw error
    remark(`No records are kept: ${error.message} (${recordsFile}).`)
    return undefined
  }
}

async function play(engine: Engine, file: string, { policy }: Act, screen: Screen | undefined) {
  const pipeline = await loadPipeline(file, policy)
  const signals = policy === undefined ? [] : [{ stage: 'draft', afterTokens: AFTER_TOKENS, input: CHANGE }]
  const live = screen && new LiveText(screen)
  return followRun(engine.start(pipeline, { input: QUESTION, signals }), (event) => live?.show(event), stdoutClosed)
}

const runFailed = ({ error }: RunRecord) =>
  new CaesuraError('CAESURA_E_INTERNAL', `the demo failed: ${error?.message ?? 'a run did not complete'}`, {
    hint: 'See what this machine can run with `caesura doctor`.',
  })

const title = (text: string, { width, paint }: Screen) => paragraph(text, width).map((line) => paint('heading', line))

const introduction = (screen: Screen) => [
  ...paragraph(
    'Caesura runs model calls in stages that can be interrupted. Here a small model in this process drafts an answer, and a second call refines it.',
    screen.width,
  ),
  '',
  ...paragraph(`Question: ${QUESTION}`, screen.width),
]

const heads = ['', 'interrupt → first token', 'tokens wasted', 'slot time wasted'] as const

/** Lines, unended. */
function table(played: readonly { act: Act; record: RunRecord }[], { width, paint }: Screen): string[] {
  const rows = played.map(({ act, record }) => {
    const answered = record.interrupts.find((interrupt) => interrupt.toFirstTokenMs !== undefined)
    const { wastedTokens, generatedTokens, wastedSlotMs } = record.cost
    const latency = answered?.toFirstTokenMs === undefined ? '–' : milliseconds(answered.toFirstTokenMs)
    return [act.name, latency, `${wastedTokens} of ${generatedTokens}`, milliseconds(wastedSlotMs)]
  })
  const widths = heads.map((head, column) =>
    Math.max(stringWidth(head), ...rows.map((row) => stringWidth(row[column] ?? ''))),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => {
        const blanks = ' '.repeat((widths[column] ?? 0) - stringWidth(cell))
        return column === 0 ? cell + blanks : blanks + cell
      })
      .join(width < 70 ? ' ' : '   ')
  return ['', paint('heading', line(heads)), ...rows.map(line)]
}

function whatNext(file: string, recorded: boolean, { width, paint }: Screen): string[] {
  const example = relative(process.cwd(), file)
  const path = example.startsWith('..') ? file : example
  const commands = [
    ...(recorded ? [['where the time of the last run went', asTyped('caesura explain last')] as const] : []),
    [
      'your own question and change',
      `${asTyped('caesura run')} ${path} --input "How do I clean an oven?" --interrupt "tokens=12:It is a small one."`,
    ] as const,
    ['what an interrupt can do', asTyped('caesura policies')] as const,
    ['what this machine can run (Ollama, …)', asTyped('caesura doctor')] as const,
  ]
  return [
    '',
    paint('heading', 'What to try next'),
    ...commands.flatMap(([what, command]) => [
      paint('quiet', `  # ${what}`),
      ...continued(command, width - 2).map((line) => `  ${line}`),
    ]),
    '',
    ...paragraph(`Interrupt it yourself, while it answers: ${asTyped('caesura chat --pace 12')}`, width).map((line) =>
      paint('quiet', line),
    ),
  ]
}

/** A command over several lines that a shell takes as one. */
function continued(command: string, width: number): string[] {
  if (command.length <= width) return [command]
  const [head = '', ...flags] = command.split(/ (?=--[a-z])/)
  return [head, ...flags.map((flag) => `  ${flag}`)].map((line, index, lines) =>
    index < lines.length - 1 ? `${line} \\` : line,
  )
}
