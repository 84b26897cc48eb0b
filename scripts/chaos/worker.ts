import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { hostRuns, serveNode } from '../../src/app/fleet.ts'
import { logTo } from '../../src/core/log.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { scriptFor } from './text.ts'

// A worker process of the chaos run: `worker.ts pipelines URL` or `worker.ts stages URL NAME`.
const [kind, url = '', name = ''] = process.argv.slice(2)
const redis = { url }
const log = logTo(({ sentence }) => process.stderr.write(`${kind} ${name}: ${sentence}\n`), 'info')

if (kind === 'pipelines') {
  const worker = await hostRuns({ redis, log })
  process.send?.({ ready: worker.id })
} else {
  const witness = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
  witness.on('error', () => undefined)
  const scripted = scriptedBackend(scriptFor)
  const backend = {
    ...scripted,
    // An outside witness of what the model was asked: the same call twice is a doubled call.
    generate: async (...[request, context]: Parameters<typeof scripted.generate>) => {
      // A Redis that is killed before it answers is told once more: to say the same twice counts once.
      void witness.sadd('chaos:generated', `${request.runId} ${request.callId} ${randomUUID()}`)
      return scripted.generate(request, context)
    },
  }
  const worker = await serveNode({ name, backend, slots: 8, pool: 'default' }, { redis, log })
  process.send?.({ ready: worker.id })
}
process.on('disconnect', () => process.exit(0))
