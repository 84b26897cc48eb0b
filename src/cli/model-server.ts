import { Command, Option } from 'commander'
import { serveModel } from '../app/model-serving.ts'
import { present } from '../core/present.ts'
import { type LogFlags, processLog, withLogFlags } from './log-flags.ts'
import { type MetricsFlags, observeWith, withMetricsFlags } from './metrics-flags.ts'
import { printJson, printLines } from './output.ts'
import { type ScriptFlags, scriptOf, whole, withScriptFlags } from './script-flags.ts'
import { stopOnSignals } from './stop-on-signals.ts'

interface ModelServerFlags extends ScriptFlags, LogFlags, MetricsFlags {
  readonly host: string
  readonly port: number
  readonly slots: number
  readonly queue: number
  readonly backend: 'embedded' | 'scripted'
  readonly model?: string
  readonly json?: boolean
}

const DEFAULT_PORT = 11_500
const HIGHEST_PORT = 65_535
const MOST_SLOTS = 256
const LARGEST = 1_000_000

/** `model-server`: serves a model until it is told to stop by SIGINT or SIGTERM, and exits 0 then. */
export function modelServerCommand(): Command {
  const port = whole('--port', 0, HIGHEST_PORT)
  const command = new Command('model-server')
    .description("serve the embedded model over Ollama's HTTP interface")
    .option('--host <address>', 'where it listens', '127.0.0.1')
    .option('--port <n>', '0 takes a free one', port, DEFAULT_PORT)
    .option('--model <file>', 'a GGUF file; the bundled model by default')
    .option('--slots <n>', 'calls at once', whole('--slots', 1, MOST_SLOTS), 1)
    .option('--queue <n>', 'calls that may wait; one more is answered 503', whole('--queue', 0, LARGEST), 512)
    .addOption(new Option('--backend <name>', 'what answers').choices(['embedded', 'scripted']).default('embedded'))
  withMetricsFlags(withScriptFlags(command)).option('--json', 'one JSON document on stdout when it listens')
  return withLogFlags(command).action(modelServer)
}

async function modelServer(flags: ModelServerFlags): Promise<void> {
  const { host, port, slots, queue, model, json } = flags
  const script = scriptOf(flags)
  const { log, format } = await processLog(flags, { service: 'caesura-model-server' })
  const stop = stopOnSignals()
  const telemetry = await observeWith(flags, { service: 'caesura-model-server', log: log.warn })
  try {
    const { server, model: name } = await serveModel({
      ...{ host, port, slots, queue, log },
      ...present({ model, script, figures: telemetry?.figures, openRequest: telemetry?.openRequest }),
    })
    const metrics = telemetry?.metricsUrl
    if (json) printJson({ url: server.url, model: name, slots, pid: process.pid, ...present({ metrics }) })
    else
      printLines([
        `model-server: ${server.url} (model ${name}, ${slots} ${slots === 1 ? 'slot' : 'slots'})`,
        ...(metrics === undefined ? [] : [`figures: ${metrics}`]),
      ])
    // People have it on stdout.
    if (format === 'json') log.info(`serving ${name} at ${server.url}`, { url: server.url, model: name, slots })
    if (!stop.signal.aborted) await endOf(stop.signal)
    log.info('stopping')
    await server.close()
    log.info('stopped')
  } finally {
    await telemetry?.close()
    stop.dispose()
  }
}

/** Until it is told to stop. One that a program of ours started on a channel ends with that program, however that ended. */
async function endOf(stopped: AbortSignal): Promise<void> {
  await new Promise<unknown>((resolve) => {
    stopped.addEventListener('abort', resolve, { once: true })
    if (process.channel !== undefined) process.once('disconnect', resolve)
  })
  if (process.connected) process.disconnect()
}
