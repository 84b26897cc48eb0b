import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../../src/app/fleet-serving.ts'
import type { Token } from '../../src/server/api/tokens.ts'
import { until } from '../fixtures/until.ts'
import { ask, eventsOf, problemIn, tokensOf } from './api-fixture.ts'
import { type Site, sites } from './sites.ts'

const tokenOf = (name: string) => `${name}-0123456789abcdef`
const grant = (name: string, granted: Omit<Token, 'token' | 'name'>): Token => ({
  token: tokenOf(name),
  name,
  ...granted,
})
const tokens = [
  grant('boss', { role: 'admin' }),
  grant('reader', { role: 'read' }),
  grant('runner', { role: 'run' }),
  grant('approver', { role: 'approve' }),
  grant('acme', { role: 'run', tenant: 'acme' }),
  grant('acme-reader', { role: 'read', tenant: 'acme' }),
  grant('globex', { role: 'admin', tenant: 'globex' }),
]

describe.each(sites)('with tokens, of runs that %s hosts,', (_, open) => {
  let site: Site
  let api: Api
  beforeAll(async () => {
    site = await open({
      script: ({ messages }) =>
        messages.at(-1)!.content.includes('slow')
          ? { tokens: Array.from({ length: 400 }, () => 's '), firstTokenMs: 5, tokenMs: 50 }
          : { tokens: ['secret ', 'answer'], firstTokenMs: 5, tokenMs: 1 },
    })
    api = await site.api({ tokens })
  })
  afterAll(() => site.close())

  type Init = NonNullable<Parameters<typeof ask>[1]>
  const as = (who: string, path: string, init: Init = {}, url = api.url) =>
    ask(`${url}${path}`, { ...init, headers: { ...(init.headers as object), authorization: `Bearer ${tokenOf(who)}` } })
  async function start(who: string, body: object = {}): Promise<string> {
    const answered = await as(who, '/v1/runs', { body: { pipeline: 'two', input: 'i', ...body } })
    expect(answered.status).toBe(201)
    return (answered.body as { runId: string }).runId
  }
  async function recordOf(runId: string, who = 'boss'): Promise<Record<string, unknown>> {
    const read = async () => (await as(who, `/v1/runs/${runId}`)).body as Record<string, unknown>
    await until(async () => (await read()).schema !== undefined)
    return read()
  }
  const listed = async (who: string, query = '') =>
    ((await as(who, `/v1/runs?limit=500${query}`)).body as { runs: { runId: string }[] }).runs.map(({ runId }) => runId)

  describe('a role', () => {
    it('may do what those before it may, and nothing else', async () => {
      const runId = await start('boss', { pipeline: 'one', input: 'slow' })
      const requests: [path: string, init: Init, allowed: string[]][] = [
        ['/v1/runs', {}, ['reader', 'runner', 'approver', 'boss']],
        [`/v1/runs/${runId}`, {}, ['reader', 'runner', 'approver', 'boss']],
        ['/metrics', {}, ['reader', 'runner', 'approver', 'boss']],
        ['/v1/runs', { body: { pipeline: 'one', input: 'i' } }, ['runner', 'approver', 'boss']],
        [`/v1/runs/${runId}/interrupts`, { method: 'POST' }, ['runner', 'approver', 'boss']],
        [`/v1/runs/${runId}/heard`, { body: { characters: 0 } }, ['runner', 'approver', 'boss']],
        ['/v1/nodes', {}, ['boss']],
        ['/v1/dead', {}, ['boss']],
        [`/v1/runs/${runId}`, { method: 'DELETE' }, ['runner', 'approver', 'boss']],
      ]
      for (const [path, init, allowed] of requests) {
        for (const who of ['reader', 'runner', 'approver', 'boss']) {
          const answered = await as(who, path, init)
          if (!allowed.includes(who)) {
            expect([path, who, answered.status, problemIn(answered).code]).toEqual([path, who, 403, 'CAESURA_E_AUTH'])
          } else expect([401, 403, 404]).not.toContain(answered.status)
        }
      }
      // HEAD is as GET.
      expect((await as('reader', '/v1/nodes', { method: 'HEAD' })).status).toBe(403)
      expect((await as('boss', '/v1/nodes', { method: 'HEAD' })).status).toBe(200)
    })

    it('that only reads sees figures and no texts, unless texts are kept', async () => {
      const runId = await start('runner', { signals: [{ afterTokens: 1, input: 'a change' }] })
      const whole = await recordOf(runId)
      expect(JSON.stringify(whole)).toMatch(/secret[\s\S]*a change|a change[\s\S]*secret/)
      const record = await recordOf(runId, 'reader')
      expect(record).toMatchObject({ runId, outcome: 'completed', cost: whole.cost })
      const response = await fetch(`${api.url}/v1/runs/${runId}/events`, {
        headers: { authorization: `Bearer ${tokenOf('reader')}`, accept: 'application/x-ndjson' },
      })
      const events = await eventsOf(response)
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
      expect(events.some(({ type }) => type === 'token')).toBe(true)
      expect(JSON.stringify([record, events])).not.toMatch(/secret|answer"|a change/)

      const { components } = (await as('boss', '/openapi.json')).body as { components: { schemas: { Event: object } } }
      const isEvent = new Ajv2020({ strict: false, validateFormats: false }).compile(components.schemas.Event)
      for (const event of events) expect([isEvent(event), isEvent.errors]).toEqual([true, null])

      const keeping = await site.api({ tokens, keepText: true })
      const body = { pipeline: 'one', input: 'i', runId: 'kept' }
      expect((await as('runner', '/v1/runs', { body }, keeping.url)).status).toBe(201)
      const kept = async () => JSON.stringify((await as('reader', '/v1/runs/kept', {}, keeping.url)).body)
      await until(async () => (await kept()).includes('secret answer'))
    })
  })

  describe('a token of a tenant', () => {
    it('submits for its tenant, and the record has the name of the token', async () => {
      const runId = await start('acme')
      expect(await recordOf(runId)).toMatchObject({ submittedBy: 'acme' })
      expect((await as('boss', '/v1/runs?limit=1&status=ended&tenant=acme')).body).toMatchObject({
        runs: [{ runId, tenant: 'acme', submittedBy: 'acme' }],
      })
      expect((await as('acme', '/v1/runs', { body: { pipeline: 'two', input: 'i', tenant: 'acme' } })).status).toBe(201)
      const other = await as('acme', '/v1/runs', { body: { pipeline: 'two', input: 'i', tenant: 'globex' } })
      expect([other.status, problemIn(other).path]).toEqual([403, 'tenant'])
    })

    it('sees and touches its own runs; those of others are as if there were none', async () => {
      const mine = await start('acme', { input: 'slow' })
      const others = [await start('globex', { input: 'slow' }), await start('boss', { input: 'slow' })]
      expect((await as('acme-reader', `/v1/runs/${mine}`)).status).toBe(200)
      for (const who of ['acme', 'acme-reader', 'globex']) {
        const unknown = who === 'globex' ? [mine, others[1]!] : others
        for (const [runId, path, method] of unknown.flatMap((runId) => [
          [runId, '', 'GET'] as const,
          [runId, '/events', 'GET'] as const,
          ...(who === 'acme-reader'
            ? []
            : ([
                [runId, '/interrupts', 'POST'],
                [runId, '', 'DELETE'],
              ] as const)),
        ])) {
          const answered = await as(who, `/v1/runs/${runId}${path}`, { method })
          const never = await as(who, `/v1/runs/nosuch${path}`, { method })
          expect([who, path, method, answered.status]).toEqual([who, path, method, 404])
          expect(JSON.stringify(answered.body).replaceAll(runId, 'nosuch')).toBe(JSON.stringify(never.body))
        }
      }
      // Nothing happened to them.
      for (const runId of others)
        expect((await as('boss', `/v1/runs/${runId}`)).body).toMatchObject({ status: 'running' })
      for (const who of ['acme', 'acme-reader']) {
        const found = await listed(who)
        expect(found).toContain(mine)
        expect(found.filter((runId) => others.includes(runId))).toEqual([])
        expect((await as(who, '/v1/runs?tenant=globex')).status).toBe(403)
      }
      expect(await listed('boss')).toEqual(expect.arrayContaining([mine, ...others]))
      for (const path of ['/v1/nodes', '/metrics']) expect((await as('globex', path)).status).toBe(403)
      for (const runId of [mine, ...others])
        expect((await as('boss', `/v1/runs/${runId}`, { method: 'DELETE' })).status).toBe(202)
    })

    it('streams what it submits', async () => {
      const response = await fetch(`${api.url}/v1/runs`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/x-ndjson',
          authorization: `Bearer ${tokenOf('acme')}`,
        },
        body: JSON.stringify({ pipeline: 'one', input: 'i' }),
      })
      expect(tokensOf(await eventsOf(response))).toBe('secret answer')
    })
  })

  it('refuses two Authorization headers, the right one among them', async () => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    const header = (who: string) => `Authorization: Bearer ${tokenOf(who)}\r\n`
    socket.write(`GET /v1/runs HTTP/1.1\r\nHost: x\r\n${header('boss')}${header('reader')}Connection: close\r\n\r\n`)
    const answer = await text(socket)
    expect(answer).toMatch(/^HTTP\/1.1 400 [\s\S]*application\/problem\+json/)
    expect(answer).not.toContain('0123456789abcdef')
  })
})
