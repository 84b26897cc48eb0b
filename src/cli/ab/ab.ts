import { Command } from 'commander'
import { abRunCommand } from './run.ts'

/** `ab`: experiments. Without a verb of its own, `ab EXPERIMENT` runs one. */
export function abCommand(): Command {
  return new Command('ab')
    .description('compare interrupt policies: run an experiment, look at its records')
    .usage('EXPERIMENT [options] | VERB …')
    .addCommand(abRunCommand(), { isDefault: true, hidden: true })
}
