import { Redis } from 'ioredis'
import { describe, expect, it, vi } from 'vitest'
import { workerCommand } from '../../src/cli/worker.ts'
import type { FleetNode } from '../../src/core/fleet.ts'
import { processesForTest, withFleetProcesses } from '../fixtures/fleet-processes.ts'
import { until } from '../fixtures/until.ts'
import { redisForTest } from '../fixtures/with-redis.ts'
import { startOllamaLike } from '../servers/ollama-like.ts'
import { capture } from './capture.ts'

// Each step is a process.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const fleet = withFleetProcesses()

const nodes = async () => (await fleet.json<{ nodes: FleetNode[] }>('nodes')).nodes
const node = async (name: string) => (await nodes()).find((candidate) => candidate.name === name)

describe('worker stages', () => {
  it('says when it works, serves its node, and after SIGTERM leaves with exit code 0', async () => {
    const worker = await fleet.scripted('a', 3, 0, '--slots', '2', '--pool', 'fast')
    const { pid } = worker.child
    expect(await node('a')).toMatchObject({ slots: 2, busy: 0, pool: 'fast', backend: 'scripted', state: 'up' })
    worker.child.kill('SIGTERM')
    const { status, stdout } = await worker.ended
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toEqual({ node: 'a', worker: expect.any(String), pid, redis: fleet.redis.url })
    expect(await node('a')).toBeUndefined()
  })

  it('takes a node of the configuration by its name, and what the flags say instead', async () => {
    const server = await startOllamaLike({ models: ['gemma3:1b'] })
    const config = fleet.file(
      'nodes.yaml',
      `nodes: [{ name: b, backend: ollama, url: "${server.url}", slots: 3, pool: slow }]\n`,
    )
    try {
      await fleet.worker('stages', '--node', 'b', '--config', config, '--pool', 'fast')
      expect(await node('b')).toMatchObject({ slots: 3, pool: 'fast', backend: 'ollama', models: ['gemma3:1b'] })
      const { status, stdout } = await fleet.run('worker', 'stages', '--node', 'bb', '--config', config, '--json')
      expect(status).toBe(2)
      expect(JSON.parse(stdout).error).toMatchObject({ code: 'CAESURA_E_USAGE', received: 'bb', expected: 'b' })
    } finally {
      await server.close()
    }
  })

  it('loads what --preload names, by its alias too, before it takes calls', async () => {
    let answer = () => {}
    const asked = Promise.withResolvers<unknown>()
    const server = await startOllamaLike({
      models: ['gemma3:1b'],
      script: ({ path, body }) => ({
        respond: async (response) => {
          asked.resolve({ path, model: body.model })
          await new Promise<void>((resolve) => {
            answer = resolve
          })
          response.setHeader('content-type', 'application/json').end('{"done":true}')
        },
      }),
    })
    const config = fleet.file('aliases.yaml', 'models: { fast: "gemma3:1b" }\n')
    try {
      const flags = ['--node', 'c', '--url', server.url, '--preload', 'fast', '--config', config]
      const working = fleet.worker('stages', ...flags)
      expect(await asked.promise).toMatchObject({ model: 'gemma3:1b' })
      expect(await node('c')).toBeUndefined()
      answer()
      await working
      expect(await node('c')).toMatchObject({ state: 'up' })
    } finally {
      await server.close()
    }
  })

  it('refuses a name that another worker serves', async () => {
    await fleet.scripted('d', 3, 0)
    const { status, stdout } = await fleet.run('worker', 'stages', '--node', 'd', '--backend', 'scripted', '--json')
    expect(status).toBe(3)
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'CAESURA_E_NODE_TAKEN', received: 'd' })
  })

  it('lets a call go on for --grace after SIGTERM, and ends at once at the second', async () => {
    const own = await processesForTest()
    await own.worker('pipelines')
    const worker = await own.scripted('e', 1000, 100, '--grace', '10m')
    await own.detached()
    const isBusy = async () => (await own.json<{ nodes: FleetNode[] }>('nodes')).nodes[0]?.busy === 1
    await until(isBusy)
    worker.child.kill('SIGTERM')
    const { nodes } = await until(async () => {
      const found = await own.json<{ nodes: FleetNode[] }>('nodes')
      return found.nodes[0]?.state === 'stopping' ? found : undefined
    })
    expect(nodes[0]).toMatchObject({ name: 'e', busy: 1 })
    worker.child.kill('SIGTERM')
    expect(await worker.ended).toMatchObject({ status: 1, signal: null })
  })
})

describe('worker pipelines', () => {
  it('hosts runs, keeps ended ones for --keep, and after SIGINT leaves with exit code 0', async () => {
    const own = await processesForTest()
    const client = new Redis(own.redis.url)
    try {
      const worker = await own.worker('pipelines', '--keep', '2h')
      await own.scripted('f', 3, 0)
      const { runId } = await own.json<{ runId: string }>('run', own.pipeline, '--redis', '--input', 'hello')
      const left = await client.pttl(`{caesura}:run:${runId}`)
      expect(left).toBeGreaterThan(60_000)
      expect(left).toBeLessThanOrEqual(2 * 3_600_000)
      worker.child.kill('SIGINT')
      const { status, stdout } = await worker.ended
      expect(status).toBe(0)
      expect(JSON.parse(stdout)).toEqual({
        worker: expect.any(String),
        pid: worker.child.pid,
        redis: own.redis.url,
      })
    } finally {
      client.disconnect()
    }
  })
})

describe('a worker refuses', () => {
  it.each([
    [['stages', '--slots', '0'], '--slots cannot be read'],
    [['stages', '--url', 'nowhere'], '--url is no http or https URL'],
    [['stages', '--backend', 'openai'], '--url'],
    [['stages', '--grace', 'soon'], '--grace cannot be read'],
    [['stages', '--rate', '10'], '--rate cannot be read'],
    [['stages', '--rate', '10/0s'], '--rate cannot be read'],
    [['stages', '--token-ms', '3'], 'of use with --backend scripted only'],
    [['stages', '--redis', 'http://127.0.0.1'], '--redis is no address of a Redis'],
    [['pipelines', '--keep', '2 years'], '--keep cannot be read'],
    [['pipelines', '--runs', '-1'], '--runs cannot be read'],
    [['stages', '--log', 'xml'], '--log cannot be read'],
    [['pipelines', '--log-level', 'loud'], '--log-level cannot be read'],
    [['bees'], 'there are two kinds of workers'],
  ])('%j', async (args, message) => {
    const { error } = await capture(workerCommand(), ...args)
    expect(error).toMatchObject({ code: 'CAESURA_E_USAGE', exitCode: 2, message: expect.stringContaining(message) })
  })

  it('a flag that there is not, with exit code 2', async () => {
    const { status, stdout } = await fleet.run('worker', 'stages', '--bogus', '--json')
    expect(status).toBe(2)
    expect(JSON.parse(stdout).error.message).toContain("unknown option '--bogus'")
  })

  it.each([['stages', '--backend', 'scripted'], ['pipelines']])('to start without a Redis: %s', async (...args) => {
    const redis = 'redis://user:secret@127.0.0.1:9'
    const { status, stdout, stderr } = await fleet.run('worker', ...args, '--redis', redis, '--json')
    expect(status).toBe(3)
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'CAESURA_E_REDIS' })
    expect(stdout + stderr).not.toContain('secret')
  })

  it('a model file that is not there', async () => {
    const flags = ['--backend', 'llama-cpp', '--model', 'gone.gguf', '--node', 'gone', '--json']
    const { status, stdout } = await fleet.run('worker', 'stages', ...flags)
    expect(status).toBe(3)
    expect(JSON.parse(stdout).error).toMatchObject({
      code: 'CAESURA_E_NO_MODEL',
      file: expect.stringContaining('gone'),
    })
  })

  it('a Redis that may drop keys', async () => {
    const redis = await redisForTest(['--maxmemory-policy', 'allkeys-lru'])
    const { status, stdout } = await fleet.run('worker', 'pipelines', '--redis', redis.url, '--json')
    expect(status).toBe(3)
    expect(JSON.parse(stdout).error).toMatchObject({
      code: 'CAESURA_E_REDIS',
      message: expect.stringContaining('allkeys-lru'),
    })
  })
})
