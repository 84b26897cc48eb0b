import { existsSync } from 'node:fs'
import { Command } from 'commander'
import { isGone } from '../../app/sitting.ts'
import type { ExperimentSummary } from '../../core/ports.ts'
import { print, printJson, printLines } from '../output.ts'
import { screenOn } from '../screen.ts'
import { readSettings } from '../settings.ts'
import { type RecordsFlags, withExperiments } from './records.ts'
import { tableLines } from './table.ts'

/** `ab list`: the experiments that are recorded, newest first. */
export function abListCommand(): Command {
  return new Command('list')
    .description('list the recorded experiments, the newest first')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .action(async (flags: RecordsFlags & { json?: boolean }) => {
      const { recordsFile } = await readSettings(flags)
      const experiments = existsSync(recordsFile) ? await withExperiments(flags, (store) => store.experiments()) : []
      if (flags.json) return printJson({ experiments: experiments.map(told) })
      if (experiments.length === 0) return print(`No experiments are recorded in ${recordsFile}.\n`)
      const rows = experiments.map((each) => [
        each.experiment,
        each.execution ?? '',
        each.startedAt.slice(0, 19).replace('T', ' '),
        String(each.trials),
        stateOf(each),
      ])
      const heads = ['experiment', 'execution', 'started (UTC)', 'runs', 'state']
      printLines(tableLines(heads, rows, { ...screenOn(process.stdout), right: [3] }))
    })
}

const states = {
  complete: 'complete',
  stopped: 'stopped',
  time: 'out of time',
  tokens: 'out of tokens',
  failed: 'failed',
} as const

function stateOf({ execution, ended, conductor }: ExperimentSummary): string {
  if (ended !== undefined) return states[ended.how]
  if (execution === undefined) return 'live'
  return conductor === undefined || isGone(conductor) ? 'unfinished' : 'running'
}

/** A conductor is told of where the execution has not ended: its process, and when it last showed that it lives. */
function told({ conductor, ...summary }: ExperimentSummary) {
  if (conductor === undefined || summary.ended !== undefined) return summary
  const { host, pid, sinceUnixMs, beatUnixMs } = conductor
  return { ...summary, conductor: { host, pid, sinceUnixMs, beatUnixMs } }
}
