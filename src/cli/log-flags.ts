import { type Command, Option } from 'commander'
import { type LogFormat, logFormats, openLog, type ProcessLog, readChoice } from '../app/logs.ts'
import type { CaesuraError } from '../core/errors.ts'
import type { FleetAddress } from '../core/fleet.ts'
import { type Log, type LogLevel, logLevels } from '../core/log.ts'
import { present } from '../core/present.ts'
import { fatal } from './output.ts'
import type { Settings } from './settings.ts'

/** How a process that goes on working tells what happens. */
export interface LogFlags {
  readonly log?: LogFormat
  readonly logLevel?: LogLevel
}

export const withLogFlags = (command: Command): Command =>
  command
    .addOption(
      new Option('--log <format>', 'text, json or silent; on a terminal text, else json').argParser((value) =>
        readChoice('--log', logFormats, value || '""'),
      ),
    )
    .addOption(
      new Option('--log-level <level>', 'debug, info, warn or error; info by default').argParser((value) =>
        readChoice('--log-level', logLevels, value || '""'),
      ),
    )

interface LogOf {
  readonly service: string
  readonly settings?: Pick<Settings, 'config' | 'catalogue'>
  /** The fleet's. */
  readonly redis?: FleetAddress
  readonly secrets?: readonly string[]
}

/** The log of this process on stderr. From then on an error that ends the process is in it as well. Throws `CAESURA_E_USAGE`. */
export async function processLog(
  flags: LogFlags,
  { service, settings, redis, secrets = [] }: LogOf,
): Promise<ProcessLog> {
  const { log: format, logLevel: level } = flags
  const opened = await openLog({
    ...{ service, secrets, environment: process.env, isTerminal: process.stderr.isTTY === true },
    ...present({ format, level }),
    ...present({ config: settings?.config, catalogue: settings?.catalogue }),
    ...present({ redis: redis?.url }),
  })
  const { log } = opened
  fatal.redact = opened.redact
  if (opened.format === 'json') fatal.log = (error) => tellFatal(log, error)
  return opened
}

function tellFatal(log: Log, { code, message, cause, place: { hint } }: CaesuraError): void {
  // What was not foreseen may say anything, so it is in no sentence; of what was the stack says nothing more.
  if (code === 'CAESURA_E_INTERNAL' && cause instanceof Error)
    log.error('this process ends by a fault of Caesura', { code, error: cause })
  else log.error(hint === undefined ? message : `${message}. ${hint}`, { code })
}
