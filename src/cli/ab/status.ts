import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { Command } from 'commander'
import { sqliteStore } from '../../app/stores.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { ExperimentStore } from '../../core/ports.ts'
import { present } from '../../core/present.ts'
import { analyse } from '../../lab/analyse.ts'
import { liveDesignOf, planOfLive } from '../../lab/design/live-design.ts'
import { participationOf } from '../../lab/participation.ts'
import { printJson, printLines } from '../output.ts'
import { readSettings } from '../settings.ts'
import { stopOnSignals } from '../stop-on-signals.ts'
import { type LiveStatus, statusLines } from './status-words.ts'

interface StatusFlags {
  readonly json?: boolean
  readonly watch?: boolean
  readonly config?: string
}

const WATCH_MS = 5000

/** `ab status NAME`: how an experiment on live traffic stands, from the records file alone. May be looked at at any time. */
export function abStatusCommand(): Command {
  return new Command('status')
    .description('how an experiment on live traffic stands; may be looked at at any time')
    .argument('<name>', 'of the experiment')
    .option('--watch', 'again every 5 s, until Ctrl-C')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .action(async (name: string, _flags: unknown, command: Command) => {
      // `ab` has flags of the same names, and takes those that it finds.
      const flags = command.optsWithGlobals<StatusFlags>()
      if (flags.json && flags.watch)
        throw new CaesuraError('CAESURA_E_USAGE', '--json and --watch exclude each other: stdout holds one document')
      await status(name, flags)
    })
}

async function status(name: string, flags: StatusFlags): Promise<void> {
  const { recordsFile } = await readSettings(flags.config === undefined ? {} : { config: flags.config })
  if (!existsSync(recordsFile)) throw unknown(name, recordsFile, [])
  const store = sqliteStore(recordsFile)
  const stop = stopOnSignals()
  try {
    if (flags.json) return printJson(statusOf(store, name, recordsFile))
    printLines(statusLines(statusOf(store, name, recordsFile)))
    while (flags.watch && !stop.signal.aborted) {
      await pause(WATCH_MS, undefined, { signal: stop.signal }).catch(() => undefined)
      if (!stop.signal.aborted) printLines(['', ...statusLines(statusOf(store, name, recordsFile))])
    }
    if (stop.exitCode !== undefined) process.exitCode = stop.exitCode
  } finally {
    stop.dispose()
    store.close()
  }
}

/** Throws `CAESURA_E_EXPERIMENT_UNKNOWN`. */
function statusOf(store: ExperimentStore, experiment: string, file: string): LiveStatus {
  const kept = store.readExecution(experiment, '')
  const design = kept && liveDesignOf(kept)
  const plan = kept && planOfLive(kept)
  if (design === undefined || plan === undefined) {
    const all = store.experiments()
    const live = all.filter(({ execution }) => execution === undefined)
    const [known, foreign] = [live.map((each) => each.experiment), live.some((each) => each.experiment === experiment)]
    if (foreign) throw assignedElsewhere(experiment, file)
    const isOffline = all.some((each) => each.experiment === experiment)
    throw unknown(experiment, file, known, isOffline)
  }
  const { pipeline, coverage, changedAt } = design
  const { firstUnixMs, lastUnixMs, mixedSessions, arms } = participationOf(plan, store.trials({ experiment }))
  return {
    experiment,
    pipeline,
    coverage,
    ...present({ changedAt }),
    ...(firstUnixMs !== undefined && { firstRunAt: new Date(firstUnixMs).toISOString() }),
    ...(lastUnixMs !== undefined && { lastRunAt: new Date(lastUnixMs).toISOString() }),
    mixedSessions,
    metrics: plan.metrics.map(({ metric }) => metric),
    arms: arms.map((arm) => {
      const planned = plan.arms.find(({ name }) => name === arm.name)
      return { ...arm, ...(planned !== undefined && { policy: planned.policy, weight: planned.weight }) }
    }),
    analysis: analyse(plan, store.trials({ experiment })),
  }
}

/** The callers said which arm each run has; what the experiment is, no pipeline says. */
const assignedElsewhere = (received: string, file: string): CaesuraError =>
  new CaesuraError('CAESURA_E_EXPERIMENT_UNKNOWN', 'runs of this experiment are recorded, but not what it compares', {
    file,
    received,
    expected: 'an experiment that a pipeline has',
    hint: 'Write `experiment:` with this name and these arms into the pipeline; an arm that a caller gives still counts.',
  })

function unknown(received: string, file: string, known: readonly string[], isOffline = false): CaesuraError {
  return new CaesuraError('CAESURA_E_EXPERIMENT_UNKNOWN', 'no experiment on live traffic is recorded under this name', {
    file,
    received,
    expected: known.length === 0 ? 'the name of a recorded one; there is none yet' : known.join(', '),
    hint: isOffline
      ? 'It was run offline: `caesura ab analyse` tells of it.'
      : 'It is recorded with the first run that takes part: `experiment:` of a pipeline, and a records file.',
  })
}
