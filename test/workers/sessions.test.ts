import { describe, expect, it } from 'vitest'
import { createEngine } from '../../src/app/compose.ts'
import type { TurnTaken } from '../../src/core/fleet.ts'
import type { Turn } from '../../src/core/turn.ts'
import type { FleetClient } from '../../src/workers/fleet-client.ts'
import { correctTurn } from '../../src/workers/fleet-sessions.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { until } from '../fixtures/until.ts'
import { withRedis } from '../fixtures/with-redis.ts'

const redis = withRedis()
const fleet = withFleet({ redis, isEmpty: true })
const words = (count: number, tokenMs: number) => ({ tokens: Array(count).fill('w '), firstTokenMs: 5, tokenMs })
const chat = (more: object = {}, policy: object = {}) =>
  pipelineFrom({
    name: 'chat',
    history: { turns: 50 },
    stages: [{ id: 'answer', model: 'm', prompt: '{{ input }}', policy }],
    ...more,
  })
const inputs = (turns: readonly Turn[] = []) => turns.map(({ input }) => input)
const turnsOf = async (client: FleetClient, id = 's') => (await client.session(id))?.turns
/** Resolves when the session has so many turns and all have ended. */
const settled = (client: FleetClient, count: number) =>
  until(async () => {
    const turns = (await turnsOf(client)) ?? []
    return turns.length === count && turns.every(({ end }) => end !== undefined)
  })
const began = () => until(() => fleet.asked.length > 0)

describe('a session of a fleet', () => {
  it('shows the next run what was said before', async () => {
    await fleet.node({ name: 'n', script: words(3, 1) })
    await fleet.pipelines()
    const client = await fleet.client()
    const first = await client.say(chat(), { input: 'first', session: 's', tags: { plan: 'pro' }, tenant: 't' })
    expect(first.became).toBe('run')
    await client.ended(first.runId)
    const second = await client.say(chat(), { input: 'second', session: 's', tenant: 't' })
    await client.ended(second.runId)
    expect(fleet.asked.at(-1)!.messages).toEqual([
      { role: 'user', content: 'first' },
      { role: 'assistant', content: 'w w w ' },
      { role: 'user', content: 'second' },
    ])
    const { record } = await client.read(first.runId)
    expect(record).toMatchObject({ session: 's', tags: { plan: 'pro' }, tenant: 't', input: 'first' })
    expect(await client.session('s')).toMatchObject({ tenant: 't', turns: [{ input: 'first' }, { input: 'second' }] })
  })

  it('interrupts its live run, whose next turn it is', async () => {
    await fleet.node({ name: 'n', script: words(20, 10) })
    await fleet.pipelines()
    const client = await fleet.client()
    const first = await client.say(chat(), { input: 'first', session: 's' })
    await began()
    const second = await client.say(chat(), { input: 'second', session: 's' })
    expect(second).toMatchObject({ became: 'signal', runId: first.runId })
    expect(second.became === 'signal' && (await second.answer)).toMatchObject({ accepted: true, decision: 'abort' })
    await client.ended(first.runId)
    const turns = await turnsOf(client)
    expect(turns).toMatchObject([
      { input: 'first', end: 'interrupted', runId: first.runId, number: 1 },
      { input: 'second', end: 'answered', runId: first.runId, number: 2 },
    ])
    expect((await client.list()).runs).toHaveLength(1)
  })

  it.each([
    ['a filter refused', { trigger: { signal: null, minimum: { words: 2 } } }],
    ['ended the run', { then: 'end' }],
    ['a hold took for a false one', { response: { hold: { confirm: 10 } } }],
  ])('makes an input that %s the next run', async (_, policy) => {
    await fleet.node({ name: 'n', script: words(20, 10) })
    await fleet.pipelines()
    const client = await fleet.client()
    await client.say(chat({}, policy), { input: 'first', session: 's' })
    await began()
    const second = await client.say(chat({}, policy), { input: 'second', session: 's' })
    if (second.became !== 'signal') throw new Error(second.became)
    await settled(client, 2)
    expect(inputs(await turnsOf(client))).toEqual(['first', 'second'])
    expect((await client.read(second.ownRunId)).record).toMatchObject({ outcome: 'completed', input: 'second' })
  })

  it('with busy: queue lets the live run end first, with busy: reject refuses', async () => {
    await fleet.node({ name: 'n', script: words(5, 5) })
    await fleet.pipelines()
    const client = await fleet.client()
    const pipeline = chat({ busy: 'queue' })
    const said: TurnTaken[] = []
    for (const input of ['first', 'second', 'third']) said.push(await client.say(pipeline, { input, session: 's' }))
    expect(said.map(({ became }) => became)).toEqual(['run', 'queue', 'queue'])
    await expect(client.say(pipeline, { input: 'fourth', session: 's', busy: 'reject' })).rejects.toMatchObject({
      code: 'CAESURA_E_SESSION_BUSY',
    })
    await client.ended(said[2]!.runId)
    const turns = await turnsOf(client)
    expect(turns?.map(({ input, runId, end }) => [input, runId, end])).toEqual(
      ['first', 'second', 'third'].map((input, at) => [input, said[at]!.runId, 'answered']),
    )
  })

  it('loses, doubles and reorders nothing where two processes say things at once', async () => {
    await fleet.node({ name: 'n', slots: 4, script: words(4, 5) })
    await fleet.pipelines()
    const clients = [await fleet.client(), await fleet.client()]
    const pipeline = chat({}, { trigger: { signal: null, minimum: { words: 2 } }, response: 'race' })
    const said = await Promise.all(
      clients.map(async (client, who) => {
        for (let index = 0; index < 12; index++)
          await client.say(pipeline, { input: `${who}.${index}${index % 3 === 0 ? '' : ' more'}`, session: 's' })
      }),
    )
    expect(said).toHaveLength(2)
    await settled(clients[0]!, 24)
    const turns = (await turnsOf(clients[0]!))!
    for (const who of [0, 1]) {
      const own = inputs(turns).filter((input) => input.startsWith(`${who}.`))
      expect(own.map((input) => Number.parseInt(input.slice(2), 10))).toEqual([...Array(12).keys()])
    }
    expect(new Set(turns.map(({ runId, number }) => `${runId} ${number}`)).size).toBe(24)
  })

  it('is written once, whoever goes on with its run', async () => {
    await fleet.node({ name: 'n', script: words(40, 10) })
    const worker = await fleet.pipelines()
    const client = await fleet.client()
    await client.say(chat(), { input: 'first', session: 's' })
    await began()
    const second = await client.say(chat(), { input: 'second', session: 's' })
    if (second.became === 'signal') await second.answer
    await fleet.pipelines()
    await worker.close()
    await settled(client, 2)
    expect((await turnsOf(client))!.map(({ input, number }) => [input, number])).toEqual([
      ['first', 1],
      ['second', 2],
    ])
    // Nobody had read the first answer.
    expect(fleet.asked.at(-1)!.messages).toEqual([{ role: 'user', content: 'first\n\nsecond' }])
  })

  it('goes on with what waits where whoever ended the run before gave it no ticket', async () => {
    const client = await fleet.client()
    const pipeline = chat({ busy: 'queue' })
    const first = await client.say(pipeline, { input: 'first', session: 's' })
    const second = await client.say(pipeline, { input: 'second', session: 's' })
    await client.redis.client.hset(client.redis.keys.run(first.runId), 'status', 'ended')
    expect(await client.redis.call('nextRun', second.runId, 1000)).toEqual(['ok', second.runId])
    expect(await client.redis.call('nextRun', second.runId, 1000)).toEqual(['ok', ''])
  })

  it('answers the same to an input that is said again because its answer was lost', async () => {
    const client = await fleet.client()
    const say = (runId: string) => client.say(chat(), { input: 'x', session: 's', runId })
    const [first, again] = [await say('a'), await say('a')]
    expect([first.became, again.became]).toEqual(['run', 'run'])
    await say('b')
    await say('b')
    expect(await client.redis.client.lrange(client.redis.keys.sessionWaiting('s'), 0, -1)).toEqual(['b'])
  })

  it('belongs to one tenant', async () => {
    const client = await fleet.client()
    await client.say(chat(), { input: 'x', session: 's', tenant: 'one' })
    const unknown = { code: 'CAESURA_E_SESSION_UNKNOWN' }
    await expect(client.say(chat(), { input: 'x', session: 's', tenant: 'two' })).rejects.toMatchObject(unknown)
    await expect(client.submit(chat(), { input: 'x', session: 's' })).rejects.toMatchObject(unknown)
    expect(await client.deleteSession('s', 'two')).toBe(false)
    expect(await client.session('s')).toBeDefined()
  })

  it('is deleted with what is live and what waits, and nothing of it comes back', async () => {
    await fleet.node({ name: 'n', script: words(50, 10) })
    await fleet.pipelines()
    const client = await fleet.client()
    const first = await client.say(chat(), { input: 'first', session: 's' })
    const second = await client.say(chat(), { input: 'second', session: 's', busy: 'queue' })
    await began()
    expect(await client.deleteSession('s')).toBe(true)
    await client.ended(first.runId)
    expect((await client.read(first.runId)).record?.outcome).toBe('cancelled')
    await expect(client.look(second.runId)).rejects.toMatchObject({ code: 'CAESURA_E_RUN_UNKNOWN' })
    expect(await client.session('s')).toBeUndefined()
    expect(await client.redis.client.exists(client.redis.keys.session('s'))).toBe(0)
    expect(await client.deleteSession('s')).toBe(false)
    const load = await client.redis.client.hgetall(client.redis.keys.tenants)
    expect(load).toEqual({})
  })

  it('takes back what was not heard of its last answer, until its next turn', async () => {
    await fleet.node({ name: 'n', script: words(3, 1) })
    await fleet.pipelines()
    const client = await fleet.client()
    const { runId } = await client.say(chat(), { input: 'first', session: 's' })
    await client.ended(runId)
    expect(await correctTurn(client.redis, 's', { runId, text: 'w ' })).toBe(true)
    expect(await turnsOf(client)).toMatchObject([{ input: 'first', text: 'w ', cut: true, end: 'answered' }])
    expect(await correctTurn(client.redis, 's', { runId, text: 'w w ' })).toBe(false)
    await client.ended((await client.say(chat(), { input: 'second', session: 's' })).runId)
    expect(await correctTurn(client.redis, 's', { runId, text: '' })).toBe(false)
  })

  it('expires, and its oldest turns go where it has too many bytes', async () => {
    const client = await fleet.client()
    const { keys, client: plain } = client.redis
    await client.say(chat(), { input: 'x', session: 's', runId: 'a' })
    expect(await plain.pttl(keys.session('s'))).toBeGreaterThan(6 * 24 * 3_600_000)
    const turn = (number: number) => JSON.stringify({ runId: 'a', number, input: 'x'.repeat(50), at: 1 })
    const write = (number: number) =>
      client.redis.call('appendAll', 11, 'a', 0, 0, '', 0, 'turn', number, turn(number), 60_000, 400, '')
    for (let number = 1; number <= 9; number++) await write(number)
    const numbers = (await turnsOf(client))!.map(({ number }) => number)
    expect(numbers.at(-1)).toBe(9)
    expect(numbers.length).toBeLessThan(6)
  })
})

describe("an engine's session on a fleet", () => {
  it('says, is answered in the run that saw it, and tells its turns', async () => {
    await fleet.node({ name: 'n', script: words(20, 10) })
    await fleet.pipelines()
    const engine = createEngine({ redis: fleet.redis.url })
    try {
      const session = engine.session(chat({}, { trigger: { signal: null, minimum: { words: 2 } } }), 's', {
        tags: { a: 'b' },
      })
      const first = session.say('first')
      expect(await first.became).toEqual({ kind: 'run' })
      await began()
      const [second, third] = [session.say('a second'), session.say('third')]
      expect(await second.became).toMatchObject({ kind: 'signal', isSeen: true })
      expect(await third.became).toMatchObject({ kind: 'signal', isSeen: false, answer: { accepted: false } })
      const answered = await Promise.all([first, second, third].map(async (said) => (await said.answeredIn).result))
      expect(answered.map(({ input, tags }) => [input, tags])).toEqual([
        ['first', { a: 'b' }],
        ['first', { a: 'b' }],
        ['third', { a: 'b' }],
      ])
      expect(inputs(await session.turns())).toEqual(['first', 'a second', 'third'])
      expect(await session.delete()).toBe(true)
      expect(await session.turns()).toEqual([])
    } finally {
      await engine.close()
    }
  })
})
