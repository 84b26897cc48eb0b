import { mkdtempSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import { nameOnServer, resolveOn } from '../../src/app/model-names.ts'
import { chooseSurroundings } from '../../src/app/surroundings.ts'
import type { Surroundings, Wishes } from '../../src/app/wishes.ts'
import { bundledModel, modelNameOf } from '../../src/nodes/backends/model-file.ts'
import { type ConfigInput, defineConfig } from '../../src/nodes/config-schema.ts'
import { type FakeOllama, fakeOllama } from '../servers/fake-ollama.ts'
import { startOllamaLike } from '../servers/ollama-like.ts'
import { type OpenAiLike, startOpenAiLike } from '../servers/openai-like.ts'

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
async function choose(wanted: (string | string[])[], wishes: Wishes = {}) {
  const surroundings = await chooseSurroundings(wanted, { usualUrl: NOWHERE, ...wishes })
  chosen.push(surroundings)
  const { nodes, models, notices } = surroundings
  return { nodes: nodes.map(({ name, backend, models }) => ({ name, kind: backend.kind, models })), models, notices }
}
const config = (input: ConfigInput) => ({ config: defineConfig(catalogue, input), folder })

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
    const { notices, nodes } = await choose(['fast', 'llama3:8b'], { usualUrl: small.url })
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
    ['a URL with a password', { url: 'http://me:s%40cr@t@gpu-1' }, 'CAESURA_E_USAGE', '--url'],
    ['an OLLAMA_HOST with a password', { ollamaHost: 'me:s%40cr@t@gpu-1' }, 'CAESURA_E_USAGE', 'OLLAMA_HOST'],
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

describe('what was named and is not there', () => {
  const aliases = (fast: string) => config({ models: { fast } })

  it.each([
    ['the server of OLLAMA_HOST', { ollamaHost: NOWHERE }, 'CAESURA_E_NO_SERVER'],
    ['the server of OLLAMA_HOST, quoted', { ollamaHost: ` "${NOWHERE}" ` }, 'CAESURA_E_NO_SERVER'],
    ['the server of --url', { url: NOWHERE }, 'CAESURA_E_NO_SERVER'],
    ['the server of --url, though OLLAMA_HOST is there', { url: NOWHERE, ollamaHost: 'small' }, 'CAESURA_E_NO_SERVER'],
    ['a stage’s model on the server of OLLAMA_HOST', { ollamaHost: 'large' }, 'CAESURA_E_NO_MODEL'],
    ['the model of --model', { model: 'phi4' }, 'CAESURA_E_NO_MODEL'],
    ['the model of --model on a server', { model: 'phi4', ollamaHost: 'small' }, 'CAESURA_E_NO_MODEL'],
    ['the model of --model, with auto', { model: 'phi4', backend: 'auto' }, 'CAESURA_E_NO_MODEL'],
    ['the model of --model, with embedded', { model: 'phi4', backend: 'embedded' }, 'CAESURA_E_NO_MODEL'],
    ['the file of --model', { model: 'gone.gguf' }, 'CAESURA_E_NO_MODEL'],
    ['a model of the configuration', aliases('phi4'), 'CAESURA_E_NO_MODEL'],
    ['a model of the configuration, on a server', { ...aliases('phi4'), usualUrl: 'small' }, 'CAESURA_E_NO_MODEL'],
  ] as const)('%s ends with exit 3', async (_name, wishes: Wishes, code) => {
    const at: Record<string, string> = { small: small.url, large: large.url }
    const urls = Object.entries(wishes).map(([key, value]) => [key, at[String(value)] ?? value])
    await expect(choose(['fast'], Object.fromEntries(urls))).rejects.toMatchObject({ code, exitCode: 3 })
  })

  it('is told with the way to the bundled model', async () => {
    await expect(choose(['fast'], { ollamaHost: NOWHERE })).rejects.toMatchObject({
      message: expect.stringContaining('OLLAMA_HOST'),
      place: { hint: expect.stringContaining('--backend embedded') },
    })
    await expect(choose(['fast'], aliases('phi4'))).rejects.toMatchObject({
      message: expect.stringMatching(/^phi4 is not there/),
      place: { hint: expect.stringContaining('--backend embedded') },
    })
  })

  it('is the model of --model on the nodes of a configuration too', async () => {
    const nodes = [{ name: 'small', backend: 'ollama' as const, url: small.url }]
    await expect(choose(['x'], { ...config({ nodes }), model: 'phi4' })).rejects.toMatchObject({
      code: 'CAESURA_E_NO_MODEL',
      place: { received: 'phi4', hint: 'ollama pull phi4' },
    })
  })

  it('is no hindrance where --backend asks for the bundled model', async () => {
    for (const wishes of [{ ollamaHost: NOWHERE }, aliases('phi4')] as const)
      for (const backend of ['auto', 'embedded'] as const)
        expect((await choose(['fast'], { ...wishes, backend })).nodes).toMatchObject([{ kind: 'llama-cpp' }])
  })

  it('is not missed where the bundled model is what was named', async () => {
    for (const name of ['caesura-demo-3m', 'caesura-demo'])
      for (const wishes of [aliases(name), { model: name }])
        expect((await choose(['fast'], wishes)).models).toEqual({ fast: 'caesura-demo-3m' })
    expect((await choose(['fast'], { model: bundledModel, ollamaHost: NOWHERE })).nodes).toMatchObject([
      { kind: 'llama-cpp' },
    ])
  })

  it('is a server that does not tell its models', async () => {
    const server = await startOllamaLike({ routes: { '/api/tags': (response) => void response.writeHead(500).end() } })
    await expect(choose(['fast'], { url: server.url })).rejects.toMatchObject({ code: 'CAESURA_E_NO_SERVER' })
    await server.close()
  })

  it('is no server that asks for a key: that is told as it is', async () => {
    const refuse = (response: ServerResponse) => void response.writeHead(401).end()
    const server = await startOllamaLike({ routes: { '/api/version': refuse } })
    await expect(choose(['fast'], { url: server.url })).rejects.toMatchObject({ code: 'CAESURA_E_AUTH' })
    expect((await choose(['fast'], { usualUrl: server.url })).notices).toEqual([
      `Using the bundled model: the Ollama at ${server.url} asks for a key.`,
    ])
    await server.close()
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

describe('with an OpenAI-compatible server in the configuration', () => {
  const apiKey = 'sk-secret-0123456789'
  const made: OpenAiLike[] = []
  afterEach(async () => {
    for (const server of made.splice(0)) await server.close()
  })
  async function keyed(node: object = { apiKeyEnv: 'LLM_KEY' }, models?: Record<string, string>) {
    const server = await startOpenAiLike({ models: ['gpt-0'], apiKey })
    made.push(server)
    const nodes = [{ name: 'api', backend: 'openai' as const, url: server.url, ...node }]
    return { server, wishes: config({ nodes, ...(models && { models }) }) }
  }

  it('takes its models, and the key from the variable that is named', async () => {
    const { server, wishes } = await keyed(undefined, { fast: 'gpt-0' })
    expect(await choose(['fast'], { ...wishes, environment: { LLM_KEY: ` ${apiKey}\n` } })).toEqual({
      nodes: [{ name: 'api', kind: 'openai', models: undefined }],
      models: { fast: 'gpt-0' },
      notices: [],
    })
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(Array(2).fill(`Bearer ${apiKey}`))
  })

  it('refuses a variable that is not set, before anything is asked', async () => {
    const { server, wishes } = await keyed()
    for (const environment of [{}, { LLM_KEY: ' ' }])
      await expect(choose(['gpt-0'], { ...wishes, environment })).rejects.toMatchObject({
        code: 'CAESURA_E_CONFIG',
        message: expect.stringContaining('LLM_KEY'),
      })
    expect(server.requests).toEqual([])
  })

  it('says that the key is missing or wrong, and does not show it', async () => {
    const error = await choose(['gpt-0'], (await keyed({})).wishes).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'CAESURA_E_AUTH', place: { hint: expect.stringContaining('apiKeyEnv') } })
    const environment = { LLM_KEY: 'sk-wrong-9876543210' }
    const wrong = await choose(['gpt-0'], { ...(await keyed()).wishes, environment }).catch((reason: unknown) => reason)
    expect(wrong).toMatchObject({ code: 'CAESURA_E_AUTH' })
    expect(JSON.stringify(wrong)).not.toContain('sk-wrong')
  })

  it('has no command for a model that it does not have', async () => {
    const { wishes } = await keyed(undefined, { fast: 'gpt-9' })
    const error = await choose(['fast'], { ...wishes, environment: { LLM_KEY: apiKey } }).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'CAESURA_E_NO_MODEL', place: { expected: 'gpt-0' } })
    expect(error).not.toHaveProperty('place.hint')
  })
})

describe('a stage with a fallback', () => {
  const two = () => [
    { name: 'small', backend: 'ollama' as const, url: small.url },
    { name: 'large', backend: 'ollama' as const, url: large.url },
  ]

  it('needs one of its models; what else is missing is a notice', async () => {
    const wishes = config({ nodes: two(), models: { big: 'phi4', quick: 'gemma3:1b' } })
    const wanted = [
      ['big', 'quick'],
      ['gemma3:4b', 'gone', 'large'],
    ]
    expect(await choose(wanted, wishes)).toMatchObject({
      models: { big: 'phi4', quick: 'gemma3:1b', 'gemma3:4b': 'gemma3:4b', gone: 'gone' },
      notices: [
        'No node has the model big; quick takes its place.',
        'No node has the model gone, which a stage falls back to.',
      ],
    })
  })

  it('is refused where none of them is there: a node’s name is no model', async () => {
    await expect(choose([['nope', 'gone', 'large']], config({ nodes: two() }))).rejects.toMatchObject({
      code: 'CAESURA_E_ALIAS',
      place: { received: 'nope' },
    })
    const aliased = config({ nodes: two(), models: { big: 'phi4' } })
    await expect(choose([['big', 'gone']], aliased)).rejects.toMatchObject({ code: 'CAESURA_E_NO_MODEL' })
    await expect(choose([['phi4', 'gone']], { url: large.url })).rejects.toMatchObject({ code: 'CAESURA_E_NO_MODEL' })
  })

  it('keeps an Ollama that has one of them, and takes the bundled model for all where it has none', async () => {
    expect(await choose([['phi4', 'gemma3:1b']], { ollamaHost: small.url })).toMatchObject({
      nodes: [{ name: 'ollama' }],
      models: { phi4: 'phi4', 'gemma3:1b': 'gemma3:1b' },
      notices: ['No node has the model phi4; gemma3:1b takes its place.'],
    })
    expect(await choose([['phi4', 'phi3']], { usualUrl: small.url })).toMatchObject({
      nodes: [{ name: 'embedded' }],
      models: { phi4: 'caesura-demo-3m', phi3: 'caesura-demo-3m' },
      notices: [`Using the bundled model: Ollama at ${small.url} has no model phi4.`],
    })
  })

  it('gets the one model of --model for all', async () => {
    const { models } = await choose([['fast', 'slow']], { url: large.url, model: 'gemma3:4b' })
    expect(models).toEqual({ fast: 'gemma3:4b', slow: 'gemma3:4b' })
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
