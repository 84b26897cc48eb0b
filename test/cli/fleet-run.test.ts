import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { createEngine, definePipeline } from '../../src/app/compose.ts'
import { scriptedPieces } from '../../src/app/model-serving.ts'
import type { RunEvent } from '../../src/core/event.ts'
import { type RunRecord, recordSchema } from '../../src/core/record.ts'
import { sqliteStore } from '../../src/records/stores/sqlite.ts'
import { processesForTest, withFleetProcesses } from '../fixtures/fleet-processes.ts'
import { until } from '../fixtures/until.ts'
import { caesura } from './caesura.ts'

const TOKENS = 40
// Each step is a process.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const fleet = withFleetProcesses()
beforeAll(async () => {
  await Promise.all([fleet.worker('pipelines'), fleet.scripted('n', TOKENS, 20, '--slots', '4')])
})

const run = (...args: string[]) => fleet.run('run', fleet.pipeline, '--redis', '--input', 'hello', ...args)

/** What the scripted node answers to this prompt. */
const answerTo = (content: string) => scriptedPieces([{ role: 'user', content }], TOKENS)

describe('run --redis', () => {
  it('prints the same record as a run in this process, and keeps it as that does', async () => {
    const { status, stdout, stderr } = await run('--interrupt', 'tokens=5:no vinegar', '--json')
    expect(status).toBe(0)
    const record = recordSchema.parse(JSON.parse(stdout))
    expect(record).toMatchObject({ pipeline: 'two', outcome: 'completed' })
    expect(record.stages).toMatchObject([
      { id: 'draft', node: 'n', backend: 'scripted', settlement: 'aborted' },
      { id: 'refine', node: 'n', backend: 'scripted', settlement: 'completed' },
    ])
    const [draft, refine] = record.stages
    expect(answerTo('hello').join('').startsWith(draft!.text!)).toBe(true)
    expect(record.output).toBe(refine!.text)
    expect(refine!.text).toBe(answerTo(`${draft!.text} no vinegar`).join(''))
    expect(record.interrupts).toMatchObject([{ from: 'draft', to: 'refine', trigger: 'signal', input: 'no vinegar' }])
    expect(stderr).toBe(`Run ${record.runId}\n`)
    // Here without its texts, as always; on the fleet with them.
    expect(await fleet.json('runs', 'show', record.runId)).toMatchObject({ runId: record.runId, outcome: 'completed' })
    expect(await fleet.json('runs', 'show', record.runId, '--redis')).toEqual(record)
  })

  it('prints every event once and in order with --events', async () => {
    const { status, stdout } = await run('--events', '--no-record')
    expect(status).toBe(0)
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as RunEvent)
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect([events[0]!.type, events.at(-1)!.type]).toEqual(['run-start', 'run-end'])
    expect(textOf(events, 'draft')).toBe(answerTo('hello').join(''))
  })

  it('goes on without a gap when its pipeline worker is killed in the middle of an answer', async () => {
    const own = await processesForTest()
    await own.scripted('n', 150, 20)
    const first = await own.worker('pipelines')
    const running = own.start('run', own.pipeline, '--redis', '--input', 'hello', '--events')
    await running.printed('-20 ')
    await own.worker('pipelines')
    first.child.kill('SIGKILL')
    const { status, stdout } = await running.ended
    expect(status).toBe(0)
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as RunEvent)
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(textOf(events, 'draft')).toBe(scriptedPieces([{ role: 'user', content: 'hello' }], 150).join(''))
    expect(events.filter(({ type }) => type === 'stage-start')).toHaveLength(2)
  })

  it('cancels the run at SIGINT, and exits 130 with its record', async () => {
    const running = fleet.start('run', fleet.pipeline, '--redis', '--input', 'hello', '--events')
    await running.printed('"token"')
    running.child.kill('SIGINT')
    const { status, stdout } = await running.ended
    expect(status).toBe(130)
    const { runId } = JSON.parse(stdout.slice(0, stdout.indexOf('\n'))) as RunEvent
    const record = await fleet.json<RunRecord>('runs', 'show', runId, '--redis')
    expect(record).toMatchObject({ outcome: 'cancelled', cancelReason: 'SIGINT' })
  })

  it('leaves with --detach; `runs` and `explain` read the run from the fleet', async () => {
    const runId = await fleet.detached()
    expect(runId).toMatch(/^[0-9a-f-]{36}$/)
    const explained = await until(async () => {
      const { status, stdout } = await fleet.run('explain', runId.slice(0, 8), '--redis')
      return status === 0 ? stdout : undefined
    })
    expect(explained).toContain(`run ${runId}`)
    expect(await fleet.run('explain', runId, '--redis', '--html', 'run.html')).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('wrote run.html'),
    })
    const { runs } = await fleet.json<{ runs: { runId: string }[] }>('runs', '--redis', '--limit', '1')
    expect(runs).toMatchObject([{ runId, pipeline: 'two', status: 'ended', outcome: 'completed', interrupts: 0 }])
    expect((await fleet.run('runs', '--redis')).stdout).toContain(runId.slice(0, 8))
    expect((await fleet.run('runs', 'show', runId)).status).toBe(2)
  })

  it('waits for a node, and says so', async () => {
    const own = await processesForTest()
    await own.worker('pipelines')
    const running = own.start('run', own.pipeline, '--redis', '--input', 'hello', '--json')
    await until(async () => {
      const { runs } = await own.json<{ runs: { status: string }[] }>('runs', '--redis')
      return runs[0]?.status === 'running'
    })
    await own.scripted('late', 3, 0)
    const { status, stderr } = await running.ended
    expect(status).toBe(0)
    expect(stderr).toContain('The fleet has no nodes now')
  })

  it.each([
    [['--redis', '--backend', 'embedded'], '--backend and --redis exclude each other'],
    [['--redis', '--url', 'http://127.0.0.1:1'], '--url and --redis exclude each other'],
    [['--redis', '--detach', '--events'], '--detach and --events exclude each other'],
    [['--detach'], '--detach is of use with --redis only'],
    [['--redis', 'somewhere'], '--redis is no address of a Redis'],
  ])('refuses %j with exit code 2', async (flags, message) => {
    const { status, stderr } = await fleet.run('run', fleet.pipeline, '--input', 'hello', ...flags)
    expect(status).toBe(2)
    expect(stderr).toContain(message)
  })

  it('says with exit code 3 that no Redis answers', async () => {
    const { status, stdout } = await run('--redis', 'redis://127.0.0.1:9', '--json')
    expect(status).toBe(3)
    expect(JSON.parse(stdout).error.code).toBe('CAESURA_E_REDIS')
  })
})

it('a run without --redis stays in its process, whatever REDIS_URL and the configuration say', async () => {
  const config = fleet.file('here.yaml', 'redis: "redis://127.0.0.1:9"\nnodes: [{ name: here, backend: scripted }]\n')
  const args = ['run', fleet.pipeline, '--input', 'hello', '--config', config, '--json']
  const { status, stdout } = await caesura(fleet.folder, args, { REDIS_URL: 'redis://127.0.0.1:9' })
  expect(status).toBe(0)
  expect((JSON.parse(stdout) as RunRecord).stages[0]).toMatchObject({ node: 'here', text: 'hello' })
})

describe('createEngine({ redis })', () => {
  const pipeline = definePipeline({
    name: 'lib',
    stages: [
      { id: 'draft', model: 'm', prompt: '{{ input }}', policy: { trigger: 'signal', response: 'abort' } },
      { id: 'refine', model: 'm', prompt: '{{ interrupt.input }}' },
    ],
  })

  it('is the same library call: events, an interrupt, a record that is kept', async () => {
    const store = sqliteStore(join(fleet.folder, 'library.sqlite'))
    await using engine = createEngine({ redis: fleet.redis.url, store })
    const handle = engine.start(pipeline, { input: 'hello' })
    let answer: Promise<unknown> | undefined
    for await (const event of handle.events) {
      if (event.type === 'token' && answer === undefined) answer = handle.interrupt({ input: 'no vinegar' })
    }
    expect(await answer).toMatchObject({ accepted: true, decision: 'abort' })
    const record = await handle.result
    expect(record).toMatchObject({ runId: handle.runId, traceId: handle.traceId, outcome: 'completed' })
    expect(record.output).toBe(answerTo('no vinegar').join(''))
    expect(store.read(handle.runId)).toMatchObject({ outcome: 'completed', traceId: handle.traceId })
    expect(store.read(handle.runId)).not.toHaveProperty('output')
  })

  it('cancels what runs when it is closed', async () => {
    const engine = createEngine({ redis: { url: fleet.redis.url } })
    const handle = engine.start(pipeline, { input: 'hello' })
    await engine.close()
    const record = await handle.result
    expect(record.error).toBeUndefined()
    expect(record).toMatchObject({ outcome: 'cancelled', cancelReason: 'the engine is closing' })
  })

  it('refuses an address that is none, and nodes beside it', async () => {
    expect(() => createEngine({ redis: '127.0.0.1:6379' })).toThrow('redis is no address of a Redis')
    expect(() => createEngine({ redis: fleet.redis.url, nodes: [] as never })).toThrow('nodes or a Redis')
  })

  it('rejects with CAESURA_E_REDIS where none answers', async () => {
    await using engine = createEngine({ redis: 'redis://127.0.0.1:9' })
    await expect(engine.start(pipeline, { input: 'x' }).result).rejects.toMatchObject({ code: 'CAESURA_E_REDIS' })
  })
})

const textOf = (events: readonly RunEvent[], stage: string): string => {
  const calls = events.flatMap((event) => (event.type === 'stage-start' && event.stage === stage ? event.callId : []))
  return events.map((event) => (event.type === 'token' && calls.includes(event.callId) ? event.text : '')).join('')
}
