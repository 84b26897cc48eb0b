import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type ProcessServingSettings, serveHere } from '../../src/app/process-serving.ts'
import type { CallRequest } from '../../src/core/call.ts'
import { type LogLine, logTo } from '../../src/core/log.ts'
import { recordSchema } from '../../src/core/record.ts'
import type { Script } from '../../src/nodes/backends/scripted.ts'
import { sqliteStore } from '../../src/records/stores/sqlite.ts'
import { until } from '../fixtures/until.ts'
import { ask, eventsOf, pipelines, problemIn, startRun } from './api-fixture.ts'
import { scriptedNode } from './sites.ts'

const SLOW: Script = { tokens: Array.from({ length: 2000 }, (_, index) => `s${index} `), firstTokenMs: 1, tokenMs: 20 }
const FAST: Script = { tokens: ['secret ', 'answer'], firstTokenMs: 1, tokenMs: 1 }
const script: Script = (request) => (request.messages.at(-1)!.content.includes('slow') ? SLOW : FAST)

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'caesura-host-'))
})
afterAll(() => rm(folder, { recursive: true }))

let files = 0
const newFile = () => join(folder, `${++files}.sqlite`)
async function serve(recordsFile: string, settings: Partial<ProcessServingSettings> = {}) {
  const asked: CallRequest[] = []
  const nodes = [scriptedNode(asked, script)]
  const api = await serveHere({ ...{ port: 0, pipelines, rate: 0, nodes, recordsFile }, ...settings })
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= api.close()
    return closed
  }
  onTestFinished(close)
  const read = async (path: string) => ask(`${api.url}/v1/runs${path}`)
  const status = async (runId: string) => ((await read(`/${runId}`)).body as { status?: string }).status
  const recordOf = async (runId: string) => {
    await until(async () => (await status(runId)) === undefined)
    return recordSchema.parse((await read(`/${runId}`)).body)
  }
  return { url: api.url, asked, close, read, status, recordOf }
}

/** What a process that was killed leaves behind. */
function leaveLive(file: string, runId: string, seq = 7) {
  const store = sqliteStore(file)
  const traceId = 'a'.repeat(32)
  store.note({ runId, traceId, pipeline: 'one', tenant: 'acme', submittedAt: 1_000_000, submittedBy: 'boss' })
  store.seen([{ runId, seq }], 1_002_500)
  store.close()
}

describe('a run that was live when the process ended', () => {
  it('is found at the next start as failed, with all that is known of it', async () => {
    const file = newFile()
    leaveLive(file, 'lost')
    const lines: LogLine[] = []
    const here = await serve(file, { log: logTo((line) => lines.push(line)) })
    expect(await here.recordOf('lost')).toMatchObject({
      ...{ runId: 'lost', pipeline: 'one', traceId: 'a'.repeat(32), submittedBy: 'boss', outcome: 'failed' },
      ...{ error: { code: 'CAESURA_E_HOST_LOST' }, startedUnixMs: 1_000_000, durationMs: 2500 },
      ...{ stages: [], interrupts: [] },
    })
    expect((await here.read('?status=ended&tenant=acme&outcome=failed')).body).toMatchObject({
      runs: [{ runId: 'lost', status: 'ended', seq: 7, submittedBy: 'boss', outcome: 'failed' }],
    })
    expect((await here.read('?status=live')).body).toEqual({ runs: [] })
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
    for (const [path, init] of [
      ['/interrupts', { method: 'POST' }],
      ['', { method: 'DELETE' }],
    ] as const) {
      const late = await ask(`${here.url}/v1/runs/lost${path}`, init)
      expect([late.status, problemIn(late).code]).toEqual([409, 'CAESURA_E_RUN_ENDED'])
    }
  })

  it('keeps the record that the process had written before it ended', async () => {
    const file = newFile()
    const first = await serve(file)
    const runId = await startRun(first, { pipeline: 'one' })
    const record = await first.recordOf(runId)
    await first.close()
    const store = sqliteStore(file)
    store.note({ runId: 'other', traceId: record.traceId, pipeline: 'one', tenant: '', submittedAt: 1 })
    const { output: _, ...rest } = record
    store.write({ ...rest, runId: 'other' })
    store.close()
    const second = await serve(file)
    expect(await second.recordOf('other')).toMatchObject({ runId: 'other', outcome: 'completed' })
  })
})

describe('a run that has ended', () => {
  it('is read from the records file by the next process: without texts, unless they are kept', async () => {
    for (const keepText of [false, true]) {
      const file = newFile()
      const first = await serve(file, { keepText })
      const runId = await startRun(first, { pipeline: 'one', tenant: 'acme' })
      const whole = await first.recordOf(runId)
      expect(whole.output).toBe('secret answer')
      const { runs } = (await first.read('')).body as { runs: { seq: number }[] }
      await first.close()
      const second = await serve(file, { keepText })
      const { output, ...kept } = await second.recordOf(runId)
      expect(output).toBe(keepText ? whole.output : undefined)
      expect(kept).toMatchObject({ traceId: whole.traceId, durationMs: whole.durationMs, cost: whole.cost })
      expect((await second.read('?tenant=acme')).body).toEqual({ runs })
      // Its events went with the process: who has seen them all hears that nothing comes, anybody else where its record is.
      const { seq } = runs[0]!
      expect((await second.read(`/${runId}/events?after=${seq}`)).status).toBe(204)
      for (const after of ['', '?after=1', `?after=${seq + 1}`]) {
        const gone = await second.read(`/${runId}/events${after}`)
        expect([gone.status, problemIn(gone).code]).toEqual([410, 'CAESURA_E_RUN_ENDED'])
      }
    }
  })

  it('is what its Idempotency-Key stands for in the next process too', async () => {
    const file = newFile()
    const send = (url: string, input: string) =>
      ask(`${url}/v1/runs`, { body: { pipeline: 'one', input }, headers: { 'idempotency-key': 'key' } })
    // Who asks is told apart by the address without tokens, and that stays.
    const first = await serve(file)
    const made = await send(first.url, 'i')
    await first.recordOf((made.body as { runId: string }).runId)
    await first.close()
    const second = await serve(file)
    const again = await send(second.url, 'i')
    expect([again.status, again.headers.get('idempotency-replayed'), again.body]).toEqual([201, 'true', made.body])
    expect((await send(second.url, 'j')).status).toBe(422)
    expect(second.asked).toHaveLength(0)
  })

  it('stays with its events in memory until others have ended since', async () => {
    const here = await serve(newFile(), { kept: { runs: 1 } })
    const [first, second] = [await startRun(here, { pipeline: 'one' }), await startRun(here, { pipeline: 'one' })]
    await here.recordOf(first)
    await here.recordOf(second)
    await until(async () => (await here.read(`/${first}/events`)).status === 410)
    expect((await eventsOf(await fetch(`${here.url}/v1/runs/${second}/events`))).at(-1)).toMatchObject({
      type: 'run-end',
    })
    expect((await here.recordOf(first)).output).toBeUndefined()
    expect((await here.recordOf(second)).output).toBe('secret answer')
  })
})

describe('the id of a run', () => {
  it('that a command recorded in the same file is taken, and the run is not shown', async () => {
    const file = newFile()
    const first = await serve(file)
    const record = await first.recordOf(await startRun(first, { pipeline: 'one' }))
    await first.close()
    const store = sqliteStore(file)
    const { output: _, ...rest } = record
    store.write({ ...rest, runId: 'by-hand' })
    store.close()
    const here = await serve(file)
    const taken = await ask(`${here.url}/v1/runs`, { body: { pipeline: 'one', input: 'i', runId: 'by-hand' } })
    expect(taken.status).toBe(409)
    expect((await here.read('/by-hand')).status).toBe(404)
  })
})

describe('where no more runs may go on', () => {
  it('runs wait, then are refused with 503 and Retry-After, and one that waits can be cancelled', async () => {
    const here = await serve(newFile(), { limits: { runs: 1, maxWaiting: 2 }, times: { decisionMs: 50 } })
    const slow = { pipeline: 'one', input: 'slow' }
    const first = await startRun(here, slow)
    const [second, third] = [await startRun(here, slow), await startRun(here, { ...slow, runId: 'third' })]
    const refused = await ask(`${here.url}/v1/runs`, { body: { ...slow, runId: 'fourth' } })
    expect([refused.status, problemIn(refused).code]).toEqual([503, 'CAESURA_E_FLEET_FULL'])
    expect(refused.headers.get('retry-after')).toBe('5')
    expect((await here.read('/fourth')).status).toBe(404)
    // Who asks again for a run that is there is answered as before.
    expect((await ask(`${here.url}/v1/runs`, { body: { ...slow, runId: 'third' } })).status).toBe(409)
    expect(await Promise.all([first, second, third].map(here.status))).toEqual(['running', 'waiting', 'waiting'])
    expect((await ask(`${here.url}/metrics`)).body).toContain('caesura_queue_waiting{queue="runs"} 2')

    // Nobody can decide yet.
    const signal = await ask(`${here.url}/v1/runs/${third}/interrupts`, { method: 'POST' })
    expect(signal).toMatchObject({ status: 202, body: { runId: third, pending: true } })
    const reading = fetch(`${here.url}/v1/runs/${second}/events`)
    expect((await ask(`${here.url}/v1/runs/${second}?reason=enough`, { method: 'DELETE' })).status).toBe(202)
    expect(await here.recordOf(second)).toMatchObject({ outcome: 'cancelled', cancelReason: 'enough' })
    expect((await eventsOf(await reading)).at(-1)).toMatchObject({ type: 'run-end', outcome: 'cancelled' })
    expect(await here.status(third)).toBe('waiting')
    await ask(`${here.url}/v1/runs/${first}`, { method: 'DELETE' })
    await until(async () => (await here.status(third)) === 'running')
  })

  it('the smallest priority begins first, and a tenant that has many waits behind one that has few', async () => {
    const here = await serve(newFile(), { limits: { runs: 1 } })
    const first = await startRun(here, { pipeline: 'one', input: 'slow', tenant: 'many' })
    const body = { pipeline: 'one', input: 'i' }
    const order = ['m1', 'm2', 'few', 'last', 'urgent']
    for (const runId of order) {
      const tenant = runId.startsWith('m') ? 'many' : runId
      await startRun(here, { ...body, runId, tenant, priority: runId === 'last' ? 50 : runId === 'urgent' ? 0 : 10 })
    }
    await ask(`${here.url}/v1/runs/${first}`, { method: 'DELETE' })
    for (const runId of order) await here.recordOf(runId)
    const begun = here.asked.map(({ runId }) => runId).filter((runId) => runId !== first)
    expect(begun).toEqual(['urgent', 'few', 'm1', 'm2', 'last'])
  })
})

describe('a server that is closed', () => {
  it('cancels what is live and what waits, tells their readers, and writes their records', async () => {
    const file = newFile()
    const here = await serve(file, { limits: { runs: 1 } })
    const live = await startRun(here, { pipeline: 'one', input: 'slow' })
    const waiting = await startRun(here, { pipeline: 'one', input: 'slow' })
    await until(async () => ((await here.read(`/${live}`)).body as { seq: number }).seq > 3)
    const response = await fetch(`${here.url}/v1/runs/${live}/events`)
    const [events] = await Promise.all([eventsOf(response), here.close()])
    expect(events.at(-1)).toMatchObject({ type: 'run-end', outcome: 'cancelled' })
    const store = sqliteStore(file)
    for (const runId of [live, waiting])
      expect(store.read(runId)).toMatchObject({ outcome: 'cancelled', cancelReason: 'the server is stopping' })
    expect(store.unended()).toEqual([])
    store.close()
    await expect(fetch(`${here.url}/healthz`)).rejects.toThrow()
  })

  it('leaves its records file to the next one; until then nobody else hosts runs with it', async () => {
    const file = newFile()
    const first = await serve(file)
    await expect(serve(file)).rejects.toMatchObject({
      code: 'CAESURA_E_RECORDS',
      message: expect.stringContaining(`process ${process.pid}`),
    })
    // The refusal has changed nothing.
    await first.recordOf(await startRun(first, { pipeline: 'one' }))
    await first.close()
    await serve(file)
  })
})

it('gives its records file free and says what failed where a backend cannot be closed', async () => {
  const file = newFile()
  const node = scriptedNode([], script)
  const broken = { ...node.backend, close: () => Promise.reject(new Error('will not')) }
  const api = await serveHere({ port: 0, pipelines, nodes: [{ ...node, backend: broken }], recordsFile: file })
  await expect(api.close()).rejects.toThrow('will not')
  await serve(file)
})

it('tries a record again that could not be written, and tells of it', async () => {
  const file = newFile()
  const lines: LogLine[] = []
  const here = await serve(file, { log: logTo((line) => lines.push(line)), kept: { runs: 0 } })
  const database = new DatabaseSync(file)
  onTestFinished(() => database.close())
  database.exec("CREATE TRIGGER full BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'no room'); END")
  const runId = await startRun(here, { pipeline: 'one' })
  await until(() => lines.some(({ level }) => level === 'error'))
  await until(async () => (await here.status(runId)) === 'ended')
  database.exec('DROP TRIGGER full')
  expect(await here.recordOf(runId)).toMatchObject({ outcome: 'completed' })
}, 20_000)

it('tells of each run that has ended in one line, without its texts', async () => {
  const lines: LogLine[] = []
  const here = await serve(newFile(), { log: logTo((line) => lines.push(line)) })
  const runId = await startRun(here, { pipeline: 'one', input: 'mine' })
  await here.recordOf(runId)
  const told = lines.filter(({ sentence }) => sentence.startsWith(`run ${runId} completed`))
  expect(told).toHaveLength(1)
  expect(JSON.stringify([told[0]!.sentence, told[0]!.level])).not.toMatch(/mine|secret/)
})

it('notes how far live runs have come', async () => {
  const file = newFile()
  const here = await serve(file)
  const runId = await startRun(here, { pipeline: 'one', input: 'slow' })
  const store = sqliteStore(file)
  onTestFinished(() => store.close())
  const [noted] = store.unended()
  expect(noted).toMatchObject({ runId, pipeline: 'one' })
  await until(() => (store.noted(runId)?.seq ?? 0) > 0)
  expect(store.unended()[0]!.seenAt).toBeGreaterThan(noted!.seenAt)
}, 20_000)

it('has the routes of a fleet, and says what is true here', async () => {
  const here = await serve(newFile())
  const { body } = await ask(`${here.url}/v1/nodes`)
  expect(body).toMatchObject({
    nodes: [{ name: 'n1', pool: 'default', backend: 'scripted', slots: 8, busy: 0, anyModel: true, state: 'up' }],
  })
  expect((await ask(`${here.url}/v1/dead`)).body).toEqual({ dead: [] })
  for (const [path, method] of [
    ['/v1/dead/x', 'GET'],
    ['/v1/dead/x', 'DELETE'],
    ['/v1/dead/x/retry', 'POST'],
  ] as const) {
    expect((await ask(`${here.url}${path}`, { method })).status).toBe(404)
  }
  expect((await ask(`${here.url}/readyz`)).body).toEqual({ status: 'ready' })
})
