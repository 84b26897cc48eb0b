import { Command } from 'commander'
import { createEngine } from '../app/compose.ts'
import { fleetSurroundings } from '../app/fleet-running.ts'
import { withCapture } from '../app/logs.ts'
import { observeCommand, traceOfEnvironment } from '../app/observing.ts'
import { sqliteStore } from '../app/stores.ts'
import { chooseSurroundings, withoutModels } from '../app/surroundings.ts'
import { MOST_INPUT_CHARACTERS } from '../core/caller-input.ts'
import type { PlannedSignal, StartOptions } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import type { RunEvent } from '../core/event.ts'
import { modelsAsked, type Pipeline } from '../core/pipeline.ts'
import { present } from '../core/present.ts'
import { didYouMean } from '../core/problems.ts'
import type { RunRecord } from '../core/record.ts'
import { asTyped } from './as-typed.ts'
import { type CatalogueFlag, catalogueOf, catalogueOption } from './catalogue-flag.ts'
import { fleetOption, redisFileOption } from './fleet-address.ts'
import { followRun } from './follow-run.ts'
import { parseInterruptSpec } from './interrupt-spec.ts'
import { LiveText } from './live-text.ts'
import { loadPipeline } from './load-pipeline.ts'
import { print, printJson, printLines, remark, stdoutClosed } from './output.ts'
import { paceOption } from './pace-flag.ts'
import { endReport, interruptReport, shortId } from './report.ts'
import { type FleetRunFlags, fleetOf, submitRun } from './run-on-fleet.ts'
import { screenOn } from './screen.ts'
import { type NodeFlags, readSettings, wishesOf, withNodeFlags } from './settings.ts'
import { callsInWords, faultInWords } from './words.ts'

interface RunFlags extends NodeFlags, FleetRunFlags, CatalogueFlag {
  readonly input?: string
  readonly interrupt?: readonly string[]
  readonly policy?: string
  readonly session?: string
  readonly pace?: number
  readonly tenant?: string
  readonly tag?: Readonly<Record<string, string>>
  readonly var?: Readonly<Record<string, string>>
  readonly record: boolean
  readonly keepText?: boolean
}

/** How long the end of a run waits for a collector at most, ms. */
const COLLECTOR_MS = 2000

const collect = (value: string, earlier: readonly string[] = []) => [...earlier, value]

/** `run PIPELINE`: runs it and shows it while it goes. Exit 1 when the run failed, 130 or 143 when a signal stopped it. */
export function runCommand(): Command {
  const command = new Command('run')
    .description('run a pipeline')
    .argument('<pipeline>', 'a pipeline file')
    .option('--input <text>', 'what the run is asked; - reads stdin')
    .option(
      '--interrupt <spec>',
      'a signal planned ahead: 100ms, 100ms:TEXT, tokens=12:TEXT, stage=ID,100ms:TEXT',
      collect,
    )
    .option('--policy <policy>', "the first boundary's policy: a name or YAML, such as '{response: drain}'")
    .addOption(catalogueOption())
    .option('--session <id>', 'who talks: the runs of a session share its turns, and an arm of an experiment')
    .option('--tenant <name>', 'whom the run counts for')
    .option(
      '--tag <key=value>',
      'what else its record is to say of it (repeatable)',
      pairOf('--tag', /^([^=]+)=(.*)$/s),
    )
    .option(
      '--var <key=value>',
      'for {{ vars.key }} in prompts (repeatable)',
      pairOf('--var', /^([A-Za-z_]\w*)=(.*)$/s),
    )
    .addOption(paceOption())
    .option('--json', 'print the record of the run')
    .option('--events', 'print the events of the run, one JSON object a line')
    .option('--no-record', 'keep no record')
    .option('--keep-text', 'keep prompts and outputs in the record')
    .addOption(fleetOption('run it on a fleet'))
    .addOption(redisFileOption())
    .option('--detach', 'with --redis: start the run, print its id, and leave')
  return withNodeFlags(command).action(run)
}

const pairOf =
  (flag: string, pattern: RegExp) =>
  (value: string, earlier: Readonly<Record<string, string>> = {}): Record<string, string> => {
    const [, key, content] = pattern.exec(value) ?? []
    if (key === undefined || content === undefined)
      throw new CaesuraError('CAESURA_E_USAGE', `${flag} cannot be read`, { received: value, expected: 'key=value' })
    return { ...earlier, [key]: content }
  }

async function run(file: string, flags: RunFlags): Promise<void> {
  if (flags.json && flags.events)
    throw new CaesuraError('CAESURA_E_USAGE', '--json and --events exclude each other: stdout holds one or the other')
  // All of the command line and the files is looked at before a server is, and before anything is opened.
  const signals = (flags.interrupt ?? []).map(parseInterruptSpec)
  const catalogue = await catalogueOf(flags)
  const pipeline = await loadPipeline(file, flags.policy, catalogue)
  checkStages(signals, pipeline)
  const settings = await readSettings(flags)
  const input = await readInput(flags.input)

  const wanted = modelsAsked(pipeline)
  const trace = await traceOfEnvironment(process.env)
  const start: StartOptions = {
    ...{ input, vars: flags.var ?? {}, signals },
    ...present({ session: flags.session, tenant: flags.tenant, tags: flags.tag, pace: flags.pace, trace }),
  }
  const redis = fleetOf(flags, settings)
  const wishes = wishesOf(flags, settings)
  const { notices, ...where } =
    redis === undefined
      ? { catalogue, ...(wanted.length === 0 ? withoutModels() : await chooseSurroundings(wanted, wishes)) }
      : { redis, ...(await fleetSurroundings(redis, wanted, wishes)) }
  for (const notice of notices) remark(notice)
  if (flags.detach && redis !== undefined) return submitRun(redis, pipeline, { ...start, models: where.models }, flags)
  const telemetry = await observeCommand(withCapture(process.env, settings.config), {
    service: 'caesura',
    log: remark,
    answerMs: COLLECTOR_MS,
  })
  await using engine = createEngine({
    ...where,
    ...present({ telemetry }),
    keepText: flags.keepText ?? settings.keepText,
    ...(flags.record && { store: sqliteStore(settings.recordsFile) }),
  })
  const handle = engine.start(pipeline, start)
  if (redis !== undefined) remark(`Run ${handle.runId}`)
  const { record, stoppedBy } = await followRun(handle, viewOf(flags), stdoutClosed)
  await telemetry?.close()

  if (flags.json) {
    printJson(record)
    for (const sentence of callsInWords({ stages: record.stages.map(({ lateLoopMs: _, ...call }) => call) }))
      remark(sentence)
  }
  if (!flags.json && !flags.events) showEnd(record, flags.record)
  if (telemetry !== undefined && record.sampled)
    remark(`Trace: ${telemetry.traceLink(record.traceId) ?? record.traceId}`)
  const missed = signals.length - signalsSeen(record, signals)
  if (missed > 0 && record.outcome === 'completed') remark(missedSignals(missed, pipeline))
  if (stoppedBy !== undefined) process.exitCode = stoppedBy
  else if (record.outcome === 'failed') {
    // With --json and --events the record and the events say it on stdout.
    if (flags.json || flags.events)
      remark(faultInWords(record.error ?? { code: 'CAESURA_E_INTERNAL', message: 'failed' }))
    process.exitCode = 1
  }
}

function missedSignals(count: number, { stages }: Pipeline): string {
  const which = count === 1 ? 'An interrupt' : `${count} interrupts`
  const ignored = stages.some((stage) => stage.policy.trigger.signals === 'ignore')
  return `${which} of --interrupt never came: the run had ended before${ignored ? ', or a policy ignores signals' : ''}.`
}

/** Planned signals come as `signal`; what a policy's own trigger did is not one of them. */
const signalsSeen = (record: RunRecord, signals: readonly PlannedSignal[]): number =>
  Math.min(signals.length, record.interrupts.filter((interrupt) => interrupt.trigger === 'signal').length)

function viewOf({ json, events }: RunFlags): (event: RunEvent) => void {
  if (json) return () => {}
  if (events) return (event) => print(`${JSON.stringify(event)}\n`)
  const live = new LiveText({ ...screenOn(process.stdout), write: print })
  return (event) => live.show(event)
}

function showEnd(record: RunRecord, recorded: boolean): void {
  const screen = screenOn(process.stdout)
  const again = recorded ? ['', screen.paint('quiet', asTyped(`caesura explain ${shortId(record.runId)}`))] : []
  printLines([...interruptReport(record, screen), ...endReport(record, screen), ...again])
}

function checkStages(signals: readonly PlannedSignal[], { stages }: Pipeline): void {
  const ids = stages.map((stage) => stage.id)
  for (const { stage } of signals) {
    if (stage === undefined || ids.includes(stage)) continue
    const hint = didYouMean(stage, ids)
    throw new CaesuraError('CAESURA_E_USAGE', '--interrupt names a stage that the pipeline does not have', {
      received: stage,
      expected: ids.join(', '),
      ...present({ hint }),
    })
  }
}

/** Not more than an input may have: what writes to stdin may never end. */
async function readStdin(): Promise<string> {
  let input = ''
  for await (const piece of process.stdin.setEncoding('utf8')) {
    input += piece
    if (input.length <= MOST_INPUT_CHARACTERS + 2) continue
    throw new CaesuraError('CAESURA_E_USAGE', 'stdin has more than an input may have', {
      received: `more than ${MOST_INPUT_CHARACTERS.toLocaleString('en-US')} characters`,
      expected: `a text of at most ${MOST_INPUT_CHARACTERS.toLocaleString('en-US')} characters`,
    })
  }
  return input
}

async function readInput(flag: string | undefined): Promise<string> {
  const input = flag === '-' ? (await readStdin()).replace(/\r?\n$/, '') : (flag ?? '')
  if (input.trim() !== '') return input
  throw new CaesuraError('CAESURA_E_USAGE', flag === '-' ? 'stdin is empty' : 'the run has no input', {
    expected: '--input TEXT, or --input - and a text on stdin',
  })
}
