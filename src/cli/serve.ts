import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { defaultLimits, readTokens, type ServingSettings } from '../app/serving.ts'
import type { Catalogue } from '../core/catalogue.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { present } from '../core/present.ts'
import { counted } from '../pages/figures.ts'
import { type CatalogueFlag, catalogueOption } from './catalogue-flag.ts'
import { fleetOption, namedFleet, type RedisFlag, redisFileOption, tellOfPassword } from './fleet-address.ts'
import { loadPipeline } from './load-pipeline.ts'
import { type LogFlags, processLog, withLogFlags } from './log-flags.ts'
import { type MetricsFlags, observeWith, withMetricsFlags } from './metrics-flags.ts'
import { printJson, printLines } from './output.ts'
import { whole } from './script-flags.ts'
import type { ServedNodeFlags } from './serve-here.ts'
import { readSettings, withNodeFlags } from './settings.ts'
import { stopOnSignals } from './stop-on-signals.ts'

interface ServeFlags extends CatalogueFlag, RedisFlag, LogFlags, MetricsFlags, ServedNodeFlags {
  readonly host: string
  readonly port: number
  readonly pipelines?: string
  readonly allowInline?: boolean
  readonly tokens?: string
  readonly rate: number
  readonly bodyLimit: number
  readonly cors?: readonly string[]
  readonly maxWaiting: number
  readonly memoryShare: number
  readonly json?: boolean
}

const DEFAULT_PORT = 8080
const HIGHEST_PORT = 65_535
const DEFAULT_RATE = 100
const MOST = 1_000_000
const MIB = 1024 * 1024
const LARGEST_BODY = 64 * MIB
const MOST_WAITING = 100_000_000
const PERCENT = 100

/** `serve`: the HTTP API, until it is told to stop by SIGINT or SIGTERM; it exits 0 then. */
export function serveCommand(): Command {
  const command = new Command('serve')
    .description('serve runs over HTTP: those of a fleet, or of this process where no Redis is named')
    .option('--host <address>', 'where it listens; another than loopback needs --tokens', '127.0.0.1')
    .option('--port <n>', '0 takes a free one', whole('--port', 0, HIGHEST_PORT), DEFAULT_PORT)
    .option(
      '--pipelines <folder>',
      'the pipelines that requests may name: its .yaml, .yml and .json files, but *.experiment.* and caesura.config.yaml',
    )
    .addOption(catalogueOption())
    .option('--allow-inline', 'requests may bring a pipeline along')
    .option('--tokens <file>', 'who may ask: one a line, TOKEN [name=…] [role=read|run|approve|admin] [tenant=…]')
    .option(
      '--rate <n>',
      'requests a second of one token or address; 0 for any',
      whole('--rate', 0, MOST),
      DEFAULT_RATE,
    )
    .option('--body-limit <bytes>', 'the largest body', whole('--body-limit', 1, LARGEST_BODY), MIB)
    .option(
      '--max-waiting <n>',
      'runs that may wait to begin; more are refused with 503',
      whole('--max-waiting', 1, MOST_WAITING),
      defaultLimits.maxWaiting,
    )
    .option(
      '--memory-share <percent>',
      'with a Redis: of its maxmemory that may be in use before runs are refused with 503; 100 for any',
      whole('--memory-share', 1, PERCENT),
      defaultLimits.memoryShare * PERCENT,
    )
    .option('--cors <origin>', 'pages of this origin may read answers (repeatable)', origins)
    .option('--runs <n>', 'without a Redis: runs that go on at once; 500 by default', whole('--runs', 1, MOST))
  withMetricsFlags(withNodeFlags(command))
    .addOption(fleetOption('serve the fleet behind it'))
    .addOption(redisFileOption())
    .option('--json', 'one JSON document on stdout when it listens')
  return withLogFlags(command).action(serve)
}

function origins(value: string, earlier: readonly string[] = []): string[] {
  const url = URL.parse(value)
  if (url !== null && /^https?:$/.test(url.protocol) && url.origin === value) return [...earlier, value]
  throw new CaesuraError('CAESURA_E_USAGE', '--cors is no origin', {
    received: value,
    expected: 'scheme, host and port, such as https://example.org',
  })
}

async function serve(flags: ServeFlags): Promise<void> {
  const { host, port, rate, bodyLimit, allowInline = false, json } = flags
  const settings = await readSettings(flags)
  const { config, keepText, catalogue } = settings
  const pipelines =
    flags.pipelines === undefined ? new Map<string, Pipeline>() : await loadFolder(flags.pipelines, catalogue)
  const tokens = flags.tokens === undefined ? [] : readTokens(await readText(flags.tokens), flags.tokens)
  const redis = namedFleet(flags, config, process.env)
  if (redis !== undefined) refuseNodeFlags(flags)
  const service = process.env.OTEL_SERVICE_NAME?.trim() || 'caesura-serve'
  const { log, format } = await processLog(flags, {
    ...{ service, settings, secrets: tokens.map(({ token }) => token) },
    ...present({ redis }),
  })
  tellOfPassword(flags, log.warn)
  if (pipelines.size === 0 && !allowInline) {
    log.warn('There is no pipeline to run: --pipelines names a folder, --allow-inline lets requests bring one along.')
  }
  const stop = stopOnSignals()
  const telemetry = await observeWith(flags, { service: 'caesura-serve', isScraped: true, log: log.warn }, config)
  try {
    const serving: ServingSettings = {
      ...{ host, port, rate, bodyBytes: bodyLimit, pipelines, tokens, allowInline, catalogue, keepText, log },
      ...present({ cors: flags.cors, figures: telemetry?.figures, openRequest: telemetry?.openRequest }),
    }
    const { maxWaiting, memoryShare } = flags
    const api =
      redis === undefined
        ? await (await import('./serve-here.ts')).hostHere({ flags, settings, serving, telemetry })
        : await (await import('../app/fleet-serving.ts')).serveFleet({
            ...serving,
            redis,
            limits: { maxWaiting, memoryShare: memoryShare / PERCENT },
            models: config?.models ?? {},
          })
    const metrics = telemetry?.metricsUrl
    if (json)
      printJson({
        ...{ url: api.url, pipelines: [...pipelines.keys()], tokens: tokens.length, pid: process.pid },
        host: redis === undefined ? 'process' : 'fleet',
        ...present({ metrics }),
      })
    else printLines([`serve: ${api.url} (${counted(pipelines.size, 'pipeline')}, ${counted(tokens.length, 'token')})`])
    // People have it on stdout.
    if (format === 'json')
      log.info(`serving ${api.url}`, { url: api.url, pipelines: pipelines.size, tokens: tokens.length })
    if (!stop.signal.aborted)
      await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }))
    log.info('stopping')
    await api.close()
    log.info('stopped')
  } finally {
    await telemetry?.close()
    stop.dispose()
  }
}

/** Throws `CAESURA_E_USAGE` for flags of a process that hosts runs itself. */
function refuseNodeFlags(flags: ServeFlags): void {
  const given = (['backend', 'model', 'url', 'node', 'runs'] as const).find((flag) => flags[flag] !== undefined)
  if (given === undefined) return
  throw new CaesuraError(
    'CAESURA_E_USAGE',
    `--${given} is of no use with a fleet: its workers have nodes of their own`,
    {
      hint: 'A Redis is named by --redis, --redis-file, REDIS_URL or the configuration.',
    },
  )
}

const FILES = /\.(ya?ml|json)$/i
/** What lies beside pipelines. */
const OTHERS = /\.schema\.json$|\.experiment\.(ya?ml|json)$|^caesura\.config\.ya?ml$/i

/** Every pipeline of a folder, by its name. Throws `CAESURA_E_FILE`, `CAESURA_E_USAGE`, and what is wrong in a file. */
async function loadFolder(folder: string, catalogue: Catalogue): Promise<Map<string, Pipeline>> {
  const entries = await readdir(folder).catch((cause: Error) => {
    throw new CaesuraError('CAESURA_E_FILE', '--pipelines is no folder that can be read', {
      file: folder,
      received: folder,
      expected: 'a folder',
      cause,
    })
  })
  const pipelines = new Map<string, Pipeline>()
  for (const entry of entries.filter((name) => FILES.test(name) && !OTHERS.test(name)).sort()) {
    const file = join(folder, entry)
    const pipeline = await loadPipeline(file, undefined, catalogue)
    if (pipelines.has(pipeline.name)) {
      throw new CaesuraError('CAESURA_E_USAGE', 'two pipelines of the folder have the same name', {
        file,
        received: pipeline.name,
        expected: 'a name that no other has',
      })
    }
    pipelines.set(pipeline.name, pipeline)
  }
  return pipelines
}

/** Throws `CAESURA_E_FILE`. */
async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new CaesuraError('CAESURA_E_FILE', 'the tokens file cannot be read', { file, expected: 'a file', cause })
  }
}
