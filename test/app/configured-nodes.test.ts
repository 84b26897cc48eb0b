import { afterEach, describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import { configuredNode } from '../../src/app/configured-nodes.ts'
import { defineConfig } from '../../src/nodes/config-schema.ts'
import { line } from '../faults/cases/scene.ts'
import { call } from '../nodes/backends/ollama-call.ts'
import { type Exchange, startFaultServer } from '../servers/fault-server.ts'
import { startOllamaLike } from '../servers/ollama-like.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const first = { ollama: line('a'), openai: 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n' }

/** How a call of a configured node ends on a server that acts so. */
async function endOn(node: object, act: (exchange: Exchange) => void | Promise<void>): Promise<string | undefined> {
  const server = await startFaultServer(act)
  const [config] = defineConfig(catalogue, { nodes: [{ name: 'n', url: server.url, ...node }] }).nodes
  const { backend } = await configuredNode(config!, { folder: '.', environment: {} })
  cleanups.push(server.close, () => backend.close())
  return (await call(backend)).end.error?.code
}

describe.each(['ollama', 'openai'] as const)('a node of the configuration with the backend %s', (backend) => {
  it('has the deadlines that stand there', async () => {
    expect(await endOn({ backend, loadDeadline: '50ms' }, () => {})).toBe('CAESURA_E_TIMEOUT_LOAD')
    const thenSilent = async (exchange: Exchange) => {
      await exchange.head(200, { 'content-type': 'text/event-stream' })
      await exchange.chunk(first[backend])
    }
    expect(await endOn({ backend, idleDeadline: 50 }, thenSilent)).toBe('CAESURA_E_TIMEOUT_STALL')
  })

  it('has the key and the headers that stand there, in each request', async () => {
    const server = await startOllamaLike()
    const headers = { 'x-team': 'a' }
    const node = { name: 'n', backend, url: server.url, apiKeyEnv: 'THE_KEY', headers }
    const [config] = defineConfig(catalogue, { nodes: [node] }).nodes
    const { backend: made } = await configuredNode(config!, { folder: '.', environment: { THE_KEY: ' key-1\n' } })
    cleanups.push(
      () => server.close(),
      () => made.close(),
    )
    await call(made)
    expect(server.requests[0]?.headers).toMatchObject({ authorization: 'Bearer key-1', 'x-team': 'a' })
    await expect(configuredNode(config!, { folder: '.', environment: {} })).rejects.toThrow(
      expect.objectContaining({ code: 'CAESURA_E_CONFIG', message: expect.stringContaining('THE_KEY') }),
    )
  })

  it('goes through the proxy of its environment', async () => {
    const HTTP_PROXY = 'http://127.0.0.1:9'
    const [config] = defineConfig(catalogue, { nodes: [{ name: 'n', backend, url: 'http://gpu.test' }] }).nodes
    const { backend: made } = await configuredNode(config!, { folder: '.', environment: { HTTP_PROXY } })
    cleanups.push(() => made.close())
    expect((await call(made)).end.error?.message).toContain(`the proxy ${HTTP_PROXY} refused the connection`)
  })
})
