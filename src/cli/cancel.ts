import { Command } from 'commander'
import { CaesuraError } from '../core/errors.ts'
import { redisFileOption, redisOption } from './fleet-address.ts'
import { type FleetFlags, findRun, onFleet } from './on-fleet.ts'
import { print, printJson } from './output.ts'

/** `cancel RUN`: orders a run of the fleet to end. It ends when its calls have settled. */
export function cancelCommand(): Command {
  return new Command('cancel')
    .description('cancel a run of a fleet, wherever it is')
    .argument('<run>', 'an id, the beginning of one, or `last`')
    .option('--reason <text>', 'kept in the record')
    .addOption(redisOption())
    .addOption(redisFileOption())
    .option('--config <file>', 'the configuration; caesura.config.yaml by default')
    .option('--json', 'one JSON document on stdout')
    .action(async (run: string, flags: FleetFlags & { reason?: string; json?: boolean }) => {
      const runId = await onFleet(flags, async (fleet) => {
        const { runId } = await findRun(fleet, run)
        if (await fleet.cancel(runId, flags.reason)) return runId
        throw new CaesuraError('CAESURA_E_RUN_ENDED', `the run ${runId} has ended already`, { received: run })
      })
      if (flags.json) printJson({ runId, cancelled: true })
      else print(`The run ${runId} is cancelled; it ends when its calls have settled.\n`)
    })
}
