import { hostRuns, serveNode } from '../../src/app/fleet.ts'
import { serveFleet } from '../../src/app/fleet-serving.ts'
import { sqliteStore } from '../../src/app/stores.ts'
import type { CallRequest } from '../../src/core/call.ts'
import { logTo } from '../../src/core/log.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { scriptFor } from '../chaos/text.ts'
import { FLOOD, floodTokens, pipelines } from './pipelines.ts'

// A process of the storms: `worker.ts pipelines|stages|api URL NAME [RECORDS]`. It tells its parent when it is ready and what its model is asked.
const [kind, url = '', name = '', records] = process.argv.slice(2)
const redis = { url }
const log = logTo(({ sentence }) => process.stderr.write(`${kind} ${name}: ${sentence}\n`), 'info')
const tell = (message: object) => process.send?.(message)
const script = (request: CallRequest) =>
  request.stage === FLOOD ? { tokens: floodTokens, firstTokenMs: 5, tokenMs: 0, abortMs: 2 } : scriptFor(request)

async function start(): Promise<string> {
  if (kind === 'pipelines') {
    const store = records === undefined ? undefined : sqliteStore(records)
    return (await hostRuns({ redis, log, ...(store !== undefined && { store }) })).id
  }
  if (kind === 'api') return (await serveFleet({ redis, log, port: 0, pipelines, rate: 0 })).url
  const scripted = scriptedBackend(script)
  const backend = {
    ...scripted,
    generate: async (...[request, context]: Parameters<typeof scripted.generate>) => {
      tell({ asked: `${request.runId} ${request.callId}` })
      return scripted.generate(request, context)
    },
  }
  return (await serveNode({ name, backend, slots: 8, pool: 'default' }, { redis, log })).id
}

process.on('disconnect', () => process.exit(0))
try {
  tell({ ready: await start() })
} catch (error) {
  // Whoever started it tries again.
  process.stderr.write(`${kind} ${name} does not start: ${(error as Error).message}\n`)
  process.exit(3)
}
