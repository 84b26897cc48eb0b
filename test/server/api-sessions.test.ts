import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../../src/app/fleet-serving.ts'
import type { Turn } from '../../src/core/turn.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { until } from '../fixtures/until.ts'
import { ask } from './api-fixture.ts'
import { type Site, sites } from './sites.ts'

const ONE = `${'1'.repeat(30)}-of-one`
const TWO = `${'2'.repeat(30)}-of-two`
const READ = `${'3'.repeat(30)}-reads`
const ADMIN = `${'4'.repeat(30)}-admin`
const stages = [{ id: 'answer', model: 'scripted', prompt: '{{ input }}' }]
const chat = pipelineFrom({ name: 'chat', history: { turns: 20 }, stages })

describe.each(sites)('sessions over HTTP, hosted by %s', (_, open) => {
  let site: Site
  let api: Api
  beforeAll(async () => {
    site = await open({
      script: ({ messages }) => ({
        tokens: Array(messages.at(-1)!.content.includes('long') ? 400 : 3).fill('w '),
        tokenMs: 5,
      }),
    })
    api = await site.api({
      pipelines: new Map([['chat', chat]]),
      tokens: [
        { token: ONE, role: 'run', tenant: 'one' },
        { token: TWO, role: 'run', tenant: 'two' },
        { token: READ, role: 'read', tenant: 'one' },
        { token: ADMIN, role: 'admin' },
      ],
    })
  })
  afterAll(() => site?.close())

  const as = (token: string) => ({ authorization: `Bearer ${token}` })
  const say = (session: string, body: object, token = ONE) =>
    ask(`${api.url}/v1/sessions/${session}/turns`, { body: { pipeline: 'chat', ...body }, headers: as(token) })
  const look = (session: string, token = ONE) => ask(`${api.url}/v1/sessions/${session}`, { headers: as(token) })
  const turnsOf = async (session: string) =>
    (await look(session)).body as { session: string; tenant: string; turns: Turn[] }
  const settled = (session: string, count: number) =>
    until(async () => {
      const { turns = [] } = await turnsOf(session)
      return turns.length === count && turns.every(({ end }) => end !== undefined)
    })

  it('begins a run with an input, and shows the next one what was said', async () => {
    const first = await say('a', { input: 'first', tags: { plan: 'pro' } })
    expect(first).toMatchObject({ status: 201, body: { became: 'run', pipeline: 'chat' } })
    const { runId } = first.body as { runId: string }
    expect(first.headers.get('location')).toBe(`/v1/runs/${runId}`)
    await settled('a', 1)
    await say('a', { input: 'second' })
    await settled('a', 2)
    expect(site.asked.at(-1)!.messages.map(({ content }) => content)).toEqual(['first', 'w w w ', 'second'])
    expect(await turnsOf('a')).toMatchObject({
      session: 'a',
      tenant: 'one',
      turns: [
        { runId, number: 1, input: 'first', text: 'w w w ', end: 'answered' },
        { number: 1, input: 'second' },
      ],
    })
    const record = await ask(`${api.url}/v1/runs/${runId}`, { headers: as(ONE) })
    expect(record.body).toMatchObject({ session: 'a', tags: { plan: 'pro' }, tenant: 'one', input: 'first' })
  })

  it('is a signal to the live run, whose next turn it is', async () => {
    const first = await say('b', { input: 'long' })
    const { runId } = first.body as { runId: string }
    await until(async () => site.asked.some((each) => each.runId === runId))
    const second = await say('b', { input: 'second' })
    expect(second).toMatchObject({ status: 200, body: { runId, became: 'signal', accepted: true, decision: 'abort' } })
    await settled('b', 2)
    expect((await turnsOf('b')).turns).toMatchObject([
      { input: 'long', end: 'interrupted', runId },
      { input: 'second', end: 'answered', runId },
    ])
    const { ownRunId } = second.body as { ownRunId: string }
    expect((await ask(`${api.url}/v1/runs/${ownRunId}`, { headers: as(ONE) })).status).toBe(404)
  })

  it('waits with busy: queue, is refused with busy: reject', async () => {
    await say('c', { input: 'long' })
    const second = await say('c', { input: 'second', busy: 'queue' })
    expect(second).toMatchObject({ status: 201, body: { became: 'queue' } })
    expect(await say('c', { input: 'third', busy: 'reject' })).toMatchObject({
      status: 409,
      body: { code: 'CAESURA_E_SESSION_BUSY' },
    })
    const { runId } = second.body as { runId: string }
    expect(await ask(`${api.url}/v1/runs/${runId}`, { headers: as(ONE) })).toMatchObject({
      body: { status: 'waiting' },
    })
    await settled('c', 2)
    expect((await turnsOf('c')).turns.map(({ input }) => input)).toEqual(['long', 'second'])
  })

  it('is of one tenant: to another there is none', async () => {
    await say('d', { input: 'first' })
    await settled('d', 1)
    const unknown = { status: 404, body: { code: 'CAESURA_E_SESSION_UNKNOWN' } }
    expect(await look('d', TWO)).toMatchObject(unknown)
    expect(await say('d', { input: 'second' }, TWO)).toMatchObject(unknown)
    expect(await ask(`${api.url}/v1/sessions/d`, { method: 'DELETE', headers: as(TWO) })).toMatchObject(unknown)
    const run = { pipeline: 'chat', input: 'x', session: 'd' }
    expect(await ask(`${api.url}/v1/runs`, { body: run, headers: as(TWO) })).toMatchObject(unknown)
    expect(await look('d', ADMIN)).toMatchObject({ status: 200 })
    expect(await say('d', { input: 'second' }, ADMIN)).toMatchObject({ status: 201 })
    await settled('d', 2)
  })

  it('has no texts for a token that may only read, where texts are not kept', async () => {
    await say('e', { input: 'first' })
    await settled('e', 1)
    const { body } = await look('e', READ)
    expect(body).toMatchObject({ turns: [{ number: 1, end: 'answered' }] })
    expect(JSON.stringify(body)).not.toMatch(/first|w w/)
    expect((await say('e', { input: 'x' }, READ)).status).toBe(403)
  })

  it('is deleted, with what is live in it', async () => {
    const first = await say('f', { input: 'long' })
    const { runId } = first.body as { runId: string }
    await until(async () => site.asked.some((each) => each.runId === runId))
    const deleted = await ask(`${api.url}/v1/sessions/f`, { method: 'DELETE', headers: as(ONE) })
    expect(deleted).toMatchObject({ status: 200, body: { session: 'f', deleted: true } })
    await until(async () => {
      const { body } = await ask(`${api.url}/v1/runs/${runId}`, { headers: as(ONE) })
      return (body as { outcome?: string }).outcome === 'cancelled'
    })
    expect((await look('f')).status).toBe(404)
    expect((await ask(`${api.url}/v1/sessions/f`, { method: 'DELETE', headers: as(ONE) })).status).toBe(404)
  })

  it.each([
    ['an id of 10 kB', 'x'.repeat(10_000), { input: 'x' }, 400, 'the session cannot be used'],
    ['an id of spaces', '%20', { input: 'x' }, 400, 'the session cannot be used'],
    ['busy: maybe', 'g', { input: 'x', busy: 'maybe' }, 400, 'busy must be interrupt, queue or reject'],
    ['no input', 'g', {}, 400, 'input is missing'],
    ['a pipeline that there is not', 'g', { input: 'x', pipeline: 'cha' }, 400, 'no pipeline of this name'],
    ['another tenant', 'g', { input: 'x', tenant: 'two' }, 403, 'the token is of another tenant'],
    ['an unknown key', 'g', { input: 'x', bussy: 'queue' }, 400, 'bussy is not a known key'],
  ])('refuses %s', async (_name, session, body, status, said) => {
    const answered = await say(session, body)
    expect(answered.status).toBe(status)
    expect((answered.body as { detail: string }).detail).toContain(said)
  })

  it('is in the OpenAPI document', async () => {
    const { body } = await ask(`${api.url}/openapi.json`, { headers: as(ONE) })
    const { paths } = body as { paths: Record<string, Record<string, { parameters: object[] }>> }
    expect(Object.keys(paths['/v1/sessions/{session}']!)).toEqual(['get', 'delete'])
    expect(paths['/v1/sessions/{session}/turns']!.post!.parameters).toMatchObject([{ name: 'session', in: 'path' }])
  })
})
