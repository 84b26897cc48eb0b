#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { CaesuraError, CaesuraErrors } from '../core/errors.ts'
import { visibleLines } from '../core/unsafe-text.ts'
import { asTyped } from './as-typed.ts'
import { expectClosedStdout, fatal, printJson } from './output.ts'
import { errorText } from './show-error.ts'
import { examples, verbs } from './verbs.ts'

const packageFile = new URL('../../package.json', import.meta.url)
const version = (): string => String(JSON.parse(readFileSync(packageFile, 'utf8')).version)

async function main(words: readonly string[]): Promise<void> {
  const program = new Command('caesura')
    .description('Runs multi-stage LLM pipelines that can be interrupted, and accounts for every millisecond.')
    .option('--no-color', 'no colours and no redrawing')
    .version(version(), '--version', 'print the version')
    .helpCommand(false)
    .addHelpText('after', () => asTyped(examples))
    .showSuggestionAfterError()
    .exitOverride()
    // What commander would write to stderr comes back as an error, and is written in the form of all others.
    .configureOutput({ writeErr: () => {} })
    .hook('preAction', (_program, action) => {
      json = Boolean(action.opts().json)
    })
  // Where it stands does not matter to commander, but the colours are decided before it reads the line.
  if (words.includes('--no-color')) {
    process.env.NO_COLOR = '1'
    delete process.env.FORCE_COLOR
  }
  const verb = words.find((word) => !word.startsWith('-'))
  const load = verb !== undefined && Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
  const onlyVersion = words[0] === '--version'
  for (const make of load !== undefined ? [load] : onlyVersion ? [] : Object.values(verbs))
    program.addCommand(inherited((await make.load()).helpGroup(make.group), program))
  if (words.length === 0) {
    program.outputHelp()
    return
  }
  await program.parseAsync(words, { from: 'user' })
}

/** A verb, and the verbs below it, with the program's way to tell of errors. */
function inherited(command: Command, from: Command): Command {
  command.copyInheritedSettings(from)
  for (const below of command.commands) inherited(below, command)
  return command
}

/** Whether stdout holds JSON only. Until the verb has read its flags, the line itself says so. */
let json = process.argv.slice(2).includes('--json')

function report(error: unknown): void {
  if (error instanceof CommanderError && error.exitCode === 0) return
  const errors = error instanceof CaesuraErrors ? error.errors : [asCaesuraError(error)]
  const [first] = errors
  if (first === undefined) return
  process.exitCode = first.exitCode
  if (json) {
    const shown = errors.map(shownInJson)
    printJson(errors.length === 1 ? { error: shown[0] } : { error: shown[0], errors: shown })
  }
  if (fatal.log !== undefined) {
    for (const each of errors) fatal.log(each)
    return
  }
  if (!json) process.stderr.write(fatal.redact(`${errors.map(errorText).join('\n')}\n`))
  if (first.code === 'CAESURA_E_INTERNAL' && first.cause instanceof Error)
    process.stderr.write(visibleLines(fatal.redact(`${first.cause.stack}\n`)))
}

/** Each text by itself, so that the document stays JSON. */
const shownInJson = (error: CaesuraError): unknown =>
  JSON.parse(
    JSON.stringify(error, (key, value) =>
      typeof value === 'string' ? fatal.redact(key === 'hint' ? asTyped(value) : value) : value,
    ),
  )

function asCaesuraError(error: unknown): CaesuraError {
  if (error instanceof CaesuraError) return error
  if (error instanceof CommanderError) return usageError(error)
  return new CaesuraError('CAESURA_E_INTERNAL', error instanceof Error ? error.message : String(error), {
    hint: 'This is a fault of Caesura. Please report it, with what you ran and the lines below.',
    cause: error,
  })
}

/** commander's sentence, with its suggestion as the hint: `error: unknown option '--jsn'\n(Did you mean --json?)`. */
function usageError({ message }: CommanderError): CaesuraError {
  const [sentence = '', suggestion] = message.replace(/^error: /, '').split('\n')
  const hint =
    suggestion?.replace(/^\((.*)\)$/, '$1') ?? '`caesura --help` and `caesura VERB --help` tell what there is.'
  return new CaesuraError('CAESURA_E_USAGE', `${sentence.replace(/\.$/, '')}.`, { hint })
}

expectClosedStdout()
for (const fault of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(fault, (error: unknown) => {
    report(error)
    process.exit(1)
  })
await main(process.argv.slice(2)).catch(report)
