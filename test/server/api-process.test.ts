import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { caesura, startCaesura } from '../cli/caesura.ts'
import { fleetForTest } from '../fixtures/fleet.ts'
import { withRedis } from '../fixtures/with-redis.ts'
import { ask, lines } from './api-fixture.ts'

const PIPELINE = 'name: one\nstages:\n  - { id: only, model: scripted, prompt: "{{ input }}" }\n'
const TOKEN = '0123456789abcdef0123456789abcdef'

const redis = withRedis()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'caesura-serve-'))
  await writeFile(join(folder, 'one.yaml'), PIPELINE)
  await writeFile(join(folder, 'tokens.txt'), `# who may ask\n${TOKEN}\n\n`)
})
afterAll(() => rm(folder, { recursive: true }))

const serve = async (...flags: string[]) => {
  const started = startCaesura(folder, ['serve', '--port', '0', '--json', '--log-level', 'error', ...flags], {
    REDIS_URL: redis.url,
  })
  let printed = ''
  started.child.stdout!.on('data', (text: string) => {
    printed += text
  })
  await started.printed('}')
  return { ...started, told: JSON.parse(printed) as { url: string; pipelines: string[]; tokens: number; pid: number } }
}

describe('caesura serve', () => {
  it('serves the pipelines of a folder, and after SIGTERM ends its streams and exits 0', async () => {
    const fleet = fleetForTest(redis)
    await fleet.pipelines()
    await fleet.node({ name: 'n1', script: { tokens: Array.from({ length: 400 }, () => 'x '), tokenMs: 20 } })
    const { told, child, ended } = await serve('--pipelines', '.')
    expect(told).toMatchObject({ pipelines: ['one'], tokens: 0, pid: child.pid })
    expect(told.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    const response = await fetch(`${told.url}/v1/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: '{"pipeline":"one","input":"i","cancelOnDisconnect":true}',
    })
    const all: string[] = []
    for await (const line of lines(response)) {
      all.push(line)
      if (line === 'id: 5') child.kill('SIGTERM')
    }
    expect(all.slice(-4)).toContain('retry: 1000')
    expect(await ended).toMatchObject({ status: 0, signal: null, stderr: '' })
    // The client did not leave: the server did.
    const client = await fleet.client()
    const [run] = (await client.list({ status: 'live' })).runs
    expect(run).toMatchObject({ pipeline: 'one', status: 'running' })
    await client.cancel(run!.runId)
  })

  it('takes tokens out of a file', async () => {
    const { told, child, ended } = await serve('--tokens', 'tokens.txt', '--host', '0.0.0.0', '--allow-inline')
    expect(told.tokens).toBe(1)
    const url = `http://127.0.0.1:${new URL(told.url).port}/v1/nodes`
    expect((await ask(url)).status).toBe(401)
    expect((await ask(url, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(200)
    child.kill('SIGINT')
    expect((await ended).status).toBe(0)
  })
})

describe('caesura serve refuses', () => {
  it.each([
    ['another address without tokens', ['--host', '0.0.0.0'], 2, 'CAESURA_E_USAGE', '0.0.0.0'],
    ['a name that is not loopback', ['--host', 'example.org'], 2, 'CAESURA_E_USAGE', 'example.org'],
    ['a port that is none', ['--port', '70000'], 2, 'CAESURA_E_USAGE', '70000'],
    ['an origin that is none', ['--cors', '*'], 2, 'CAESURA_E_USAGE', '*'],
    ['a folder that is not there', ['--pipelines', 'nowhere'], 2, 'CAESURA_E_FILE', 'nowhere'],
    ['a token file that is not there', ['--tokens', 'nowhere'], 2, 'CAESURA_E_FILE', undefined],
    ['a file without tokens', ['--tokens', '/dev/null'], 2, 'CAESURA_E_USAGE', undefined],
    ['a Redis that is none', ['--redis', 'http://127.0.0.1'], 2, 'CAESURA_E_USAGE', 'http://127.0.0.1'],
    ['a Redis that does not answer', ['--redis', 'redis://127.0.0.1:9'], 3, 'CAESURA_E_REDIS', undefined],
  ])('%s', async (_, flags, status, code, received) => {
    const ended = await caesura(folder, ['serve', '--port', '0', '--json', ...flags], { REDIS_URL: redis.url })
    const { error } = JSON.parse(ended.stdout)
    expect([ended.status, error.code, error.received]).toEqual([status, code, received])
  })

  it('a token that is too short, without showing it', async () => {
    await writeFile(join(folder, 'short.txt'), `${TOKEN}\nsecret\n`)
    const ended = await caesura(folder, ['serve', '--port', '0', '--tokens', 'short.txt'], { REDIS_URL: redis.url })
    expect(ended.status).toBe(2)
    expect(ended.stderr).toContain('short.txt:2')
    expect(ended.stderr).not.toContain('secret')
  })

  it('a pipeline that does not hold, and two of one name', async () => {
    const wrong = await mkdtemp(join(folder, 'wrong-'))
    await writeFile(join(wrong, 'a.yaml'), PIPELINE)
    await writeFile(join(wrong, 'b.yaml'), PIPELINE)
    const twice = await caesura(folder, ['serve', '--port', '0', '--pipelines', wrong], { REDIS_URL: redis.url })
    expect([twice.status, twice.stderr.includes('b.yaml')]).toEqual([2, true])
    await writeFile(join(wrong, 'b.yaml'), 'name: b\nstages: []\n')
    const broken = await caesura(folder, ['serve', '--port', '0', '--pipelines', wrong], { REDIS_URL: redis.url })
    expect([broken.status, broken.stderr.includes('CAESURA_E_PIPELINE')]).toEqual([2, true])
  })

  it('a port where another program listens', async () => {
    const first = await serve()
    const { port } = new URL(first.told.url)
    const second = await caesura(folder, ['serve', '--port', port, '--json'], { REDIS_URL: redis.url })
    expect([second.status, JSON.parse(second.stdout).error.code]).toEqual([3, 'CAESURA_E_LISTEN'])
    first.child.kill('SIGTERM')
    await first.ended
  })
})
