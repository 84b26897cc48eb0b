import { Command } from 'commander'
import { planDocument } from '../../lab/design/plan-schema.ts'
import { printJson } from '../output.ts'
import { keptExecution, type RecordsFlags, withExperiments } from './records.ts'

/** `ab plan NAME`: what analysis has to know of an experiment beside its trials, for `ab analyse --plan`. */
export function abPlanCommand(): Command {
  return new Command('plan')
    .description('the plan of an experiment, as `ab analyse --plan` reads it; one JSON document')
    .argument('<name>', 'of the experiment')
    .option('--execution <id>', 'which of its executions; the newest by default')
    .option('--config <file>', 'the configuration')
    .action((name: string, flags: RecordsFlags & { execution?: string }) =>
      withExperiments(flags, (store) => {
        const { execution, plan } = keptExecution(store, name, flags.execution)
        printJson(planDocument(plan, execution.execution === '' ? undefined : execution.execution))
      }),
    )
}
