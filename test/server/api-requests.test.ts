import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../../src/app/fleet-serving.ts'
import { MOST_INPUT_CHARACTERS } from '../../src/core/caller-input.ts'
import { problemSchema } from '../../src/server/api/problem.ts'
import { until } from '../fixtures/until.ts'
import { type Answered, ask, problemIn, startRun } from './api-fixture.ts'
import { type Site, sites } from './sites.ts'

describe.each(sites)('where %s hosts the runs,', (_, open) => {
  let site: Site
  let api: Api
  beforeAll(async () => {
    site = await open({ script: { tokens: ['a ', 'b'], firstTokenMs: 5, tokenMs: 5 } })
    api = await site.api({ allowInline: true, times: { arrivalMs: 500 } })
  })
  afterAll(() => site.close())

  const run = { pipeline: 'two', input: 'i' }
  const expectProblem = (answered: Answered, status: number) => {
    expect(answered.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(problemSchema.parse(answered.body)).toMatchObject({ status })
    expect(answered.status).toBe(status)
  }

  describe('what is malformed is refused with a problem that says where', () => {
    const bodies: [what: string, body: unknown, path: string | undefined][] = [
      ['JSON that is cut off', '{"pipeline":', undefined],
      ['no mapping', '[]', undefined],
      ['a forbidden key', '{"__proto__":{"a":1},"pipeline":"two","input":"i"}', undefined],
      ['nothing', '', undefined],
      ['a key that is not known', { ...run, inputs: 'i' }, 'inputs'],
      ['no pipeline', { input: 'i' }, 'pipeline'],
      ['a pipeline that is neither name nor mapping', { ...run, pipeline: 5 }, 'pipeline'],
      ['an unknown pipeline', { ...run, pipeline: 'tow' }, 'pipeline'],
      ['no input', { pipeline: 'two' }, 'input'],
      ['blank input', { ...run, input: ' ' }, 'input'],
      ['a variable that is no text', { ...run, vars: { a: 1 } }, 'vars.a'],
      ['a variable with no name', { ...run, vars: { 'a b': 'c' } }, 'vars["a b"]'],
      ['an id with other characters', { ...run, runId: 'a b' }, 'runId'],
      ['a tenant with other characters', { ...run, tenant: 'a b' }, 'tenant'],
      ['a priority below 0', { ...run, priority: -1 }, 'priority'],
      ['a signal without a moment', { ...run, signals: [{}] }, 'signals[0]'],
      ['an interrupt of no stage', { ...run, interrupts: [{ afterMs: 1, stage: 'x' }] }, 'interrupts[0].stage'],
      ['interrupts under both names', { ...run, interrupts: [], signals: [] }, 'signals'],
      ['a signal with two', { ...run, signals: [{ afterMs: 1, afterTokens: 1 }] }, 'signals[0]'],
      ['a signal of no stage', { ...run, signals: [{ afterMs: 1, stage: 'drft' }] }, 'signals[0].stage'],
      ['a cancel on disconnect without a stream', { ...run, cancelOnDisconnect: true }, 'cancelOnDisconnect'],
      ['deep nesting', `{"pipeline":"two","input":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, 'input'],
      ['a deep pipeline', `{"pipeline":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)},"input":"i"}`, 'name'],
    ]
    it.each(bodies)('%s', async (_, body, path) => {
      const answered = await ask(`${api.url}/v1/runs`, { body })
      expectProblem(answered, 400)
      expect(problemIn(answered).path).toBe(path)
    })

    it.each([
      ['?limit=0', 'limit'],
      ['?limit=501', 'limit'],
      ['?limit=1&limit=2', 'limit'],
      ['?status=dead', 'status'],
      ['?cursor=2-0', 'cursor'],
      ['?outcome=', 'outcome'],
      ['?nothing=1', 'nothing'],
    ])('GET /v1/runs%s', async (query, path) => {
      const answered = await ask(`${api.url}/v1/runs${query}`)
      expectProblem(answered, 400)
      expect(problemIn(answered).path).toBe(path)
    })

    it('several faults at once', async () => {
      const answered = await ask(`${api.url}/v1/runs`, { body: { pipeline: 'two', priority: 'x' } })
      expect(problemIn(answered).errors?.map(({ path }) => path)).toEqual(['input', 'priority'])
    })

    it('a key that is none', async () => {
      for (const key of ['a b', 'x'.repeat(256)]) {
        expectProblem(await ask(`${api.url}/v1/runs`, { body: run, headers: { 'idempotency-key': key } }), 400)
      }
    })
  })

  describe('what is not there', () => {
    it('404 for a run and for a path', async () => {
      for (const id of ['unknown', 'no.such', 'x'.repeat(101), '%00', '..%2f']) {
        for (const [path, method] of [
          ['', 'GET'],
          ['', 'DELETE'],
          ['/events', 'GET'],
          ['/interrupts', 'POST'],
        ] as const) {
          const answered = await ask(`${api.url}/v1/runs/${id}${path}`, { method })
          expectProblem(answered, 404)
          expect(problemIn(answered).code).toBe('CAESURA_E_RUN_UNKNOWN')
        }
      }
      for (const path of ['/', '/v1', '/v1/runs/a/b', '/v2/runs', '/v1/runs/']) {
        expect((await ask(`${api.url}${path}`)).status).toBe(404)
      }
    })

    it('405 says which methods there are', async () => {
      for (const [path, method, allow] of [
        ['/v1/runs', 'PUT', 'POST, GET, HEAD'],
        ['/v1/runs/a', 'POST', 'GET, HEAD, DELETE'],
        ['/v1/runs/a/events', 'HEAD', 'GET'],
        ['/v1/runs/a/interrupts', 'GET', 'POST'],
        ['/healthz', 'OPTIONS', 'GET, HEAD'],
      ]) {
        const answered = await ask(`${api.url}${path}`, { method: method! })
        expect([answered.status, answered.headers.get('allow')]).toEqual([405, allow])
      }
    })

    it('406 and 415', async () => {
      const runId = await startRun(api)
      expectProblem(await ask(`${api.url}/v1/runs/${runId}/events`, { headers: { accept: 'text/html' } }), 406)
      const refused = { ...run, runId: 'refused' }
      expectProblem(await ask(`${api.url}/v1/runs`, { body: refused, headers: { accept: 'image/png' } }), 406)
      expectProblem(await ask(`${api.url}/v1/runs`, { body: refused, headers: { 'content-type': 'text/plain' } }), 415)
      expect((await ask(`${api.url}/v1/runs/refused`)).status).toBe(404)
    })

    it('events that have not come yet', async () => {
      const runId = await startRun(api)
      expectProblem(await ask(`${api.url}/v1/runs/${runId}/events?after=100000`), 400)
      const headers = { 'last-event-id': 'x' }
      expectProblem(await ask(`${api.url}/v1/runs/${runId}/events`, { headers }), 400)
    })
  })

  describe('limits', () => {
    it('413 for a body above the limit', async () => {
      expectProblem(await ask(`${api.url}/v1/runs`, { body: { ...run, input: 'x'.repeat(1024 * 1024) } }), 413)
      const small = await site.api({ bodyBytes: 100 })
      expect((await ask(`${small.url}/v1/runs`, { body: run })).status).toBe(201)
      expectProblem(await ask(`${small.url}/v1/runs`, { body: { ...run, input: 'x'.repeat(100) } }), 413)
      await small.close()
    })

    it.each([
      [
        'a body that does not come to its end',
        'POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
        408,
      ],
      ['headers that do not', 'GET /healthz HTTP/1.1\r\nHost: loc', 408],
      ['what is no HTTP', 'HELLO\r\n\r\n', 400],
      ['too many headers', `GET /healthz HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ])('%s', async (_, request, status) => {
      const { port } = new URL(api.url)
      const socket = connect(Number(port), '127.0.0.1')
      socket.write(request)
      const answer = await text(socket)
      expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*application/problem\\+json`))
      const problem = problemSchema.parse(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))))
      expect(problem.status).toBe(status)
    })

    it('429 with Retry-After above the rate, each token by itself', async () => {
      const tokens = ['token-number-one-1', 'token-number-two-2']
      const limited = await site.api({ tokens, rate: 3 })
      const send = (token: string) => ask(`${limited.url}/v1/nodes`, { headers: { authorization: `Bearer ${token}` } })
      const answers = await Promise.all(Array.from({ length: 10 }, () => send(tokens[0]!)))
      const refused = answers.filter(({ status }) => status === 429)
      expect(refused.length).toBeGreaterThan(0)
      expectProblem(refused[0]!, 429)
      expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThan(0)
      expect((await send(tokens[1]!)).status).toBe(200)
      // Whoever guesses is held up as well; who looks after the process is not.
      const guesses = await Promise.all(Array.from({ length: 10 }, () => send('a-token-that-is-none')))
      expect(new Set(guesses.map(({ status }) => status))).toEqual(new Set([401, 429]))
      const looks = await Promise.all(Array.from({ length: 10 }, () => ask(`${limited.url}/healthz`)))
      expect(looks.every(({ status }) => status === 200)).toBe(true)
      await limited.close()
    })
  })

  describe('who may ask', () => {
    it('whoever has one of the tokens', async () => {
      const tokens = ['token-number-one-1', 'token-number-two-2']
      const closed = await site.api({ tokens })
      const send = (authorization?: string, path = '/v1/runs') =>
        ask(`${closed.url}${path}`, authorization === undefined ? {} : { headers: { authorization } })
      for (const token of tokens) expect((await send(`Bearer ${token}`)).status).toBe(200)
      for (const wrong of [
        undefined,
        `Bearer ${tokens[0]}x`,
        `Basic ${tokens[0]}`,
        'Bearer',
        `Bearer ${tokens[0]!.slice(1)}`,
      ]) {
        const answered = await send(wrong)
        expectProblem(answered, 401)
        expect(answered.headers.get('www-authenticate')).toMatch(/^Bearer/)
        expect(problemIn(answered).code).toBe('CAESURA_E_AUTH')
      }
      expect((await send(undefined, '/nothing')).status).toBe(401)
      expect((await send(undefined, '/metrics')).status).toBe(401)
      for (const path of ['/healthz', '/readyz', '/openapi.json'])
        expect((await send(undefined, path)).status).toBe(200)
      await closed.close()
    })

    it('no page of another origin, unless it is told of', async () => {
      const page = { origin: 'https://page.example' }
      expectProblem(await ask(`${api.url}/v1/runs`, { headers: page }), 403)
      const open = await site.api({ cors: [page.origin] })
      const read = await ask(`${open.url}/v1/runs`, { headers: page })
      expect([read.status, read.headers.get('access-control-allow-origin')]).toEqual([200, page.origin])
      const preflight = await ask(`${open.url}/v1/runs/a`, {
        method: 'OPTIONS',
        headers: { ...page, 'access-control-request-method': 'DELETE' },
      })
      expect([preflight.status, preflight.headers.get('access-control-allow-methods')]).toEqual([
        204,
        'GET, HEAD, POST, DELETE',
      ])
      expectProblem(await ask(`${open.url}/v1/runs`, { headers: { origin: 'https://other.example' } }), 403)
      await open.close()
    })

    it('no preflight that is none, and none of another origin: each as a problem', async () => {
      const page = 'https://page.example'
      const open = await site.api({ cors: [page] })
      const asked = { 'access-control-request-method': 'POST' }
      const send = (headers: Record<string, string>, path = '/v1/runs', url = open.url) =>
        ask(`${url}${path}`, { method: 'OPTIONS', headers })
      expectProblem(await send({ origin: page }), 400)
      expectProblem(await send(asked), 400)
      expectProblem(await send({}), 400)
      expectProblem(await send({ ...asked, origin: 'https://other.example' }), 403)
      expectProblem(await send({ ...asked, origin: 'https://other.example' }, '/nothing'), 403)
      expect((await send({ ...asked, origin: page }, '/v1/runs/a/interrupts')).status).toBe(204)
      // Where no page may read answers, there is nothing to ask for.
      for (const path of ['/v1/runs', '/healthz'])
        expectProblem(await send({ ...asked, origin: api.url }, path, api.url), 405)
      await open.close()
    })

    it('no input of a run, an interrupt or a variable that is longer than the library takes', async () => {
      const wide = await site.api({ bodyBytes: 8 * 1024 * 1024 })
      const long = 'a'.repeat(MOST_INPUT_CHARACTERS + 1)
      const send = (path: string, body: object) => ask(`${wide.url}${path}`, { body })
      expectProblem(await send('/v1/runs', { pipeline: 'one', input: long }), 400)
      expectProblem(await send('/v1/runs', { pipeline: 'one', input: 'i', vars: { a: long } }), 400)
      expectProblem(
        await send('/v1/runs', { pipeline: 'one', input: 'i', signals: [{ afterMs: 1, input: long }] }),
        400,
      )
      const refused = await send('/v1/runs/nobody/interrupts', { input: long })
      expectProblem(refused, 400)
      expect(refused.body).toMatchObject({ code: 'CAESURA_E_USAGE', path: 'input' })
      await wide.close()
    })

    it('no name that is not loopback, where there are no tokens', async () => {
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
      socket.write('GET /v1/runs HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n')
      expect(await text(socket)).toMatch(/^HTTP\/1.1 403 /)
    })

    it('does not listen on other addresses without tokens', async () => {
      await expect(site.api({ host: '0.0.0.0' })).rejects.toMatchObject({
        code: 'CAESURA_E_USAGE',
        exitCode: 2,
      })
      const wide = await site.api({ host: '0.0.0.0', tokens: ['token-number-one-1'] })
      await wide.close()
    })
  })

  describe('the OpenAPI document', () => {
    it('is OpenAPI 3.1, whatever the server was started with', async () => {
      for (const settings of [{ allowInline: true }, { tokens: ['token-number-one-1'] }, { pipelines: new Map() }]) {
        const server = await site.api(settings)
        const { body } = await ask(`${server.url}/openapi.json`)
        const checked = await new Validator().validate(body as Record<string, unknown>)
        expect(checked.errors ?? []).toEqual([])
        expect(checked.valid).toBe(true)
        await server.close()
      }
    })

    it('describes what is answered', async () => {
      const { body } = await ask(`${api.url}/openapi.json`)
      const document = body as { components: { schemas: Record<string, object> } }
      const ajv = new Ajv2020({ strict: false, validateFormats: false, schemas: [{ ...document, $id: 'api' }] })
      const expectValid = (name: string, value: unknown) => {
        const check = ajv.getSchema(`api#/components/schemas/${name}`)!
        expect([name, check(value), check.errors]).toEqual([name, true, null])
      }
      const runId = await startRun(api)
      expectValid('RunList', (await ask(`${api.url}/v1/runs`)).body)
      const state = () => ask(`${api.url}/v1/runs/${runId}`)
      expectValid('RecordOrState', (await state()).body)
      await until(async () => 'schema' in ((await state()).body as object))
      expectValid('Record', (await state()).body)
      expectValid('NodeList', (await ask(`${api.url}/v1/nodes`)).body)
      expectValid('Problem', (await ask(`${api.url}/v1/runs/unknown`)).body)
      expectValid('Health', (await ask(`${api.url}/healthz`)).body)
      expectValid('Ready', (await ask(`${api.url}/readyz`)).body)
      expectValid('Submitted', (await ask(`${api.url}/v1/runs`, { body: run })).body)
    })
  })
})
