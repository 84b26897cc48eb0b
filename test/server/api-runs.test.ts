import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../../src/app/fleet-serving.ts'
import { recordSchema } from '../../src/core/record.ts'
import { until } from '../fixtures/until.ts'
import { ask, problemIn, startRun } from './api-fixture.ts'
import { type Site, sites } from './sites.ts'

describe.each(sites)('the runs that %s hosts', (host, open) => {
  let site: Site
  let api: Api
  beforeAll(async () => {
    site = await open({
      script: ({ stage, messages }) => ({
        tokens: stage === 'draft' ? Array.from({ length: 20 }, (_, index) => `d${index} `) : ['r'],
        firstTokenMs: 5,
        tokenMs: messages.at(-1)!.content.includes('slow') ? 200 : 1,
      }),
    })
    api = await site.api({ times: { decisionMs: 2000 } })
  })
  afterAll(() => site.close())

  const runs = (path = '') => `${api.url}/v1/runs${path}`
  const endOf = async (runId: string, url = api.url) => {
    const read = async () => (await ask(`${url}/v1/runs/${runId}`)).body as { schema?: string }
    await until(async () => (await read()).schema !== undefined)
    return read()
  }

  describe('POST /v1/runs', () => {
    it('starts the run and says where it is; its record is the one of the contract', async () => {
      const started = await ask(runs(), {
        body: { pipeline: 'two', input: 'i', runId: 'mine-1', tenant: 'a', priority: 1 },
      })
      expect(started.status).toBe(201)
      expect(started.headers.get('location')).toBe('/v1/runs/mine-1')
      expect(started.body).toMatchObject({ runId: 'mine-1', pipeline: 'two' })
      const record = await endOf('mine-1')
      expect(recordSchema.parse(record)).toEqual(record)
      expect(record).toMatchObject({ runId: 'mine-1', outcome: 'completed', output: 'r' })
    })

    it('joins the trace of its caller, and names its arm of an experiment', async () => {
      const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
      const experiment = { name: 'cut-in', arm: 'b', session: 's' }
      const started = await ask(runs(), { body: { pipeline: 'two', input: 'i', experiment }, headers: { traceparent } })
      const trace = { traceId: traceparent.slice(3, 35), parentSpanId: traceparent.slice(36, 52) }
      expect(started.body).toMatchObject({ traceId: trace.traceId })
      expect(await endOf((started.body as { runId: string }).runId)).toMatchObject({ ...trace, experiment })
      const malformed = await ask(runs(), {
        body: { pipeline: 'two', input: 'i' },
        headers: { traceparent: 'nonsense' },
      })
      expect(malformed.status).toBe(201)
    })

    it.each(['interrupts', 'signals'])('carries out the %s that were planned', async (name) => {
      const runId = await startRun(api, { [name]: [{ stage: 'draft', afterTokens: 3, input: 'now' }] })
      expect(await endOf(runId)).toMatchObject({ interrupts: [{ trigger: 'signal', input: 'now', decision: 'abort' }] })
    })

    it('takes half of a character in its texts, and makes U+FFFD of it', async () => {
      const body = { input: 'a\ud800', signals: [{ stage: 'draft', afterTokens: 3, input: 'b\udc00' }] }
      expect(JSON.stringify(body)).toContain('\\ud800')
      const runId = await startRun(api, body)
      expect(await endOf(runId)).toMatchObject({ outcome: 'completed', interrupts: [{ input: 'b\uFFFD' }] })
      const asked = site.asked
        .filter((request) => request.runId === runId)
        .map(({ messages }) => messages.at(-1)!.content)
      expect(asked[0]).toBe('draft a\uFFFD')
      expect(asked[1]).toMatch(/b\uFFFD$/)
    })

    it('gives the same run for the same key, and refuses another body', async () => {
      // A fleet has it in every server.
      const other = host === 'a fleet' ? await site.api() : api
      const send = (url: string, input: string) =>
        ask(`${url}/v1/runs`, { body: { pipeline: 'two', input }, headers: { 'idempotency-key': 'key-1' } })
      const first = await send(api.url, 'i')
      expect(first.headers.has('idempotency-replayed')).toBe(false)
      const second = await send(other.url, 'i')
      expect([second.status, second.headers.get('idempotency-replayed')]).toEqual([201, 'true'])
      expect(second.body).toEqual(first.body)
      const { runId } = first.body as { runId: string }
      await endOf(runId)
      expect((await send(other.url, 'i')).body).toEqual(first.body)
      const third = await send(api.url, 'another')
      expect([third.status, problemIn(third).code]).toEqual([422, 'CAESURA_E_USAGE'])
    })

    it('takes a key for one run even when many come at once', async () => {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () =>
          ask(runs(), { body: { pipeline: 'one', input: 'i' }, headers: { 'idempotency-key': 'key-2' } }),
        ),
      )
      expect(new Set(answers.map(({ body }) => (body as { runId: string }).runId)).size).toBe(1)
      expect(answers.filter(({ headers }) => !headers.has('idempotency-replayed'))).toHaveLength(1)
    })

    it('refuses the id of a run that is there, and a key beside an id', async () => {
      await startRun(api, { runId: 'taken' })
      expect((await ask(runs(), { body: { pipeline: 'two', input: 'i', runId: 'taken' } })).status).toBe(409)
      const both = { body: { pipeline: 'two', input: 'i', runId: 'new' }, headers: { 'idempotency-key': 'k' } }
      expect((await ask(runs(), both)).status).toBe(400)
      expect((await ask(runs('/new'))).status).toBe(404)
    })

    it('takes a pipeline along only where it may', async () => {
      const pipeline = { name: 'brought', stages: [{ id: 'only', model: 'scripted', prompt: '{{ input }}' }] }
      expect((await ask(runs(), { body: { pipeline, input: 'i' } })).status).toBe(403)
      const inline = await site.api({ allowInline: true })
      const started = await ask(`${inline.url}/v1/runs`, { body: { pipeline, input: 'i' } })
      expect(started.status).toBe(201)
      expect(await endOf((started.body as { runId: string }).runId, inline.url)).toMatchObject({ pipeline: 'brought' })
      const wrong = await ask(`${inline.url}/v1/runs`, { body: { pipeline: { ...pipeline, stages: [] }, input: 'i' } })
      expect([wrong.status, problemIn(wrong).code, problemIn(wrong).path]).toEqual([
        400,
        'CAESURA_E_PIPELINE',
        'stages',
      ])
    })
  })

  describe('a run that goes on', () => {
    it('tells where it is, takes an interrupt and says what was decided', async () => {
      const runId = await startRun(api, { input: 'slow' })
      await until(async () => ((await ask(runs(`/${runId}`))).body as { seq: number }).seq > 2)
      expect((await ask(runs(`/${runId}`))).body).toMatchObject({
        runId,
        pipeline: 'two',
        status: 'running',
        tenant: '',
      })
      const answered = await ask(runs(`/${runId}/interrupts`), { body: { input: 'now' } })
      expect(answered).toMatchObject({ status: 200, body: { accepted: true, decision: 'abort', superseded: false } })
      expect(await endOf(runId)).toMatchObject({ outcome: 'completed', interrupts: [{ input: 'now' }] })
    })

    it('takes an interrupt without a body, and says so where the policy ignores it', async () => {
      const runId = await startRun(api, { pipeline: 'one', input: 'slow' })
      const answered = await ask(runs(`/${runId}/interrupts`), { method: 'POST' })
      expect(answered).toMatchObject({ status: 200, body: { accepted: false } })
    })

    it('takes what its user has heard, at its own pace', async () => {
      const runId = await startRun(api, { input: 'i', pace: 20 })
      await until(async () => ((await ask(runs(`/${runId}`))).body as { seq: number }).seq > 5)
      const heard = await ask(runs(`/${runId}/heard`), { body: { characters: 'd0 d1'.length } })
      expect(heard).toMatchObject({ status: 200, body: { accepted: true } })
      const wrong = await ask(runs(`/${runId}/heard`), { body: { characters: -1 } })
      expect([wrong.status, problemIn(wrong).path]).toEqual([400, 'characters'])
      const body = { input: 'now', heard: { characters: 'd0 d1 d2'.length } }
      expect(await ask(runs(`/${runId}/interrupts`), { body })).toMatchObject({ status: 200, body: { accepted: true } })
      const record = recordSchema.parse(await endOf(runId))
      expect(record.stages[0]).toMatchObject({ settlement: 'aborted', characters: { generated: 70 } })
    })

    it('is cancelled once; then it has ended', async () => {
      const runId = await startRun(api, { input: 'slow' })
      const ordered = await ask(runs(`/${runId}?reason=enough`), { method: 'DELETE' })
      expect(ordered).toMatchObject({ status: 202, body: { runId, cancelling: true } })
      expect(await endOf(runId)).toMatchObject({ outcome: 'cancelled', cancelReason: 'enough' })
      for (const [path, method] of [
        ['', 'DELETE'],
        ['/interrupts', 'POST'],
        ['/heard', 'POST'],
      ] as const) {
        const late = await ask(runs(`/${runId}${path}`), {
          method,
          ...(path === '/heard' && { body: { characters: 1 } }),
        })
        expect([late.status, problemIn(late).code]).toEqual([409, 'CAESURA_E_RUN_ENDED'])
      }
    })
  })

  describe('GET /v1/runs', () => {
    it('filters and turns pages', async () => {
      const ids = await Promise.all([1, 2, 3].map(() => startRun(api, { tenant: 'pages' })))
      for (const runId of ids) await endOf(runId)
      const found: string[] = []
      let cursor = ''
      do {
        const { body } = await ask(runs(`?tenant=pages&status=ended&outcome=completed&pipeline=two&limit=2${cursor}`))
        const page = body as { runs: { runId: string; outcome: string }[]; cursor?: string }
        expect(page.runs.length).toBeLessThanOrEqual(2)
        found.push(...page.runs.map(({ runId }) => runId))
        cursor = page.cursor === undefined ? '' : `&cursor=${page.cursor}`
      } while (cursor !== '')
      expect(found.sort()).toEqual(ids.sort())
      expect((await ask(runs('?tenant=pages&outcome=failed'))).body).toEqual({ runs: [] })
    })
  })

  it('says who serves calls, and counts for Prometheus', async () => {
    expect((await ask(`${api.url}/v1/nodes`)).body).toMatchObject({ nodes: [{ name: 'n1', slots: 8, state: 'up' }] })
    await startRun(api)
    const { body, headers } = await ask(`${api.url}/metrics`)
    expect(headers.get('content-type')).toMatch(/^text\/plain/)
    expect(body).toMatch(/^caesura_runs_submitted_total\{pipeline="two"\} [1-9]/m)
    expect(body).toMatch(/^caesura_http_requests_total\{route="\/v1\/runs",method="POST",status="201"\} [1-9]/m)
    expect(body).toContain('caesura_node_slots{node="n1",pool="default"} 8')
    expect(body).toMatch(/^caesura_runs_live \d/m)
    if (host === 'a fleet') {
      expect(body).toContain('caesura_redis_up 1')
      expect(body).toMatch(/^caesura_redis_round_trip_seconds_count [1-9]/m)
    } else expect(body).not.toContain('caesura_redis')
    for (const line of String(body).split('\n')) if (line !== '') expect(line).toMatch(/^(# (HELP|TYPE) )?caesura_/)
  })
})
