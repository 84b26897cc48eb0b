import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { hostRuns, serveNode } from '../src/app/fleet.ts'
import { ollama } from '../src/app/nodes.ts'
import type { Backend } from '../src/core/ports.ts'
import { scriptedBackend } from '../src/nodes/backends/scripted.ts'
import { monotonicMs } from './model-server.ts'

/** A part of the fleet, in a process of its own. `stages` calls a server; `no-op` answers one token; `stamps` tells when each token was made. */
export type Part = 'pipelines' | 'stages' | 'no-op' | '16 no-op' | 'stamps' | 'hand' | 'hand-no-op'

export async function startPart(part: Part, redis: string, server = ''): Promise<ChildProcess> {
  const child = fork(fileURLToPath(import.meta.url), [part, redis, server], { stdio: 'inherit' })
  await once(child, 'message')
  return child
}

/** Says every 50 ms when it says it: what a reader needs to see how long a token was under way. */
function stamping(): Backend {
  const backend = scriptedBackend({ tokens: [] }, ['stamps'])
  return {
    ...backend,
    generate: async ({ options }, { mark, token, signal }) => {
      mark('request-sent')
      // Runs that started together must not speak together.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 50))
      for (let said = 0; said < (options.maxTokens ?? 1) && !signal.aborted; said++) {
        token(`${monotonicMs()} `)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      return { end: 'completed' }
    },
  }
}

/** What somebody would write with BullMQ and publish/subscribe: a job a call, tokens in a stream, a channel for cancels. */
async function byHand(redis: string, server: string): Promise<void> {
  const client = new Redis(redis, { maxRetriesPerRequest: null })
  const cancels = client.duplicate()
  const live = new Map<string, AbortController>()
  await cancels.subscribe('cancel')
  cancels.on('message', (_, id) => live.get(id)?.abort())
  const worker = new Worker<{ model: string; content: string }>(
    'hand',
    async (job) => {
      const controller = new AbortController()
      live.set(job.id!, controller)
      const decoder = new TextDecoder()
      let tokens = 0
      try {
        const response = await fetch(`${server}/api/chat`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({
            model: job.data.model,
            messages: [{ role: 'user', content: job.data.content }],
            stream: true,
          }),
          signal: controller.signal,
        })
        for await (const piece of response.body ?? [])
          for (const line of decoder.decode(piece, { stream: true }).split('\n'))
            if (line !== '') void client.xadd(`tokens:${job.id}`, '*', 't', `${++tokens}`)
      } catch (error) {
        if (!controller.signal.aborted) throw error
      } finally {
        live.delete(job.id!)
        void client.del(`tokens:${job.id}`)
      }
    },
    { connection: client.duplicate(), concurrency: 8 },
  )
  await worker.waitUntilReady()
}

/** A run of two calls as a chain of three empty jobs: what BullMQ alone costs. */
async function emptyChain(redis: string): Promise<void> {
  const queue = new Queue('empty', { connection: new Redis(redis, { maxRetriesPerRequest: null }) })
  const done = new Redis(redis)
  const worker = new Worker<{ left: number }>(
    'empty',
    async ({ data }) => {
      if (data.left > 0) await queue.add('next', { left: data.left - 1 }, { removeOnComplete: true })
      else await done.incr('empty:done')
    },
    { connection: new Redis(redis, { maxRetriesPerRequest: null }), concurrency: 64 },
  )
  await worker.waitUntilReady()
}

const [part, redis = '', server = ''] = process.argv.slice(2)
if (process.send !== undefined && part !== undefined && redis.startsWith('redis://')) {
  const address = { redis: { url: redis } }
  if (part === 'pipelines') await hostRuns({ ...address, runs: 2000 })
  if (part === 'stages')
    await serveNode({ ...ollama({ name: 'bench', url: server, slots: 8 }), models: ['5/2/200', '1/1/2'] }, address)
  if (part === 'no-op')
    await serveNode({ name: 'no-op', slots: 64, pool: 'default', backend: scriptedBackend({ tokens: ['a'] }) }, address)
  if (part === '16 no-op') {
    const backend = scriptedBackend({ tokens: ['a'] })
    await Promise.all(
      Array.from({ length: 16 }, (_, index) =>
        serveNode({ name: `no-op-${index}`, slots: 4, pool: 'default', backend }, address),
      ),
    )
  }
  if (part === 'stamps') await serveNode({ name: 'stamps', slots: 2000, pool: 'default', backend: stamping() }, address)
  if (part === 'hand') await byHand(redis, server)
  if (part === 'hand-no-op') await emptyChain(redis)
  process.on('disconnect', () => process.exit(0))
  process.send('ready')
}
