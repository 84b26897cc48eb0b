import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { recordSchema } from '../../src/core/record.ts'
import { until } from '../fixtures/until.ts'
import { ask, eventsOf, problemIn, startRun } from '../server/api-fixture.ts'
import { type FakeOllama, fakeOllama } from '../servers/fake-ollama.ts'
import { caesura, startCaesura } from './caesura.ts'

const PIPELINE = 'name: one\nstages:\n  - { id: only, model: m, prompt: "{{ input }}" }\n'

let ollama: FakeOllama
let folder: string
beforeAll(async () => {
  ollama = await fakeOllama({ models: ['m'], tokens: 'for ever', tokenMs: 20 })
})
afterAll(() => ollama[Symbol.asyncDispose]())
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-serve-here-'))
  writeFileSync(join(folder, 'one.yaml'), PIPELINE)
  onTestFinished(() => rmSync(folder, { recursive: true }))
})

/** A server that hosts its runs itself: nothing names a Redis. */
async function serve(flags: readonly string[] = ['--url', ollama.url], env: NodeJS.ProcessEnv = {}) {
  const all = ['serve', '--port', '0', '--pipelines', '.', '--json', '--log', 'json', ...flags]
  const started = startCaesura(folder, all, env)
  onTestFinished(async () => {
    started.child.kill('SIGKILL')
    await started.ended
  })
  const told = JSON.parse(await started.printed('}')) as { url: string; host: string; pid: number }
  const read = async (path: string) => (await ask(`${told.url}/v1/runs${path}`)).body
  return { ...started, told, url: told.url, read }
}

const linesOf = (stderr: string) =>
  stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string })

/** Its first tokens are there. */
const isGoingOn = (read: (path: string) => Promise<unknown>, runId: string) =>
  until(async () => ((await read(`/${runId}`)) as { seq: number }).seq > 5)

describe('caesura serve without a Redis', () => {
  it('hosts the runs itself, says so in one line, and after SIGTERM ends them cleanly and exits 0', async () => {
    const { told, url, child, ended, read } = await serve()
    expect(told).toMatchObject({ host: 'process', pid: child.pid })
    const runId = await startRun({ url }, { pipeline: 'one' })
    await isGoingOn(read, runId)
    const cut = ollama.cut
    const reading = eventsOf(await fetch(`${url}/v1/runs/${runId}/events`))
    child.kill('SIGTERM')
    const { status, stderr } = await ended
    expect(status).toBe(0)
    expect((await reading).at(-1)).toMatchObject({ type: 'run-end', outcome: 'cancelled' })
    await until(() => ollama.cut > cut)
    const saying = linesOf(stderr).filter(({ msg }) => msg.includes('this process hosts the runs itself, on ollama'))
    expect(saying).toHaveLength(1)
    // Its record is where those of `run` are.
    const shown = await caesura(folder, ['explain', runId, '--json'])
    expect(shown.status).toBe(0)
    const listed = await caesura(folder, ['runs', '--json'])
    expect(listed.stdout).toContain(runId)
    expect(listed.stdout).toContain('cancelled')
  })

  it('finds what was live when it was killed as failed at the next start', async () => {
    const first = await serve()
    const runId = await startRun(first, { pipeline: 'one' })
    await isGoingOn(first.read, runId)
    first.child.kill('SIGKILL')
    await first.ended
    const second = await serve()
    const record = recordSchema.parse(await second.read(`/${runId}`))
    expect(record).toMatchObject({ runId, outcome: 'failed', error: { code: 'CAESURA_E_HOST_LOST' } })
    expect(await second.read('?outcome=failed')).toMatchObject({ runs: [{ runId, status: 'ended' }] })
    const shown = await caesura(folder, ['explain', runId])
    expect([shown.status, shown.stdout.includes('CAESURA_E_HOST_LOST')]).toEqual([0, true])
  })

  it('works on the nodes of a configuration, with the bounds of its flags', async () => {
    writeFileSync(
      join(folder, 'caesura.config.yaml'),
      `nodes: [{ name: here, backend: ollama, url: "${ollama.url}", models: [m], slots: 3 }]\n`,
    )
    const { url, read } = await serve(['--runs', '1', '--max-waiting', '1'])
    const { body } = await ask(`${url}/v1/nodes`)
    expect(body).toMatchObject({ nodes: [{ name: 'here', slots: 3, models: ['m'], state: 'up' }] })
    for (const runId of ['a', 'b']) await startRun({ url }, { pipeline: 'one', runId })
    const refused = await ask(`${url}/v1/runs`, { body: { pipeline: 'one', input: 'i' } })
    expect([refused.status, problemIn(refused).code]).toEqual([503, 'CAESURA_E_FLEET_FULL'])
    expect(await read('/b')).toMatchObject({ status: 'waiting' })
  })

  it('runs the bundled model for pipelines that requests bring along', async () => {
    rmSync(join(folder, 'one.yaml'))
    const { url, read } = await serve(['--allow-inline', '--backend', 'embedded'])
    const pipeline = {
      name: 'brought',
      stages: [{ id: 'only', model: 'fast', prompt: '{{ input }}', options: { maxTokens: 4 } }],
    }
    const runId = await startRun({ url }, { pipeline })
    await until(async () => ((await read(`/${runId}`)) as { outcome?: string }).outcome !== undefined)
    expect(await read(`/${runId}`)).toMatchObject({ outcome: 'completed' })
  }, 60_000)
})

describe('caesura serve refuses', () => {
  it.each([
    [
      'a node flag beside a Redis',
      ['--redis', 'redis://127.0.0.1:9', '--backend', 'embedded'],
      {},
      2,
      'CAESURA_E_USAGE',
    ],
    [
      'a bound of this process beside a Redis',
      ['--runs', '3'],
      { REDIS_URL: 'redis://127.0.0.1:9' },
      2,
      'CAESURA_E_USAGE',
    ],
    ['a Redis of the environment that does not answer', [], { REDIS_URL: 'redis://127.0.0.1:9' }, 3, 'CAESURA_E_REDIS'],
    ['a model that is not there', ['--backend', 'ollama'], {}, 3, 'CAESURA_E_NO_SERVER'],
  ])('%s', async (_, flags, env, status, code) => {
    const ended = await caesura(folder, ['serve', '--port', '0', '--pipelines', '.', '--json', ...flags], env)
    expect([ended.status, JSON.parse(ended.stdout).error.code]).toEqual([status, code])
  })

  it('a records file with which another process hosts runs, and takes it when that was killed', async () => {
    const first = await serve()
    const second = await caesura(folder, ['serve', '--port', '0', '--json', '--url', ollama.url])
    const { error } = JSON.parse(second.stdout)
    expect([second.status, error.code]).toEqual([3, 'CAESURA_E_RECORDS'])
    expect(error.message).toContain(`process ${first.told.pid}`)
    first.child.kill('SIGKILL')
    await first.ended
    await serve()
  })
})
