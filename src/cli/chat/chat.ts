import { randomUUID } from 'node:crypto'
import { Command } from 'commander'
import { createEngine } from '../../app/compose.ts'
import { withCapture } from '../../app/logs.ts'
import { observeCommand } from '../../app/observing.ts'
import { memorySessions, sqliteStore } from '../../app/stores.ts'
import { chooseSurroundings, withoutModels } from '../../app/surroundings.ts'
import type { Catalogue } from '../../core/catalogue.ts'
import { modelsAsked, type Pipeline } from '../../core/pipeline.ts'
import { present } from '../../core/present.ts'
import { type CatalogueFlag, catalogueOf, catalogueOption } from '../catalogue-flag.ts'
import { loadPipeline, pipelineOf } from '../load-pipeline.ts'
import { remark } from '../output.ts'
import { paceOption } from '../pace-flag.ts'
import { type NodeFlags, readSettings, wishesOf, withNodeFlags } from '../settings.ts'
import { builtIn, isBundled } from './built-in.ts'
import { heardPipeline } from './listener.ts'
import { talkInPipe } from './piped.ts'
import { talkInTerminal } from './terminal.ts'

interface ChatFlags extends NodeFlags, CatalogueFlag {
  readonly session?: string
  readonly policy?: string
  readonly pace?: number
  readonly record: boolean
  readonly keepText?: boolean
  readonly json?: boolean
}

/** How long the end of a chat waits for a collector at most, ms. */
const COLLECTOR_MS = 2000

/** `chat [PIPELINE]`: a conversation. In a terminal one types while it answers; in a pipe each line is a turn. */
export function chatCommand(): Command {
  const command = new Command('chat')
    .description('a conversation at the terminal: type while it answers, and Enter interrupts')
    .argument('[pipeline]', 'a pipeline file; without one a single stage with a history')
    .option('--session <id>', 'goes on with the conversation of this id; without one it is forgotten at the end')
    .option(
      '--policy <policy>',
      "the first boundary's policy: its name, its response, or YAML such as '{response: drain}'",
    )
    .addOption(catalogueOption())
    .addOption(paceOption())
    .option('--json', 'print a line of JSON for each turn; each line of stdin is one')
    .option('--no-record', 'keep no records')
    .option('--keep-text', 'keep prompts and outputs in the records')
  return withNodeFlags(command).action(chat)
}

/** The name of a response is a policy here: `/policy drain` says what `/policy {response: drain}` does. */
export function policyOf(asked: string, { presets, responses }: Catalogue): string {
  const word = asked.trim()
  const isResponse = responses.some(({ name }) => name === word) && !presets.some(({ name }) => name === word)
  return isResponse ? `{ response: ${word} }` : asked
}

async function chat(file: string | undefined, flags: ChatFlags): Promise<void> {
  const catalogue = await catalogueOf(flags)
  const settings = await readSettings(flags)
  let bundled = false
  const load = async (asked = flags.policy): Promise<Pipeline> => {
    const policy = asked === undefined ? undefined : policyOf(asked, catalogue)
    const pipeline =
      file === undefined ? pipelineOf(builtIn(bundled), policy, catalogue) : await loadPipeline(file, policy, catalogue)
    return heardPipeline(pipeline, flags.pace)
  }
  const wanted = modelsAsked(await load())
  const wishes = wishesOf(flags, settings)
  const { notices, ...where } = wanted.length === 0 ? withoutModels() : await chooseSurroundings(wanted, wishes)
  for (const notice of notices) remark(notice)
  bundled = isBundled(where.models)
  const telemetry = await observeCommand(withCapture(process.env, settings.config), {
    service: 'caesura',
    log: remark,
    answerMs: COLLECTOR_MS,
  })
  await using engine = createEngine({
    ...where,
    catalogue,
    ...present({ telemetry }),
    keepText: flags.keepText ?? settings.keepText,
    ...(flags.record && { store: sqliteStore(settings.recordsFile) }),
    // Nobody can go on with a conversation that has no name, so that no file has its texts.
    ...(flags.session === undefined && { sessions: memorySessions() }),
  })
  const id = flags.session ?? randomUUID()
  const open = async (policy: string) => engine.session(await load(policy), id)
  const pipeline = await load()
  const session = engine.session(pipeline, id)
  const inTerminal = process.stdin.isTTY && process.stdout.isTTY && process.env.TERM !== 'dumb' && !flags.json
  const exitCode = inTerminal
    ? await talkInTerminal(session, {
        open,
        hasHistory: pipeline.history !== undefined,
        ...present({ config: flags.config }),
      })
    : await talkInPipe(session, flags.json ?? false)
  await telemetry?.close()
  if (exitCode !== 0) process.exitCode = exitCode
}
