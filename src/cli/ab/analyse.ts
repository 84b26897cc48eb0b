import { Command } from 'commander'
import { CaesuraError } from '../../core/errors.ts'
import { readPlanFile, trialsOfFile } from './data-file.ts'
import { pairsAsked } from './pairs.ts'
import { keptExecution, type RecordsFlags, withExperiments } from './records.ts'
import { type ReportFlags, show, shownOf } from './show.ts'

interface AnalyseFlags extends RecordsFlags, ReportFlags {
  readonly execution?: string
  readonly data?: string
  readonly plan?: string
  readonly pairs?: string
}

/** `ab analyse NAME`: everything that `ab` told, from the records alone; with `--data` and `--plan` from two files alone. */
export function abAnalyseCommand(): Command {
  return new Command('analyse')
    .alias('analyze')
    .description('tell again what the records of an experiment show, or what a file of trials does')
    .argument('[name]', 'of the experiment')
    .option('--execution <id>', 'which of its executions; the newest by default')
    .option('--data <file>', 'trials as `ab data --format ndjson` writes them; needs no records')
    .option('--plan <file>', 'what `ab plan` prints; with --data')
    .option('--pairs <arms>', 'which arms are compared: all, or A/B,C/B; every arm with the baseline by default')
    .option('--report <file>', 'write a page that needs nothing else')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .action((name: string | undefined, flags: AnalyseFlags) => analyse(name, flags))
}

async function analyse(name: string | undefined, flags: AnalyseFlags): Promise<void> {
  const { data, plan: planFile, pairs, execution } = flags
  if ((data === undefined) !== (planFile === undefined)) throw usage('--data and --plan go together')
  if (data !== undefined && planFile !== undefined) {
    if (name !== undefined || execution !== undefined)
      throw usage('--data takes the trials from a file: leave out the name and --execution')
    const read = await readPlanFile(planFile)
    const plan = pairsAsked(read.plan, pairs)
    const trials = () => trialsOfFile(data, { ...read, plan })
    await show({ plan, execution: read.execution, trials, command: `cat ${data}` }, flags)
    return
  }
  if (name === undefined) throw usage('ab analyse needs the name of an experiment, or --data and --plan')
  await withExperiments(flags, async (store) => {
    const kept = keptExecution(store, name, execution)
    await show(shownOf({ ...kept, plan: pairsAsked(kept.plan, pairs) }, store), flags)
  })
}

const usage = (message: string) =>
  new CaesuraError('CAESURA_E_USAGE', message, {
    hint: '`caesura ab data NAME --format ndjson` and `caesura ab plan NAME` write the two files.',
  })
