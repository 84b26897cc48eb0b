import { Command } from 'commander'
import { asTyped } from '../as-typed.ts'
import { abAnalyseCommand } from './analyse.ts'
import { abDataCommand } from './data.ts'
import { abListCommand } from './list.ts'
import { abPlanCommand } from './plan.ts'
import { abRunCommand } from './run.ts'
import { abStatusCommand } from './status.ts'
import { abStopCommand } from './stop.ts'

/** `ab`: experiments. Without a verb of its own, `ab EXPERIMENT` runs one. */
export function abCommand(): Command {
  return new Command('ab')
    .description('compare interrupt policies: run an experiment, look at its records')
    .usage('EXPERIMENT [options] | VERB …')
    .helpCommand(false)
    .addHelpText(
      'after',
      asTyped('\n`caesura ab run --help` tells the options of EXPERIMENT: --report, --json, --resume and others.'),
    )
    .addCommand(abRunCommand(), { isDefault: true })
    .addCommand(abAnalyseCommand())
    .addCommand(abListCommand())
    .addCommand(abDataCommand())
    .addCommand(abPlanCommand())
    .addCommand(abStatusCommand())
    .addCommand(abStopCommand())
}
