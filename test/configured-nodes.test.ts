import { afterEach, describe, expect, it } from 'vitest'
import { configuredNode } from '../src/configured-nodes.ts'
import { defineConfig } from '../src/core/config-schema.ts'
import { call } from './backends/ollama-call.ts'
import { line } from './faults/cases/scene.ts'
import { type Exchange, startFaultServer } from './servers/fault-server.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const first = { ollama: line('a'), openai: 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n' }

/** How a call of a configured node ends on a server that acts so. */
async function endOn(node: object, act: (exchange: Exchange) => void | Promise<void>): Promise<string | undefined> {
  const server = await startFaultServer(act)
  const [config] = defineConfig({ nodes: [{ name: 'n', url: server.url, ...node }] }).nodes
  const { backend } = configuredNode(config!, '.', {})
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
})
