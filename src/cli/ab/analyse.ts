import { Command } from 'commander'
import { keptExecution, type RecordsFlags, withExperiments } from './records.ts'
import { type ReportFlags, show } from './show.ts'

/** `ab analyse NAME`: everything that `ab` told, from the records alone. */
export function abAnalyseCommand(): Command {
  return new Command('analyse')
    .alias('analyze')
    .description('tell again what the records of an experiment show')
    .argument('<name>', 'of the experiment')
    .option('--execution <id>', 'which of its executions; the newest by default')
    .option('--report <file>', 'write a page that needs nothing else')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .action((name: string, flags: RecordsFlags & ReportFlags & { execution?: string }) =>
      withExperiments(flags, async (store) => {
        await show(keptExecution(store, name, flags.execution), store, flags)
      }),
    )
}
