import { Command } from 'commander'
import { redisFileOption, redisOption } from '../fleet-address.ts'
import { type FleetFlags, onFleet } from '../on-fleet.ts'
import { print, printJson } from '../output.ts'

type StopFlags = FleetFlags & { readonly json?: boolean }

/** `ab stop NAME --redis`: no run that is submitted from now on takes part in the experiment. `--resume` takes it back. */
export function abStopCommand(): Command {
  return new Command('stop')
    .description('stop an experiment on the live traffic of a fleet, at once and without a change of files')
    .argument('<name>', 'of the experiment')
    .option('--resume', 'let it go on: the same arms for the same sessions')
    .option('--json', 'one JSON document on stdout')
    .option('--config <file>', 'the configuration')
    .addOption(redisOption())
    .addOption(redisFileOption())
    .action(async (experiment: string, _flags: unknown, command: Command) => {
      // `ab` has flags of the same names, and takes those that it finds.
      const { json, resume = false, ...from } = command.optsWithGlobals<StopFlags & { resume?: boolean }>()
      const { changed, stopped } = await onFleet(from, async (fleet) => ({
        changed: resume ? await fleet.resumeExperiment(experiment) : await fleet.stopExperiment(experiment),
        stopped: await fleet.stoppedExperiments(),
      }))
      if (json) return printJson({ experiment, stopped: !resume, changed, allStopped: stopped })
      print(`${experiment} ${sentence(resume, changed)}\n`)
    })
}

function sentence(resume: boolean, changed: boolean): string {
  if (resume) return changed ? 'goes on: sessions have the arms that they had.' : 'was not stopped on this fleet.'
  return changed ? 'is stopped: runs that begin from now on take no part in it.' : 'was stopped already.'
}
