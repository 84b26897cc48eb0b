import { Command } from 'commander'
import { readSignal } from '../core/caller-input.ts'
import type { SignalAnswer } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Fleet } from '../core/fleet.ts'
import { redisFileOption, redisOption } from './fleet-address.ts'
import { type FleetFlags, findRun, onFleet } from './on-fleet.ts'
import { printJson, printLines, remark } from './output.ts'
import { paragraph, screenOn } from './screen.ts'

/** How long an answer may take before the user is told what it waits for, ms. */
const PATIENCE_MS = 3000

/** `interrupt RUN [TEXT]`: sends a signal and says what was decided. Exit 1 when it was not accepted, 2 when the run had ended. */
export function interruptCommand(): Command {
  return new Command('interrupt')
    .description('interrupt a run of a fleet, wherever it is, and say what was decided')
    .argument('<run>', 'an id, the beginning of one, or `last`')
    .argument('[text]', 'the new input')
    .addOption(redisOption())
    .addOption(redisFileOption())
    .option('--config <file>', 'the configuration; caesura.config.yaml by default')
    .option('--json', 'one JSON document on stdout')
    .action(async (run: string, text: string | undefined, flags: FleetFlags & { json?: boolean }) => {
      if (text?.trim() === '') throw new CaesuraError('CAESURA_E_USAGE', 'the new input is empty', { received: '""' })
      const { runId, answer } = await onFleet(flags, async (fleet) => {
        const { runId } = await findRun(fleet, run)
        return { runId, answer: await interrupt(fleet, runId, text) }
      })
      if (!answer.accepted && answer.code === 'CAESURA_E_RUN_ENDED')
        throw new CaesuraError('CAESURA_E_RUN_ENDED', `the run ${runId} has ended already`, { received: run })
      if (flags.json) printJson({ runId, ...answer })
      else printLines(paragraph(inWords(answer), screenOn(process.stdout).width))
      if (!answer.accepted) process.exitCode = 1
    })
}

async function interrupt(fleet: Fleet, runId: string, input: string | undefined): Promise<SignalAnswer> {
  const timer = setTimeout(() => remark('Waiting for a worker that hosts the run …'), PATIENCE_MS)
  try {
    return await fleet.interrupt(runId, readSignal({ input }))
  } finally {
    clearTimeout(timer)
  }
}

function inWords(answer: SignalAnswer): string {
  if (!answer.accepted) return `Not accepted: ${answer.reason}.`
  const { decision, reason, superseded } = answer
  return `${decision}: ${reason}${superseded ? '; a newer interrupt took its place' : ''}.`
}
