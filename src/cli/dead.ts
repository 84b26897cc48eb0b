import { Command } from 'commander'
import { CaesuraError } from '../core/errors.ts'
import type { DeadEntry, Fleet } from '../core/fleet.ts'
import { redisOption } from './fleet-address.ts'
import { type FleetFlags, onFleet } from './on-fleet.ts'
import { print, printJson, printLines } from './output.ts'
import { oneLine, paragraph, type Screen, screenOn } from './screen.ts'

const actions = ['list', 'show', 'retry', 'drop'] as const
type Action = (typeof actions)[number]

/** `dead`: the runs that a fleet put aside, and what to do with them. */
export function deadCommand(): Command {
  return new Command('dead')
    .description('the runs that a fleet put aside: list them, show one, start one again, forget one')
    .argument('[action]', 'list (the default), show, retry or drop')
    .argument('[run]', 'the id of a run, or the beginning of one')
    .addOption(redisOption())
    .option('--config <file>', 'the configuration; caesura.config.yaml by default')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\n`retry` starts the run again from its beginning, under a new id. `drop` only takes it off the list.',
    )
    .action(async (action: string = 'list', run: string | undefined, flags: FleetFlags & { json?: boolean }) => {
      await onFleet(flags, (fleet) => act(fleet, readAction(action), run, flags.json === true))
    })
}

function readAction(action: string): Action {
  const found = actions.find((each) => each === action)
  if (found !== undefined) return found
  throw new CaesuraError('CAESURA_E_USAGE', 'dead does not know this action', {
    received: action,
    expected: actions.join(', '),
  })
}

async function act(fleet: Fleet, action: Action, run: string | undefined, json: boolean): Promise<void> {
  const entries = await fleet.dead()
  if (action === 'list') {
    if (run !== undefined) throw new CaesuraError('CAESURA_E_USAGE', '`dead list` takes no run', { received: run })
    if (json) printJson({ dead: entries })
    else if (entries.length === 0) print('No run was put aside.\n')
    else printLines(deadLines(entries, screenOn(process.stdout)))
    return
  }
  const runId = idOf(entries, run)
  if (action === 'show') {
    const shown = await fleet.deadRun(runId)
    if (json) printJson(shown)
    else printLines(deadLines([shown], screenOn(process.stdout)))
  } else if (action === 'retry') {
    const made = await fleet.retryDead(runId)
    if (json) printJson({ ...made, insteadOf: runId })
    else print(`The run is started again as ${made.runId}.\n`)
  } else {
    await fleet.dropDead(runId)
    if (json) printJson({ runId, dropped: true })
    else print(`The run ${runId} is no longer on the list.\n`)
  }
}

/** The id of a run of the list, by itself or by its beginning. */
function idOf(entries: readonly DeadEntry[], run: string | undefined): string {
  if (run === undefined || run === '')
    throw new CaesuraError('CAESURA_E_USAGE', 'no run is named', {
      hint: 'See `caesura dead`, then `caesura dead show RUN`.',
    })
  const found = entries.filter((entry) => entry.runId?.startsWith(run))
  const exact = found.find(({ runId }) => runId === run) ?? found[0]
  const ids = new Set(found.map(({ runId }) => runId))
  if (exact?.runId !== undefined && (ids.size === 1 || exact.runId === run)) return exact.runId
  const message = ids.size > 1 ? `${ids.size} runs of the list begin with ${run}` : `no run was put aside as ${run}`
  throw new CaesuraError('CAESURA_E_RUN_UNKNOWN', message, { received: run, hint: 'See `caesura dead`.' })
}

/** A line for each, and below it the reason. Lines, unended. */
export function deadLines(entries: readonly DeadEntry[], { width, paint }: Pick<Screen, 'width' | 'paint'>): string[] {
  return entries.flatMap(({ runId, at, error }) => [
    `${oneLine(runId ?? 'a job that is no ticket', 60)}  ${paint('quiet', at)}`,
    ...paragraph(`${error.code}: ${error.message}`, width, '  ').map((line) => paint('bad', line)),
  ])
}
