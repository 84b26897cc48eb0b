import { describe, expect, it, vi } from 'vitest'
import { spanIdOf } from '../../src/core/trace.ts'
import { type FleetProcesses, processesForTest } from '../fixtures/fleet-processes.ts'
import { until } from '../fixtures/until.ts'
import { ask } from '../server/api-fixture.ts'
import { startOpenAiLike } from '../servers/openai-like.ts'
import type { Started } from './caesura.ts'

// Each step is a process.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

const PASSWORD = 'MARKpassword/@'
const TOKEN = 'MARKtoken0123456789abcdef'
const KEY = 'MARKkey0123456789'
/** What a scripted model says. */
const OUTPUT = /w[0-9a-f]{8}-\d/

let fleet: FleetProcesses

type Line = Record<string, unknown> & { msg: string }
const parsed = (text: string): Line[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

/** What a process has written so far. */
function heard({ child }: Started, stream: 'stdout' | 'stderr'): () => string {
  let text = ''
  child[stream]!.on('data', (more: string) => {
    text += more
  })
  return () => text
}

const state = (api: string, runId: string) => ask(`${api}/v1/runs/${runId}`, { headers: bearer })
const bearer = { authorization: `Bearer ${TOKEN}` }

/**
 * A fleet with a model server and the API, and three runs through it: one is interrupted, one is cancelled, one fails at a server
 * that quotes all that it was sent. Yields what each process wrote to stderr.
 */
async function threeRuns(env: NodeJS.ProcessEnv) {
  const all = { CAESURA_LOG_LEVEL: 'debug', API_KEY: KEY, ...env }
  fleet = await processesForTest({ password: PASSWORD, env: all })
  const tokens = fleet.file('tokens.txt', `${TOKEN}\n`)
  const rude = await startOpenAiLike({
    models: ['bad'],
    script: ({ headers, body }) => ({
      respond: (response) => {
        const message = `${headers.authorization} is not liked with ${JSON.stringify(body.messages)}`
        response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error: { message } }))
      },
    }),
  })
  try {
    const script = ['--backend', 'scripted', '--model', 'm', '--tokens', '20', '--token-ms', '20']
    const server = fleet.start('model-server', '--port', '0', '--json', ...script)
    const served = heard(server, 'stdout')
    await server.printed('}')
    const { url } = JSON.parse(served())
    const openai = ['--backend', 'openai', '--url', rude.url, '--api-key-env', 'API_KEY']
    const workers = [
      await fleet.worker('pipelines'),
      await fleet.worker('stages', '--node', 'good', '--url', url, '--slots', '2'),
      await fleet.worker('stages', '--node', 'rude', '--pool', 'rude', ...openai),
    ]
    const serve = fleet.start('serve', '--port', '0', '--allow-inline', '--tokens', tokens, '--json')
    const listens = heard(serve, 'stdout')
    await serve.printed('}')
    const { url: api } = JSON.parse(listens())
    const submit = async (model: string, more: object = {}) => {
      const stages = [
        {
          id: 'draft',
          model,
          prompt: 'say {{ input }}',
          policy: { trigger: 'signal', response: 'abort', carry: 'all' },
        },
        { id: 'refine', model, prompt: '{{ draft.output }} {{ interrupt.input }}' },
      ]
      const body = { pipeline: { name: 'two', stages }, input: 'MARKinput', ...more }
      const answered = await ask(`${api}/v1/runs`, { body, headers: bearer })
      expect(answered.status).toBe(201)
      return answered.body as { runId: string; traceId: string }
    }
    const runs = {
      interrupted: await submit('m', { signals: [{ afterTokens: 2, input: 'MARKinterrupt' }] }),
      cancelled: await submit('m'),
      failed: await submit('bad'),
    }
    await ask(`${api}/v1/runs/${runs.cancelled.runId}?reason=MARKreason`, { method: 'DELETE', headers: bearer })
    for (const { runId } of Object.values(runs))
      await until(async () => ((await state(api, runId)).body as { outcome?: string }).outcome)
    const processes = [serve, ...workers, server]
    for (const { child } of processes) child.kill('SIGTERM')
    const ended = await Promise.all(processes.map((each) => each.ended))
    expect(ended.map(({ status }) => status)).toEqual([0, 0, 0, 0, 0])
    const [ofApi, ofPipelines, ofGood, ofRude, ofServer] = ended.map(({ stderr }) => stderr) as [string, ...string[]]
    return { runs, ofApi, ofPipelines: ofPipelines!, ofGood: ofGood!, ofRude: ofRude!, ofServer: ofServer! }
  } finally {
    await rude.close()
  }
}

describe('the logs of a fleet, at level debug', () => {
  it('tell what became of each run and call, and hold no content and no secret', async () => {
    const { runs, ...logs } = await threeRuns({})
    const text = Object.values(logs).join('')
    expect(text).not.toContain('MARK')
    expect(text).not.toMatch(OUTPUT)

    const { runId, traceId } = runs.interrupted
    const ofRun = { run_id: runId, trace_id: traceId, span_id: spanIdOf(runId, 'run') }
    expect(parsed(logs.ofPipelines)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ level: 'info', service: 'caesura-pipelines', pid: expect.any(Number) }),
        expect.objectContaining({ level: 'debug', ...ofRun, msg: `run ${runId} claimed` }),
        expect.objectContaining({ level: 'debug', ...ofRun, outcome: 'completed', interrupts: 1 }),
        expect.objectContaining({ level: 'debug', outcome: 'cancelled' }),
        expect.objectContaining({ level: 'warn', run_id: runs.failed.runId, code: 'CAESURA_E_REQUEST' }),
      ]),
    )
    expect(parsed(logs.ofRude)).toContainEqual(
      expect.objectContaining({
        level: 'info',
        node: 'rude',
        call: 'draft.1',
        end: 'failed',
        code: 'CAESURA_E_REQUEST',
      }),
    )
    expect(parsed(logs.ofApi)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ level: 'debug', method: 'DELETE', route: '/v1/runs/:id', status: 202 }),
      ]),
    )
    expect(parsed(logs.ofServer)).toContainEqual(
      expect.objectContaining({ level: 'debug', method: 'POST', route: '/api/chat', status: 200 }),
    )
    // The last thing that a process says is not lost with it.
    for (const log of Object.values(logs)) expect(parsed(log).at(-1)).toMatchObject({ level: 'info', msg: 'stopped' })
  })

  it('hold content where the process was told to capture it, and still no secret', async () => {
    const { runs, ...logs } = await threeRuns({ CAESURA_CAPTURE_CONTENT: 'logs' })
    const ends = parsed(logs.ofPipelines).filter(({ outcome }) => outcome !== undefined)
    expect(ends.find(({ run_id }) => run_id === runs.interrupted.runId)).toMatchObject({
      captured: { input: 'MARKinput', output: expect.stringMatching(OUTPUT), interrupts: ['MARKinterrupt'] },
    })
    expect(ends.find(({ run_id }) => run_id === runs.cancelled.runId)).toMatchObject({
      captured: { cancelReason: 'MARKreason' },
    })
    const text = Object.values(logs).join('')
    for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), TOKEN, KEY]) expect(text).not.toContain(secret)
  })
})

describe('a process with a log', () => {
  it('tells once that Redis is gone, and once that it is back', async () => {
    fleet = await processesForTest({ env: { CAESURA_LOG_LEVEL: 'debug' } })
    const worker = await fleet.worker('pipelines')
    const log = heard(worker, 'stderr')
    await fleet.redis.kill()
    await until(async () => log().includes('is gone'))
    await until(async () => (await fleet.run('nodes')).status === 3)
    await fleet.redis.restart()
    await until(async () => log().includes('is back'))
    worker.child.kill('SIGTERM')
    const { stderr } = await worker.ended
    const about = parsed(stderr).filter(({ msg }) => /Redis is|ECONN/.test(msg))
    expect(about.map(({ level }) => level)).toEqual(['warn', 'info'])
  })

  it('works on when nobody reads its stderr any more', async () => {
    fleet = await processesForTest({ env: { CAESURA_LOG_LEVEL: 'debug' } })
    const [hosts, node] = await Promise.all([fleet.worker('pipelines'), fleet.scripted('n', 3, 0)])
    for (const { child } of [hosts, node]) child.stderr!.destroy()
    for (const _ of [1, 2]) {
      const { outcome } = await fleet.json<{ outcome: string }>('run', fleet.pipeline, '--redis', '--input', 'hello')
      expect(outcome).toBe('completed')
    }
    for (const { child } of [hosts, node]) child.kill('SIGTERM')
    for (const { ended } of [hosts, node]) expect((await ended).status).toBe(0)
  })

  it('writes sentences with --log text, nothing with --log silent, and takes the flag before the environment', async () => {
    fleet = await processesForTest({ env: { CAESURA_LOG: 'json', CAESURA_LOG_LEVEL: 'error' } })
    const text = await fleet.scripted('n', 3, 0, '--log', 'text', '--log-level', 'info')
    const silent = await fleet.worker('pipelines', '--log', 'silent', '--log-level', 'debug')
    const quiet = await fleet.worker('pipelines')
    for (const { child } of [text, silent, quiet]) child.kill('SIGTERM')
    const lines = (await text.ended).stderr.split('\n')
    expect(lines[0]).toBe(`Serving n (scripted, 1 slot, pool default) to ${fleet.redis.url}.`)
    expect(lines).toContain('node n: stopping: its worker is being stopped')
    for (const { ended } of [silent, quiet]) expect((await ended).stderr).toBe('')
  })

  it('has an error that ends it in the log, without what is secret', async () => {
    fleet = await processesForTest()
    const redis = 'redis://user:MARKpassword@127.0.0.1:9'
    const { status, stderr } = await fleet.run('worker', 'pipelines', '--redis', redis)
    expect(status).toBe(3)
    expect(parsed(stderr)).toEqual([expect.objectContaining({ level: 'error', code: 'CAESURA_E_REDIS' })])
    expect(stderr).not.toContain('MARK')
  })

  it('refuses a variable that it cannot use, with exit code 2', async () => {
    fleet = await processesForTest({ env: { CAESURA_LOG: 'xml' } })
    const { status, stdout } = await fleet.run('worker', 'pipelines', '--json')
    expect(status).toBe(2)
    expect(JSON.parse(stdout).error).toMatchObject({
      code: 'CAESURA_E_USAGE',
      message: 'CAESURA_LOG cannot be read',
      received: 'xml',
      expected: 'text, json, silent',
    })
  })
})
