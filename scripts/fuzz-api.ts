import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { definePipeline } from '../src/app/compose.ts'
import { hostRuns, serveNode } from '../src/app/fleet.ts'
import { serveFleet } from '../src/app/fleet-serving.ts'
import { scripted } from '../src/app/nodes.ts'
import { serveHere } from '../src/app/process-serving.ts'
import type { Api, ServingSettings } from '../src/app/serving.ts'
import { logTo } from '../src/core/log.ts'
import { startRedis } from '../test/fixtures/redis.ts'
import { isExecutable, onPath, run } from './processes.ts'

// Sends requests that schemathesis makes up from the API's own document, right and wrong ones, and looks at every answer.
// `npm run fuzz:api -- --cases 10000 --seed 1`; `--host process` for an API that hosts the runs itself.

const VERSION = '4.32.5'
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
  'unsupported_method',
  'allow_header_conformance',
]
const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    host: { type: 'string', default: 'fleet' },
  },
})
const cases = Number(values.cases)

/** schemathesis in a folder of its own outside of the checkout; undefined where there is no Python. */
async function provideSchemathesis(): Promise<string | undefined> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const folder = join(cache, 'caesura-test', `schemathesis-${VERSION}`)
  const program = join(folder, 'bin', 'schemathesis')
  if (await isExecutable(program)) return program
  const python = await onPath('python3')
  if (python === undefined) return undefined
  await run(python, ['-m', 'venv', folder], {})
  await run(join(folder, 'bin', 'pip'), ['install', '--quiet', `schemathesis==${VERSION}`], {})
  return program
}

/** What the API counted itself, by status. */
async function answers(url: string): Promise<Map<number, number>> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const found = new Map<number, number>()
  for (const [, status, count] of text.matchAll(/^caesura_http_requests_total\{.*status="(\d+)"\} (\d+)/gm)) {
    found.set(Number(status), (found.get(Number(status)) ?? 0) + Number(count))
  }
  return found
}

interface Site {
  serve(settings: ServingSettings): Promise<Api>
  close(): Promise<void>
}

async function fleetSite(): Promise<Site> {
  const server = await startRedis()
  const redis = { url: server.url }
  const hosts = await hostRuns({ redis })
  const stages = await serveNode(node(), { redis })
  return {
    serve: (settings) => serveFleet({ ...settings, redis }),
    async close() {
      await stages.close()
      await hosts.close()
      await server.stop()
    },
  }
}

async function processSite(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'caesura-fuzz-'))
  return {
    serve: (settings) => serveHere({ ...settings, nodes: [node()], recordsFile: join(folder, 'runs.sqlite') }),
    close: () => rm(folder, { recursive: true }),
  }
}

const sum = (counts: Iterable<number>): number => [...counts].reduce((total, count) => total + count, 0)

const program = await provideSchemathesis().catch((error: unknown) => {
  process.stdout.write(`fuzz:api: skipped, schemathesis cannot be installed (${error})\n`)
})
if (program === undefined) {
  process.stdout.write('fuzz:api: skipped, there is no Python here\n')
  process.exit(0)
}

const node = () => scripted({ name: 'n1', slots: 64, script: { tokens: ['a ', 'b'] } })
const site = await (values.host === 'process' ? processSite() : fleetSite())
const pipeline = definePipeline({
  name: 'two',
  stages: [
    { id: 'draft', model: 'scripted', prompt: '{{ input }}' },
    { id: 'refine', model: 'scripted', prompt: '{{ draft.output }}' },
  ],
})
const faults: string[] = []
const counts = new Map<number, number>()
let failed = false

/** Has schemathesis ask a server until it has made so many requests. */
async function fuzz(allowInline: boolean, requests: number): Promise<void> {
  const api = await site.serve({
    ...{ port: 0, pipelines: new Map([[pipeline.name, pipeline]]), allowInline, rate: 0 },
    times: { decisionMs: 200 },
    log: logTo(
      ({ sentence, fields }) => faults.push(`${sentence}\n${(fields.error as Error | undefined)?.stack}`),
      'error',
    ),
  })
  let counted = await answers(api.url)
  for (let seed = Number(values.seed); sum(counted.values()) < requests && !failed; seed++) {
    const flags = [
      ...['--checks', CHECKS.join(','), '--seed', String(seed), '--max-examples', String(Math.ceil(requests / 6))],
      ...['--continue-on-failure', '--request-timeout', '20', '--suppress-health-check', 'all', '--warnings', 'off'],
    ]
    const child = spawn(program as string, ['run', `${api.url}/openapi.json`, ...flags], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    failed = (await new Promise((resolve) => child.on('close', resolve))) !== 0
    counted = await answers(api.url)
  }
  for (const [status, count] of counted) counts.set(status, (counts.get(status) ?? 0) + count)
  await api.close()
}

await fuzz(false, cases)
// Making up whole pipelines takes schemathesis a hundred times as long.
await fuzz(true, cases / 20)

const serverErrors = sum([...counts].filter(([status]) => status >= 500).map(([, count]) => count))
process.stdout.write(
  `fuzz:api: ${sum(counts.values())} requests, ${serverErrors} answered 5xx, ${faults.length} faults\n`,
)
for (const [status, count] of [...counts].sort(([a], [b]) => a - b)) process.stdout.write(`  ${status}: ${count}\n`)
for (const fault of faults.slice(0, 5)) process.stdout.write(`${fault}\n`)
await site.close()
process.exit(failed || serverErrors > 0 || faults.length > 0 ? 1 : 0)
