import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ConfigInput, defineConfig } from '../src/core/config-schema.ts'
import { modelNameOf, nameOnServer, resolveOn } from '../src/model-names.ts'
import { bundledModel, chooseSurroundings } from '../src/surroundings.ts'
import type { Surroundings, Wishes } from '../src/wishes.ts'
import { type FakeOllama, fakeOllama } from './servers/fake-ollama.ts'

/** Nothing listens here. */
const NOWHERE = 'http://127.0.0.1:9'

let small: FakeOllama
let large: FakeOllama
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-surroundings-'))
  small = await fakeOllama({ models: ['caesura-demo:latest', 'gemma3:1b'] })
  large = await fakeOllama({ models: ['gemma3:4b'] })
})
afterAll(async () => {
  await small[Symbol.asyncDispose]()
  await large[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

const chosen: Surroundings[] = []
afterEach(async () => {
  for (const { nodes } of chosen.splice(0)) for (const node of nodes) await node.backend.close()
})
async function choose(wanted: string[], wishes: Wishes = {}) {
  const surroundings = await chooseSurroundings(wanted, { ollamaHost: NOWHERE, ...wishes })
  chosen.push(surroundings)
  const { nodes, models, notices } = surroundings
  return { nodes: nodes.map(({ name, backend, models }) => ({ name, kind: backend.kind, models })), models, notices }
}
const config = (input: ConfigInput) => ({ config: defineConfig(input), folder })

describe('without a configuration', () => {
  it('takes the Ollama that answers and has every model, and says nothing', async () => {
    expect(await choose(['caesura-demo', 'gemma3:1b'], { ollamaHost: small.url })).toEqual({
      nodes: [{ name: 'ollama', kind: 'ollama', models: undefined }],
      models: { 'caesura-demo': 'caesura-demo:latest', 'gemma3:1b': 'gemma3:1b' },
      notices: [],
    })
  })

  it('knows the aliases fast and slow, each the first that the server has', async () => {
    const { models } = await choose(['fast', 'slow'], { ollamaHost: small.url })
    expect(models).toEqual({ fast: 'gemma3:1b', slow: 'caesura-demo:latest' })
  })

  it('takes the bundled model for every name where no Ollama answers, and says why', async () => {
    expect(await choose(['fast', 'llama3:8b'])).toEqual({
      nodes: [{ name: 'embedded', kind: 'llama-cpp', models: ['caesura-demo-3m'] }],
      models: { fast: 'caesura-demo-3m', 'llama3:8b': 'caesura-demo-3m' },
      notices: [`Using the bundled model: no Ollama answers at ${NOWHERE}.`],
    })
  })

  it('takes the bundled model where the Ollama lacks a model, and says which', async () => {
    const { notices, nodes } = await choose(['fast', 'llama3:8b'], { ollamaHost: small.url })
    expect(nodes[0]?.kind).toBe('llama-cpp')
    expect(notices).toEqual([`Using the bundled model: Ollama at ${small.url} has no model llama3:8b.`])
  })

  it('takes the bundled model without looking elsewhere when asked to', async () => {
    const { nodes, notices } = await choose(['fast'], { backend: 'embedded', ollamaHost: small.url })
    expect({ kind: nodes[0]?.kind, notices }).toEqual({ kind: 'llama-cpp', notices: [] })
  })

  it('takes one model for every stage with --model', async () => {
    const { models } = await choose(['fast', 'slow'], { url: large.url, model: 'gemma3:4b' })
    expect(models).toEqual({ fast: 'gemma3:4b', slow: 'gemma3:4b' })
  })

  it('takes a model file with --model', async () => {
    const { models } = await choose(['fast'], { backend: 'embedded', model: bundledModel })
    expect(models).toEqual({ fast: 'caesura-demo-3m' })
  })

  it.each([
    ['no server', { backend: 'ollama' }, 'CAESURA_E_NO_SERVER', NOWHERE],
    ['a model that nothing has', { model: 'nope' }, 'CAESURA_E_NO_MODEL', 'nope'],
    ['a model file that is not there', { backend: 'embedded', model: 'nope.gguf' }, 'CAESURA_E_NO_MODEL', 'nope.gguf'],
    ['a node without a configuration', { node: 'gpu' }, 'CAESURA_E_USAGE', '--node'],
    ['a URL for the embedded model', { backend: 'embedded', url: NOWHERE }, 'CAESURA_E_USAGE', '--url'],
    ['a URL that is none', { url: 'http://[' }, 'CAESURA_E_USAGE', '--url'],
    ['an OLLAMA_HOST that is none', { ollamaHost: 'ftp://x' }, 'CAESURA_E_USAGE', 'OLLAMA_HOST'],
  ] as const)('refuses %s', async (_name, wishes, code, text) => {
    await expect(choose(['fast'], wishes)).rejects.toMatchObject({ code, message: expect.stringContaining(text) })
  })

  it('names the command that gets a missing model', async () => {
    await expect(choose(['fast'], { url: large.url })).rejects.toMatchObject({
      code: 'CAESURA_E_NO_MODEL',
      message: expect.stringContaining('gemma3:1b (or caesura-demo)'),
      place: { hint: 'ollama pull gemma3:1b', expected: 'gemma3:4b' },
    })
  })
})

describe('with a configuration', () => {
  const nodes = () => [
    { name: 'small', backend: 'ollama' as const, url: small.url },
    { name: 'large', backend: 'ollama' as const, url: large.url },
    { name: 'here', backend: 'llama-cpp' as const, model: bundledModel },
  ]

  it('uses its nodes, each for the models that it has', async () => {
    const wishes = config({
      nodes: nodes(),
      models: { quick: 'caesura-demo-3m', big: 'gemma3:4b', demo: 'caesura-demo' },
    })
    expect(await choose(['quick', 'big', 'demo', 'gemma3:1b'], wishes)).toEqual({
      nodes: [
        { name: 'small', kind: 'ollama', models: ['caesura-demo:latest', 'gemma3:1b'] },
        { name: 'large', kind: 'ollama', models: ['gemma3:4b'] },
        { name: 'here', kind: 'llama-cpp', models: ['caesura-demo-3m', 'caesura-demo-3m.q8_0'] },
      ],
      models: { quick: 'caesura-demo-3m', big: 'gemma3:4b', demo: 'caesura-demo:latest', 'gemma3:1b': 'gemma3:1b' },
      notices: [],
    })
  })

  it('uses one node only when asked to', async () => {
    const { nodes: used } = await choose(['gemma3:4b'], { ...config({ nodes: nodes() }), node: 'large' })
    expect(used.map((node) => node.name)).toEqual(['large'])
  })

  it('goes on without a node that does not answer, and says so', async () => {
    const down = { name: 'down', backend: 'ollama' as const, url: NOWHERE }
    const { nodes: used, notices } = await choose(['gemma3:4b'], config({ nodes: [down, ...nodes()] }))
    expect(used.map((node) => node.name)).toEqual(['small', 'large', 'here'])
    expect(notices).toEqual([expect.stringMatching(/^Going on without the node down: /)])
  })

  it('lets --backend and --url override its nodes, and keeps its aliases', async () => {
    const wishes = { ...config({ nodes: nodes(), models: { big: 'gemma3:4b' } }), url: large.url }
    expect(await choose(['big'], wishes)).toMatchObject({ nodes: [{ name: 'ollama' }], models: { big: 'gemma3:4b' } })
  })

  it('refuses a model that is neither an alias nor on a node, and lists the aliases', async () => {
    await expect(choose(['nope'], config({ nodes: nodes(), models: { quick: 'gemma3:1b' } }))).rejects.toMatchObject({
      code: 'CAESURA_E_ALIAS',
      exitCode: 2,
      place: { received: 'nope', expected: 'quick' },
    })
  })

  it('refuses an alias whose model no node has', async () => {
    await expect(choose(['quick'], config({ nodes: nodes(), models: { quick: 'phi4' } }))).rejects.toMatchObject({
      code: 'CAESURA_E_NO_MODEL',
      place: expect.objectContaining({ hint: 'ollama pull phi4' }),
    })
  })

  it('refuses a node that it does not name, a model file that is not there, and servers that are all down', async () => {
    await expect(choose(['x'], { ...config({ nodes: nodes() }), node: 'gpu' })).rejects.toMatchObject({
      code: 'CAESURA_E_USAGE',
      place: { received: 'gpu', expected: 'small, large, here' },
    })
    const gone = config({ nodes: [{ name: 'here', backend: 'llama-cpp', model: 'gone.gguf' }] })
    await expect(choose(['x'], gone)).rejects.toMatchObject({ code: 'CAESURA_E_NO_MODEL' })
    const down = config({ nodes: [{ name: 'down', backend: 'ollama', url: NOWHERE }] })
    await expect(choose(['x'], down)).rejects.toMatchObject({ code: 'CAESURA_E_NO_SERVER' })
  })

  it('lets a scripted node answer to every name', async () => {
    expect(
      await choose(['a', 'b'], config({ nodes: [{ name: 'said', backend: 'scripted' }], models: { a: 'x' } })),
    ).toMatchObject({
      models: { a: 'x', b: 'b' },
    })
  })
})

describe('names of models', () => {
  it.each([
    ['demo', 'demo:latest'],
    ['demo:latest', 'demo:latest'],
    ['tagged:1b', 'tagged:1b'],
    ['bare:latest', 'bare'],
    ['tagged', undefined],
  ])('%s is %s on the server', (wanted, name) => {
    expect(nameOnServer(wanted, [{ name: 'demo:latest' }, { name: 'tagged:1b' }, { name: 'bare' }])).toBe(name)
  })

  it('are a file name up to the first dot', () => {
    expect(modelNameOf('/models/caesura-demo-3m.q8_0.gguf')).toBe('caesura-demo-3m')
    expect(modelNameOf('.hidden')).toBe('.hidden')
  })

  it('take no alias from what every object has', () => {
    expect(resolveOn([], ['constructor'], {})).toEqual({ found: {}, missing: ['constructor'] })
  })
})
