// `npm run fleet`: a whole fleet on this machine, a run through it, and everything stopped on Ctrl-C. `--once`: stops after the run.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { oneLine, paragraph, screenOn } from '../src/cli/screen.ts'
import { redisServer } from './redis-server.ts'
import { jsonDocument, Services } from './services.ts'

const cli = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const examples = fileURLToPath(new URL('../examples', import.meta.url))
const NODES = ['gpu-1', 'gpu-2']
const SLOTS = 2
const NAME_WIDTH = 'pipeline worker'.length
const QUESTION = 'How do I descale my kettle?'
const CHANGE = 'I have no vinegar.'
const LAST_WORDS =
  'Kill a stage worker while a run goes (kill -9 PID): the other node makes its call. Ctrl-C here stops everything.'

const isOnce = process.argv.includes('--once')
const screen = screenOn(process.stdout)
const folder = await mkdtemp(join(tmpdir(), 'caesura-fleet-'))
let isQuiet = true
const services = new Services((line) => {
  if (!isQuiet) say(screen.paint('quiet', oneLine(line, screen.width)))
})
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    if (stop.signal.aborted) {
      services.kill()
      process.exit(1)
    }
    stop.abort()
  })
// A terminal that is closed takes its output with it; the fleet is stopped all the same.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

const say = (line = '') => screen.write(`${line}\n`)
const heading = (line: string) => say(`\n${screen.paint('heading', line)}\n`)

function row(what: string, where: string, more = ''): void {
  const name = what.padEnd(NAME_WIDTH)
  say(screen.paint('good', name) + `  ${where.padEnd(25)}  ${more}`.slice(0, screen.width - NAME_WIDTH).trimEnd())
}

/** A command over several lines that a shell takes as one. */
const continued = (command: string): string =>
  command.length <= screen.width ? command : command.split(/ (?=--[a-z])/).join(' \\\n    ')

/** Starts a verb that prints one JSON document when it works. */
const verb = <T>(name: string, ...args: string[]): Promise<T> =>
  services.start<T>(name, [process.execPath, cli, ...args, '--json'], jsonDocument, {
    CAESURA_CONFIG: join(folder, 'caesura.config.yaml'),
    CAESURA_LOG: 'text',
  })

async function startRedis(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  const flags = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes']
  const isReady = (stdout: string) => stdout.includes('Ready to accept connections') || undefined
  await services.start('redis', [await redisServer(), ...flags], isReady)
  return `redis://127.0.0.1:${port}`
}

/** What the pipelines' model names stand for on the model servers of this fleet. */
const configuration = `models: { fast: caesura-demo, slow: caesura-demo }\n`

async function start(): Promise<{ redis: string; api: string }> {
  await writeFile(join(folder, 'caesura.config.yaml'), configuration)
  heading('A fleet on this machine')
  const redis = process.env.REDIS_URL || (await startRedis())
  row('Redis', redis, process.env.REDIS_URL ? 'from REDIS_URL' : 'temporary')
  await Promise.all(
    NODES.map(async (node, index) => {
      const { url, model } = await verb<{ url: string; model: string }>(
        `model server ${index + 1}`,
        ...['model-server', '--port', '0', '--slots', String(SLOTS)],
      )
      row('model server', url, `${model}, ${SLOTS} slots`)
      const { pid } = await verb<{ pid: number }>(
        node,
        ...['worker', 'stages', '--node', node, '--url', url, '--slots', String(SLOTS), '--redis', redis],
        ...['--preload', 'fast'],
      )
      row('stage worker', node, `pid ${pid}`)
    }),
  )
  const [worker, api] = await Promise.all([
    verb<{ pid: number }>('pipeline worker', 'worker', 'pipelines', '--redis', redis),
    verb<{ url: string }>('API', 'serve', '--port', '0', '--pipelines', examples, '--redis', redis),
  ])
  row('pipeline worker', '', `pid ${worker.pid}, hosts the runs`)
  row('API', api.url)
  return { redis, api: api.url }
}

/** Shows a command of the command line and runs it in this terminal; yields its exit code. */
async function show(...args: string[]): Promise<number> {
  const quoted = args.map((arg) => (/[\s=]/.test(arg) ? JSON.stringify(arg) : arg))
  heading(continued(`$ caesura ${quoted.join(' ')}`))
  const child = spawn(process.execPath, [cli, ...args], { stdio: 'inherit' })
  const [code] = await once(child, 'close')
  return code as number
}

try {
  const { redis, api } = await start()
  await show('nodes', '--redis', redis)
  const pipeline = relative(process.cwd(), join(examples, 'draft-refine.yaml'))
  if (!stop.signal.aborted) {
    const run = ['run', pipeline, '--redis', redis, '--input', QUESTION, '--interrupt', `tokens=12:${CHANGE}`]
    process.exitCode = await show(...run)
  }
  if (!isOnce && !stop.signal.aborted) {
    isQuiet = false
    heading('Now in another terminal')
    say(`export REDIS_URL=${redis}`)
    say(continued('npm run -s caesura -- run examples/draft-refine.yaml --redis --input "How do I clean an oven?"'))
    say('npm run -s caesura -- nodes')
    say(`curl ${api}/v1/runs`)
    say()
    for (const line of paragraph(LAST_WORDS, screen.width)) say(line)
    await once(stop.signal, 'abort')
  }
} catch (error) {
  if (!stop.signal.aborted) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
} finally {
  isQuiet = true
  say(screen.paint('quiet', '\nStopping the fleet …'))
  await services.stop()
  await rm(folder, { recursive: true, force: true })
}
process.exit()
