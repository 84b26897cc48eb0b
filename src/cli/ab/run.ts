import { Command } from 'commander'
import prettyMs from 'pretty-ms'
import { type HowFar, runExperiment } from '../../app/experimenting.ts'
import { withCapture } from '../../app/logs.ts'
import { observeCommand } from '../../app/observing.ts'
import { sqliteStore } from '../../app/stores.ts'
import { chooseSurroundings } from '../../app/surroundings.ts'
import { modelsAsked } from '../../core/pipeline.ts'
import type { Execution } from '../../core/trial.ts'
import { asTyped } from '../as-typed.ts'
import { type CatalogueFlag, catalogueOption } from '../catalogue-flag.ts'
import { loadExperiment } from '../load-experiment.ts'
import { remark } from '../output.ts'
import { type Progress, progressOn } from '../progress.ts'
import { screenOn } from '../screen.ts'
import { type NodeFlags, readSettings, wishesOf, withNodeFlags } from '../settings.ts'
import { stopOnSignals } from '../stop-on-signals.ts'
import { keptExecution } from './records.ts'
import { type ReportFlags, show, shownOf } from './show.ts'

interface AbFlags extends NodeFlags, ReportFlags, CatalogueFlag {
  readonly resume?: boolean
  readonly keepText?: boolean
}

/** How long the end of an experiment waits for a collector at most, ms. */
const COLLECTOR_MS = 2000

/** `ab EXPERIMENT`: makes its trials and tells what came of them. Exit 1 when no run completed, 130 or 143 when a signal stopped it. */
export function abRunCommand(): Command {
  const command = new Command('run')
    .description('run an experiment, as `ab EXPERIMENT` does')
    .argument('<experiment>', 'an experiment file')
    .option('--resume', 'go on with the newest execution that is not complete')
    .option('--report <file>', 'write a page that needs nothing else')
    .option('--json', 'one JSON document on stdout')
    .addOption(catalogueOption())
    .option('--keep-text', 'keep prompts and outputs in the records')
  return withNodeFlags(command).action(ab)
}

async function ab(file: string, flags: AbFlags): Promise<void> {
  const settings = await readSettings(flags)
  const { catalogue } = settings
  const experiment = await loadExperiment(file, catalogue)
  const { resume = false, report: _report, json: _json, keepText = settings.keepText, ...nodeFlags } = flags
  const store = sqliteStore(settings.recordsFile)
  const stop = stopOnSignals()
  try {
    const wanted = experiment.arms.flatMap(({ pipeline }) => modelsAsked(pipeline))
    const { notices, ...where } = await chooseSurroundings(wanted, wishesOf(nodeFlags, settings))
    for (const notice of notices) remark(notice)
    const telemetry = await observeCommand(withCapture(process.env, settings.config), {
      service: 'caesura',
      log: remark,
      answerMs: COLLECTOR_MS,
    })
    const progress = progressOn(screenOn(process.stderr))
    progress.begin(experiment.name)
    const execution = await runExperiment(experiment, {
      ...{ ...where, catalogue },
      store,
      keepText,
      telemetry,
      resume,
      signal: stop.signal,
      tell: timeLeft(progress),
    }).finally(() => progress.end())
    await telemetry?.close()
    const kept = keptExecution(store, experiment.name, execution.execution)
    const { arms } = await show(shownOf(kept, store), flags)
    tellEnd(execution, file)
    const failed = arms.some(({ trials }) => trials > 0) && arms.every(({ outcomes }) => outcomes.completed === 0)
    if (failed)
      remark(asTyped('No run completed: `caesura runs --trials` shows the runs, and `caesura explain RUN` why.'))
    if (stop.exitCode !== undefined) process.exitCode = stop.exitCode
    else if (failed) process.exitCode = 1
  } finally {
    stop.dispose()
    store.close()
  }
}

function timeLeft(progress: Progress): (howFar: HowFar) => void {
  let begun: { at: number; done: number } | undefined
  return ({ done, of, warmUps }) => {
    begun ??= done > 0 ? { at: performance.now(), done } : undefined
    if (begun === undefined) return progress.tell(`warm-up ${warmUps}`)
    const made = done - begun.done
    const left = made === 0 ? undefined : ((performance.now() - begun.at) / made) * (of - done)
    progress.tell(
      `${done} of ${of} runs${left === undefined ? '' : `, ${prettyMs(left, { compact: left > 60_000, secondsDecimalDigits: 0 })} left`}`,
    )
  }
}

/** What someone must know who wants all of it. */
function tellEnd({ ended }: Execution, file: string): void {
  const why = {
    complete: undefined,
    stopped: 'Stopped',
    time: 'The time of the budget is used up',
    tokens: 'The tokens of the budget are used up',
    failed: undefined,
  }[ended?.how ?? 'complete']
  if (why !== undefined)
    remark(`${why}. What was measured is kept; go on with: ${asTyped('caesura ab')} ${file} --resume`)
}
