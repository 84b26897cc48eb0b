import { afterEach, describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { ollamaBackend } from '../../src/nodes/backends/ollama.ts'
import { openaiBackend } from '../../src/nodes/backends/openai.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'
import { startOllamaLike } from '../servers/ollama-like.ts'
import { chunk, done, event, eventStream, said, startOpenAiLike } from '../servers/openai-like.ts'

const pipelineOf = (stage: object = {}) =>
  definePipeline({
    name: 'one',
    stages: [{ id: 'a', model: 'scripted', prompt: 'x', policy: { trigger: 'never' }, ...stage }],
  })

const fleet = withFleet()
const servers: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  await fleet.close()
  for (const server of servers.splice(0)) await server.close()
})

/** The record of a run over this fleet. */
async function run(pipeline: ReturnType<typeof pipelineOf>) {
  const client = await fleet.client()
  const { runId } = await client.submit(pipeline, { input: 'i' })
  await client.ended(runId)
  const { record } = await client.read(runId)
  await client.close()
  return record!
}

describe('thinking on a worker', () => {
  const thinker = {
    thinking: Array(20).fill('hm '),
    tokens: ['Yes', '.'],
    firstTokenMs: 5,
    tokenMs: 10,
    generatedTokens: 44,
  }

  it('reaches the owner of the run: it is counted, and is life', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n1', script: thinker })
    const record = await run(pipelineOf({ policy: { trigger: { stall: '3s' } }, timeout: { firstToken: '3s' } }))
    expect(record).toMatchObject({ outcome: 'completed', output: 'Yes.', interrupts: [] })
    const [call] = record.stages
    // Nobody read its events.
    expect(call!.tokens).toEqual({ generated: 44, thinking: 40, delivered: 0, wasted: 0, counted: 'server' })
    expect(call!.firstPieceMs).toBeLessThan(call!.firstTokenMs!)
  })

  it('is in the account of a run whose owner changes', async () => {
    const client = await fleet.client()
    await fleet.node({ name: 'n1', script: { ...thinker, thinking: Array(60).fill('hm '), generatedTokens: 'none' } })
    const first = await fleet.pipelines()
    const { runId } = await client.submit(pipelineOf({ policy: { trigger: { stall: '20s' } } }), { input: 'i' })
    // It is in the middle of its thoughts.
    const { client: raw, keys } = client.redis
    await until(async () => (await raw.xlen(keys.news(runId, 'a.1'))) > 3)
    await fleet.pipelines()
    await first.close()
    await client.ended(runId)
    const { record } = await client.read(runId)
    expect(record).toMatchObject({ outcome: 'completed', output: 'Yes.', interrupts: [] })
    expect(record!.stages).toHaveLength(1)
    expect(record!.stages[0]!.tokens).toMatchObject({ generated: 62, thinking: 60, counted: 'pieces' })
  })
})

describe('a node whose server answers oddly', () => {
  const states = async () => {
    const client = await fleet.client()
    const nodes = await client.nodes()
    await client.close()
    return nodes.map(({ name, state }) => [name, state])
  }

  it('stays up: what is reported beside an answer is no fault', async () => {
    const server = await startOpenAiLike({
      models: ['scripted'],
      script: {
        respond: (response) => {
          const usage = { prompt_tokens: 3, total_tokens: null, completion_tokens: -1 }
          eventStream(response).end(said('Hello.') + event({ ...chunk({}, 'stop'), usage }) + done)
        },
      },
    })
    servers.push(server)
    await fleet.pipelines()
    await fleet.node({ name: 'n1', backend: openaiBackend({ url: server.url }) })
    for (let i = 0; i < 5; i++)
      expect(await run(pipelineOf())).toMatchObject({ outcome: 'completed', output: 'Hello.' })
    expect(await states()).toEqual([['n1', 'up']])
  })

  it('stays up where single answers break, and the faults are those of their calls', async () => {
    const server = await startOllamaLike({
      models: ['scripted'],
      script: {
        respond: (response) => {
          const line = JSON.stringify({ message: { content: 'ha' }, done: false })
          response.writeHead(200).end(`${line}\n{"status":"what?"}\n`)
        },
      },
    })
    servers.push(server)
    await fleet.pipelines()
    await fleet.node({ name: 'n1', backend: ollamaBackend({ url: server.url }) })
    for (let i = 0; i < 4; i++) {
      const record = await run(pipelineOf())
      expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_PROTOCOL' } })
      expect(record.stages[0]!.text).toBe('ha')
    }
    expect(await states()).toEqual([['n1', 'up']])
    // What the line said is for the one who keeps text: no log has it.
    expect(JSON.stringify(fleet.logged)).not.toContain('what?')
  })

  it('a fault within an answer is tried again, and then turned from', async () => {
    const server = await startOpenAiLike({
      models: ['scripted', 'other'],
      script: ({ body }) => ({
        respond: (response) => {
          const error = { code: 502, message: 'provider disconnected' }
          const half = said('Half') + event({ ...chunk({}, 'error'), error }) + done
          eventStream(response).end(body.model === 'other' ? said('Whole') + event(chunk({}, 'stop')) + done : half)
        },
      }),
    })
    servers.push(server)
    await fleet.pipelines()
    await fleet.node({ name: 'n1', backend: openaiBackend({ url: server.url }) })
    const retry = { attempts: 2, pause: 1, afterFirstToken: 'restart' }
    const record = await run(pipelineOf({ retry, fallback: ['other'] }))
    expect(record).toMatchObject({ outcome: 'completed', output: 'Whole' })
    expect(record.stages.map(({ settlement, error }) => [settlement, error?.code])).toEqual([
      ['failed', 'CAESURA_E_MODEL_ERROR'],
      ['failed', 'CAESURA_E_MODEL_ERROR'],
      ['completed', undefined],
    ])
  })
})
