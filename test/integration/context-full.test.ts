import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createEngine, definePipeline } from '../../src/app/compose.ts'
import { ollama } from '../../src/app/nodes.ts'
import type { RunRecord } from '../../src/core/record.ts'
import { caesura } from '../cli/caesura.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { type OllamaLike, type SeenRequest, startOllamaLike } from '../servers/ollama-like.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

/** Words that a prompt may have, by model. */
const windows: Readonly<Record<string, number>> = { small: 20, large: 2_000 }

/** How the versions of Ollama say it. */
const refusals: readonly (readonly [version: string, error: unknown])[] = [
  ['0.24', 'the input length exceeds the context length'],
  [
    '0.32',
    '{"error":{"code":400,"message":"request (2105 tokens) exceeds the available context size (2048 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":2105,"n_ctx":2048}}',
  ],
]

const words = (count: number): string => Array.from({ length: count }, (_, index) => `w${index}`).join(' ')
const sizeOf = ({ body }: SeenRequest): number =>
  (body.messages ?? []).reduce((sum, { content }) => sum + content.split(/\s+/).length, 0)
/** Not every request of a node is a call. */
const calls = (): [model: string | undefined, size: number][] =>
  server.requests.filter(({ path }) => path === '/api/chat').map((seen) => [seen.body.model, sizeOf(seen)])

let error: unknown
let server: OllamaLike
beforeEach(async () => {
  error = refusals[0]![1]
  server = await startOllamaLike({
    models: Object.keys(windows),
    version: '0.32.0',
    script(seen) {
      const { model = '', truncate } = seen.body as { model?: string; truncate?: boolean }
      if (seen.path !== '/api/chat' || sizeOf(seen) <= (windows[model] ?? 0)) return { tokens: ['from ', model] }
      // Who does not ask for the refusal gets an answer to a prompt that was cut.
      if (truncate !== false) return { tokens: ['cut'] }
      return {
        respond(response) {
          response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error }))
        },
      }
    },
  })
})
afterEach(() => server.close())

const stages = [
  { id: 'draft', model: 'small', prompt: '{{ input }}', policy: { response: 'abort', carry: 'all' } },
  {
    id: 'refine',
    model: 'small',
    fallback: ['large'],
    retry: { attempts: 3 },
    prompt: `{{ draft.output }} ${words(100)}`,
  },
] as const
const pipeline = definePipeline({ name: 'long', stages })

/** The second stage was asked of its first model once, then of its fallback; the record says both. */
function expectFallback(record: RunRecord): void {
  expect(record).toMatchObject({ outcome: 'completed', output: 'from large' })
  expect(record.stages.map(({ id, model, settlement, error }) => [id, model, settlement, error?.code])).toEqual([
    ['draft', 'small', 'completed', undefined],
    ['refine', 'small', 'failed', 'CAESURA_E_CONTEXT_FULL'],
    ['refine', 'large', 'completed', undefined],
  ])
  const [, refused, stood] = record.stages
  expect(refused!.error?.message).toContain('answered 400')
  expect(stood!.retryOf).toBe(refused!.callId)
  expect(refused!.tokens.generated).toBe(0)
  expect(record.cost.wastedTokens).toBe(0)
  expect(calls()).toEqual([
    ['small', 1],
    ['small', 102],
    ['large', 102],
  ])
}

describe('a prompt that its model has no room for goes to the fallback', () => {
  it.each(refusals)('in the words of Ollama %s', async (_, said) => {
    error = said
    await using engine = createEngine({ nodes: [ollama({ name: 'n', url: server.url, slots: 1 })] })
    expectFallback(await engine.start(pipeline, { input: 'hello' }).result)
  })

  it('where it is an interrupt that makes it too long', async () => {
    const [draft, refine] = stages
    const interrupted = definePipeline({
      name: 'long',
      stages: [draft, { ...refine, prompt: '{{ draft.output }} {{ interrupt.input }}' }],
    })
    await using engine = createEngine({ nodes: [ollama({ name: 'n', url: server.url, slots: 1 })] })
    const signals = [{ afterTokens: 1, input: words(100) }]
    server.setScript((seen) =>
      seen.body.model === 'large'
        ? { tokens: ['from ', 'large'] }
        : sizeOf(seen) > windows.small!
          ? { respond: (response) => void response.writeHead(400).end(JSON.stringify({ error })) }
          : { tokens: Array(50).fill('on '), intervalMs: 20 },
    )
    const record = await engine.start(interrupted, { input: 'hello', signals }).result
    expect(record).toMatchObject({ outcome: 'completed', output: 'from large' })
    expect(record.stages.map(({ model, settlement, error }) => [model, settlement, error?.code])).toEqual([
      ['small', 'aborted', undefined],
      ['small', 'failed', 'CAESURA_E_CONTEXT_FULL'],
      ['large', 'completed', undefined],
    ])
    const [interrupt] = record.interrupts
    expect(interrupt).toMatchObject({ to: 'refine', toCall: record.stages[2]!.callId })
    expect(interrupt!.phases.map(({ name }) => name)).toContain('retry')
  })

  it('and without a fallback the run fails with the code, without being tried again', async () => {
    const [draft, { fallback: _, ...refine }] = stages
    await using engine = createEngine({ nodes: [ollama({ name: 'n', url: server.url, slots: 1 })] })
    const record = await engine.start(definePipeline({ name: 'long', stages: [draft, refine] }), { input: 'hello' })
      .result
    expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_CONTEXT_FULL' } })
    expect(calls()).toHaveLength(2)
  })

  it('on the command line, and `explain` shows the call that was refused', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'caesura-context-'))
    try {
      writeFileSync(join(folder, 'long.yaml'), JSON.stringify({ name: 'long', stages }))
      const env = { OLLAMA_HOST: server.url }
      const ran = await caesura(folder, ['run', 'long.yaml', '--input', 'hello', '--json'], env)
      expect(ran.status).toBe(0)
      expectFallback(JSON.parse(ran.stdout))
      const explained = await caesura(folder, ['explain', 'last'], env)
      const told = 'refine fell back from small to large. CAESURA_E_CONTEXT_FULL: '
      expect(explained.stdout.replace(/\s+/g, ' ')).toContain(told)
      expect(ran.stderr.replace(/\s+/g, ' ')).toContain(told)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  describe('over a fleet', () => {
    const fleet = withFleet()

    it('too', async () => {
      await fleet.pipelines()
      await fleet.node({ name: 'n', backend: ollama({ name: 'n', url: server.url, slots: 1 }).backend })
      const client = await fleet.client()
      const { runId } = await client.submit(pipeline, { input: 'hello' })
      await client.ended(runId)
      expectFallback((await client.read(runId)).record!)
    })
  })
})
