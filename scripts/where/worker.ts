import { once } from 'node:events'
import { hostRuns, serveNode } from '../../src/app/fleet.ts'
import { logTo } from '../../src/core/log.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { promptOf, tokensFor } from '../chaos/text.ts'

// A worker process: `worker.ts pipelines URL` or `worker.ts stages URL NAME`. It begins when its parent says so.
const [kind, url = '', name = ''] = process.argv.slice(2)
const redis = { url }
const isTold = process.env.WHERE_LOG !== undefined
const log = logTo(({ sentence }) => void (isTold && process.stderr.write(`${kind} ${name}: ${sentence}\n`)), 'info')

process.send?.({ isLoaded: true })
await once(process, 'message')
if (kind === 'pipelines') {
  const worker = await hostRuns({ redis, log })
  process.send?.({ ready: worker.id })
} else {
  const scripted = scriptedBackend(({ stage, messages }) => ({
    tokens: tokensFor(stage, promptOf(messages)),
    ...{ firstTokenMs: 50, tokenMs: 200, abortMs: 2 },
  }))
  const backend = {
    ...scripted,
    // An outside witness of what the model was asked: the same call twice is a doubled call.
    generate: async (...[request, context]: Parameters<typeof scripted.generate>) => {
      process.send?.({ asked: `${request.runId} ${request.callId}` })
      return scripted.generate(request, context)
    },
  }
  const worker = await serveNode({ name, backend, slots: 8, pool: 'default' }, { redis, log })
  process.send?.({ ready: worker.id })
}
process.on('disconnect', () => process.exit(0))
