import { Command, Option } from 'commander'
import { fleetNode, kindOf } from '../app/configured-nodes.ts'
import { type FleetAddress, type FleetWorker, hostRuns, serveNode } from '../app/fleet.ts'
import { secretsOfNode } from '../app/logs.ts'
import type { Observing } from '../app/observing.ts'
import { sqliteStore } from '../app/stores.ts'
import { withoutPassword } from '../core/address.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Node } from '../core/ports.ts'
import { present } from '../core/present.ts'
import { counted } from '../pages/figures.ts'
import { type CatalogueFlag, catalogueOption } from './catalogue-flag.ts'
import { fleetAddress, redisFileOption, redisOption, tellOfPassword } from './fleet-address.ts'
import { type LogFlags, processLog, withLogFlags } from './log-flags.ts'
import { type MetricsFlags, observeWith, withMetricsFlags } from './metrics-flags.ts'
import type { FleetFlags } from './on-fleet.ts'
import { printJson } from './output.ts'
import { whole, withScriptFlags } from './script-flags.ts'
import { readSettings, type Settings } from './settings.ts'
import { callRate, lengthOfTime, type StageNodeFlags, stageNode } from './worker-flags.ts'

const MOST_SLOTS = 1024
const MOST_RUNS = 100_000
const MOST_KEPT = 100_000_000
/** The longest that a timer takes, ms. */
const LONGEST_WAIT_MS = 2 ** 31 - 1

/** `worker stages`, `worker pipelines`: the processes that a fleet is made of. They run until SIGTERM or SIGINT, and exit 0 then. */
export function workerCommand(): Command {
  return new Command('worker')
    .description('work for a fleet: make its calls, or host its runs')
    .argument('[kind]', 'see the commands below')
    .action((kind?: string) => {
      throw new CaesuraError('CAESURA_E_USAGE', 'there are two kinds of workers', {
        received: kind ?? 'nothing',
        expected: '`worker stages` or `worker pipelines`',
      })
    })
    .addCommand(stagesCommand())
    .addCommand(pipelinesCommand())
}

interface WorkerFlags extends FleetFlags, LogFlags, MetricsFlags {
  readonly json?: boolean
}

interface StagesFlags extends WorkerFlags, StageNodeFlags, CatalogueFlag {
  readonly grace: number
  readonly preload?: readonly string[]
  readonly rate?: { readonly calls: number; readonly ms: number }
}

function stagesCommand(): Command {
  const command = new Command('stages')
    .description('make the calls that wait for a node, beside its model server')
    .option('--node <name>', "its name: one of the configuration, or a new one; the host's by default")
    .option(
      '--backend <name>',
      'what the node is: ollama (the default), openai, llama-cpp, scripted, or one of --catalogue',
    )
    .option('--url <url>', 'the model server')
    .option('--api-key-env <name>', 'with --backend ollama or openai: the environment variable that holds the key')
    .option('--model <file>', 'with --backend llama-cpp: a GGUF file; the bundled model by default')
    .option('--slots <n>', 'calls at once; 1 by default', whole('--slots', 1, MOST_SLOTS))
    .option('--pool <name>', 'the group of nodes that it belongs to; `default` by default')
    .addOption(
      new Option('--grace <time>', 'how long calls may go on after SIGTERM')
        .argParser(lengthOfTime('--grace'))
        .default(10_000, '10s'),
    )
    .option('--preload <model>', 'load a model before the node takes calls (repeatable)', collect)
    .option('--rate <calls/time>', 'calls that may begin in a time, such as 10/1s', callRate)
  withMetricsFlags(withScriptFlags(command))
    .addOption(redisOption())
    .addOption(redisFileOption())
    .option('--config <file>', 'the configuration; caesura.config.yaml by default')
    .addOption(catalogueOption())
    .option('--json', 'one JSON document on stdout when it works')
  return withLogFlags(command).action(stages)
}

const collect = (value: string, earlier: readonly string[] = []) => [...earlier, value]

async function stages(flags: StagesFlags): Promise<void> {
  const settings = await readSettings(flags)
  const redis = fleetAddress(flags, settings.config, process.env)
  const { config, folder } = stageNode(flags, settings)
  const { catalogue } = settings
  const node = await fleetNode(config, { folder, environment: process.env, catalogue })
  const { grace: graceMs, rate } = flags
  const preload = (flags.preload ?? []).map((model) => settings.config?.models[model] ?? model)
  const place = {
    name: 'caesura-stages',
    settings,
    redis,
    secrets: secretsOfNode(config, process.env, catalogue),
  }
  await workUntilStopped(flags, place, async ({ stop, service, telemetry, log }) => {
    try {
      if (kindOf(config, catalogue).modelNames !== undefined) await modelFileOf(node, stop)
      for (const model of preload) await load(node, model, stop, log)
      const worker = await serveNode(node, {
        redis,
        graceMs,
        service,
        log,
        ...present({ rate, figures: telemetry?.figures }),
      })
      const { name, slots, pool } = node
      const { kind, address } = node.backend
      tellReady(log, flags, redis, { node: name, worker: worker.id }, telemetry, (at) => {
        const where = address === undefined ? kind : `${kind} at ${address}`
        return `Serving ${name} (${where}, ${counted(slots, 'slot')}, pool ${pool}) to ${at}.`
      })
      return worker
    } catch (error) {
      await node.backend.close()
      throw error
    }
  })
}

/** A model file that was named must be there; a server may be on its way. Throws `CAESURA_E_NO_MODEL`, `CAESURA_E_NO_BACKEND`. */
async function modelFileOf({ name, backend }: Node, stop: AbortSignal): Promise<void> {
  if ((await backend.models(stop)).length > 0) return
  throw new CaesuraError('CAESURA_E_NO_MODEL', `the model file of the node ${name} is not there`, {
    ...present({ file: backend.address }),
    expected: 'a GGUF file',
  })
}

async function load({ name, backend }: Node, model: string, stop: AbortSignal, log: Log): Promise<void> {
  if (backend.load === undefined)
    throw new CaesuraError('CAESURA_E_USAGE', `--preload is of no use with ${backend.kind}: it loads no models ahead`, {
      received: model,
    })
  log.info(`node ${name}: loads ${model}`, { node: name, model })
  await backend.load(model, stop)
}

interface PipelinesFlags extends WorkerFlags, CatalogueFlag {
  readonly runs: number
  readonly keep: number
  readonly keepMost: number
  readonly records?: string
  readonly keepText: boolean
  readonly drain?: boolean
  /** ms. */
  readonly drainWithin?: number
}

function pipelinesCommand(): Command {
  const command = new Command('pipelines')
    .description('host runs')
    .option('--runs <n>', 'runs at once', whole('--runs', 1, MOST_RUNS), 500)
    .addOption(
      new Option('--keep <time>', 'how long ended runs are kept')
        .argParser(lengthOfTime('--keep'))
        .default(86_400_000, '24h'),
    )
    .option('--records <file>', 'write the records of the runs that end here into this file too, without texts')
    .option('--no-keep-text', 'leave inputs and outputs out of the records that Redis keeps of ended runs')
    .option('--keep-most <n>', 'how many ended runs are kept', whole('--keep-most', 0, MOST_KEPT), 100_000)
    .option('--drain', 'after SIGTERM: take up no more runs, and end when those that are hosted here have ended')
    .addOption(
      new Option('--drain-within <time>', '--drain, for so long at most; then what is left goes to other workers')
        .argParser(lengthOfTime('--drain-within'))
        .implies({ drain: true }),
    )
  withMetricsFlags(command)
    .addOption(catalogueOption())
    .addOption(redisOption())
    .addOption(redisFileOption())
    .option('--config <file>', 'the configuration; caesura.config.yaml by default')
    .option('--json', 'one JSON document on stdout when it works')
  return withLogFlags(command).action(pipelines)
}

async function pipelines(flags: PipelinesFlags): Promise<void> {
  const settings = await readSettings(flags)
  const { config, catalogue } = settings
  const redis = fleetAddress(flags, config, process.env)
  const { runs, keep: keepMs, keepMost, records, keepText, drainWithin = LONGEST_WAIT_MS } = flags
  const place = { name: 'caesura-pipelines', settings, redis, ...(flags.drain && { drainMs: drainWithin }) }
  // Before anything is taken: a file that can't be used is seen now.
  const store = records === undefined ? undefined : sqliteStore(records)
  await workUntilStopped(flags, place, async ({ service, telemetry, log }) => {
    const worker = await hostRuns({
      ...{ redis, runs, service, catalogue, keepText },
      ...present({ store }),
      retention: { keepMs, keepMost },
      log,
      ...present({ telemetry, figures: telemetry?.figures }),
    })
    tellReady(
      log,
      flags,
      redis,
      { worker: worker.id },
      telemetry,
      (at) => `Hosting up to ${counted(runs, 'run')} at once of ${at}.`,
    )
    return worker
  })
}

function tellReady(
  log: Log,
  { json }: WorkerFlags,
  redis: FleetAddress,
  names: { readonly node?: string; readonly worker: string },
  telemetry: Observing | undefined,
  sentence: (redis: string) => string,
): void {
  const url = withoutPassword(redis.url)
  const metrics = telemetry?.metricsUrl
  const more = metrics !== undefined && { metrics }
  if (json) printJson({ ...names, pid: process.pid, redis: url, ...more })
  log.info(sentence(url), { ...names, redis: url, ...more })
  if (metrics !== undefined) log.info(`Figures: ${metrics}`)
}

/** What a worker is started with. */
interface WorkerPlace {
  /** Of its service, where `OTEL_SERVICE_NAME` does not name it. */
  readonly name: string
  readonly settings: Settings
  readonly redis: FleetAddress
  /** How long it may drain after the first signal, ms; it does not where this is absent. */
  readonly drainMs?: number
  /** What must never be in its log. */
  readonly secrets?: readonly string[]
}

interface Working {
  readonly stop: AbortSignal
  /** By which records and spans name this process. */
  readonly service: string
  readonly telemetry: Observing | undefined
  readonly log: Log
}

/** What workers of both kinds do when they stop. */
interface StoppableWorker extends FleetWorker {
  drain?(signal: AbortSignal): Promise<void>
}

/**
 * Works until SIGTERM or SIGINT, then stops in good order. A second one ends the process at once, with exit code 1; of a worker that drains
 * the second one ends the draining, and the third the process.
 */
async function workUntilStopped(
  flags: WorkerFlags,
  { name, drainMs, ...place }: WorkerPlace,
  start: (working: Working) => Promise<StoppableWorker>,
): Promise<void> {
  const stop = new AbortController()
  const handOver = new AbortController()
  const onSignal = () => {
    if (!stop.signal.aborted) stop.abort()
    else if (drainMs !== undefined && !handOver.signal.aborted) handOver.abort()
    else process.exit(1)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  const service = process.env.OTEL_SERVICE_NAME?.trim() || name
  const { log } = await processLog(flags, { service, ...place })
  const telemetry = await observeWith(flags, { service, log: log.warn }, place.settings.config)
  const worker = await start({ stop: stop.signal, service, telemetry, log }).catch(async (error: unknown) => {
    await telemetry?.close()
    // What was under way when the stop came was cut off by it.
    if (!stop.signal.aborted) throw error
  })
  if (worker === undefined) return
  tellOfPassword(flags, log.warn)
  if (!stop.signal.aborted)
    await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }))
  if (drainMs !== undefined)
    await worker.drain?.(AbortSignal.any([handOver.signal, AbortSignal.timeout(Math.min(drainMs, LONGEST_WAIT_MS))]))
  await worker.close()
  await telemetry?.close()
  // A connection that is still open must not keep a stopped worker.
  process.exit()
}
