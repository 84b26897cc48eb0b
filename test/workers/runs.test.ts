import { describe, expect, it } from 'vitest'
import type { RunEvent } from '../../src/core/event.ts'
import { recordSchema } from '../../src/core/record.ts'
import type { FleetClient } from '../../src/workers/fleet-client.ts'
import { RunReader, told, WINDOW_EVENTS } from '../../src/workers/run-reader.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { pause, until } from '../fixtures/until.ts'

const twoStages = (policy: unknown) =>
  pipelineFrom({
    name: 'two',
    stages: [
      { id: 'draft', model: 'scripted', prompt: 'draft {{ input }}', policy },
      { id: 'refine', model: 'scripted', prompt: 'refine {{ draft.output }}|{{ interrupt.input }}' },
    ],
  })
const script = ({ stage }: { stage: string }) =>
  stage === 'draft'
    ? { tokens: Array.from({ length: 30 }, (_, index) => `d${index} `), firstTokenMs: 10, tokenMs: 10, abortMs: 2 }
    : { tokens: ['r0 ', 'r1'], firstTokenMs: 5, tokenMs: 5 }

const fleet = withFleet()

describe('a run over queues', () => {
  it('gives the record and the events that a run in one process gives', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n1', script })
    const client = await fleet.client()
    const { runId } = await client.submit(twoStages({ trigger: { tokens: 5 }, response: 'abort', carry: 'all' }), {
      input: 'i',
    })
    const events: RunEvent[] = []
    for await (const event of client.events(runId)) events.push(event)
    const { record, status } = await client.read(runId)
    expect(status).toBe('ended')
    expect(recordSchema.parse(record)).toEqual(record)
    expect(record).toMatchObject({ outcome: 'completed', output: 'r0 r1' })
    expect(record!.stages.map(({ settlement, node }) => [settlement, node])).toEqual([
      ['aborted', 'n1'],
      ['completed', 'n1'],
    ])
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    const [interrupt] = record!.interrupts
    expect(interrupt!.phases.map(({ name }) => name)).toEqual(expect.arrayContaining(['settle', 'queue']))
    const sum = interrupt!.phases.reduce((total, { ms }) => total + Math.round(ms * 1e6), 0)
    expect(sum).toBe(Math.round(interrupt!.toFirstTokenMs! * 1e6))
    // The next stage was asked with what had come of the first.
    const told = events
      .flatMap((event) => (event.type === 'token' && event.stage === 'draft' ? event.text : []))
      .join('')
    expect(fleet.asked[1]!.messages.at(-1)!.content).toBe(`refine ${told}|`)
  })

  it('takes a signal from any process and answers it with what was decided', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n1', script })
    const [client, other] = [await fleet.client(), await fleet.client()]
    const { runId } = await client.submit(twoStages({ response: 'abort' }), { input: 'i' })
    for await (const event of client.events(runId)) if (event.type === 'token') break
    expect(await other.interrupt(runId, { input: 'now' })).toMatchObject({ accepted: true, decision: 'abort' })
    await client.ended(runId)
    const { record } = await client.read(runId)
    expect(record!.interrupts).toMatchObject([{ trigger: 'signal', input: 'now', decision: 'abort' }])
    expect(fleet.asked[1]!.messages.at(-1)!.content).toMatch(/\|now$/)
    expect(await other.interrupt(runId)).toMatchObject({ accepted: false, code: 'CAESURA_E_RUN_ENDED' })
  })

  it('tells whole characters of a worker whose model cuts them in two', async () => {
    await fleet.pipelines()
    const tokens = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? 'a\ud83d' : '\ude00'))
    await fleet.node({ name: 'n1', script: { tokens: [...tokens, '\ud83d'], firstTokenMs: 5, tokenMs: 5 } })
    const client = await fleet.client()
    const { runId } = await client.submit(twoStages({ trigger: 'never' }), { input: 'i' })
    const said: string[] = []
    for await (const event of client.events(runId)) {
      if (event.type === 'token' && event.stage === 'refine') said.push(event.text)
    }
    expect(said.every((text) => text.isWellFormed())).toBe(true)
    const whole = `${'a😀'.repeat(10)}\uFFFD`
    expect(said.join('')).toBe(whole)
    const { record } = await client.read(runId)
    expect(record).toMatchObject({ output: whole, stages: [{ tokens: { generated: 21 } }, { text: whole }] })
    expect(fleet.asked[1]!.messages.at(-1)!.content).toBe(`refine ${whole}|`)
  })

  it('starts once what is submitted twice', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n1' })
    const client = await fleet.client()
    const pipeline = twoStages({ trigger: 'never' })
    const answers = await Promise.all([1, 2, 3].map(() => client.submit(pipeline, { input: 'i', runId: 'one' })))
    expect(answers.filter(({ isNew }) => isNew)).toHaveLength(1)
    await client.ended('one')
    expect(fleet.asked.map(({ callId }) => callId)).toEqual(['draft.1', 'refine.1'])
    await expect(client.submit(pipeline, { input: 'i', runId: 'a:b' })).rejects.toMatchObject({
      code: 'CAESURA_E_USAGE',
    })
  })

  it('never starts a call that was cancelled while it waited in a queue', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n1', script })
    const client = await fleet.client()
    const pipeline = twoStages({ trigger: 'never' })
    const first = await client.submit(pipeline, { input: 'first' })
    for await (const event of client.events(first.runId)) if (event.type === 'token') break
    // The one slot is taken: this one waits.
    const second = await client.submit(pipeline, { input: 'second' })
    const { client: raw, keys } = client.redis
    await until(async () => (await raw.hget(keys.call(second.runId, 'draft.1'), 'status')) === 'waiting')
    expect(await client.cancel(second.runId, 'enough')).toBe(true)
    await client.cancel(second.runId, 'twice')
    await client.ended(second.runId)
    expect((await client.read(second.runId)).record).toMatchObject({ outcome: 'cancelled', cancelReason: 'enough' })
    await client.ended(first.runId)
    // A third one goes through the same queue behind it.
    const third = await client.submit(pipeline, { input: 'third' })
    await client.ended(third.runId)
    expect(fleet.asked.filter(({ runId }) => runId === second.runId)).toEqual([])
    expect(await client.cancel(second.runId)).toBe(false)
  })

  it('is read from any event on, and by a reader that comes after the end', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n1', script })
    const client = await fleet.client()
    const { runId } = await client.submit(twoStages({ trigger: 'never' }), { input: 'i' })
    const whole: RunEvent[] = []
    for await (const event of client.events(runId)) whole.push(event)
    const late: RunEvent[] = []
    for await (const event of (await fleet.client()).events(runId, 7)) late.push(event)
    expect(late).toEqual(whole.slice(7))
    await expect(client.events('unknown').next()).rejects.toMatchObject({ code: 'CAESURA_E_RUN_UNKNOWN' })
    await expect(client.read('unknown')).rejects.toMatchObject({ code: 'CAESURA_E_RUN_UNKNOWN' })
  })

  it('waits for a node that has the model, and says so when none comes', async () => {
    await fleet.pipelines()
    const client = await fleet.client()
    const { runId } = await client.submit(twoStages({ trigger: 'never' }), { input: 'i' })
    for await (const event of client.events(runId)) if (event.type === 'stage-start') break
    await fleet.node({ name: 'late', script })
    await client.ended(runId)
    expect((await client.read(runId)).record).toMatchObject({ outcome: 'completed' })
  })
})

describe('a slow reader', () => {
  const token = (seq: number, text = 'x') =>
    ({ seq, runId: 'slow', ms: 0, type: 'token', stage: 's', callId: 's.1', text }) as const
  const keep = async (client: FleetClient, events: readonly RunEvent[]) => {
    const { client: raw, keys } = client.redis
    const all = raw.pipeline()
    for (const event of events) all.xadd(keys.events('slow'), `${event.seq}-0`, 'e', JSON.stringify(event))
    await all.hset(keys.run('slow'), { status: 'live', seq: events.at(-1)!.seq }).exec()
  }

  it('holds a few events here, however many come, and gets all of them in order', async () => {
    const client = await fleet.client()
    const slow = new RunReader(client.redis, 'slow', 0)
    const all: RunEvent[] = Array.from({ length: 3000 }, (_, index) => token(index + 1))
    await keep(client, [...all, { seq: 3001, runId: 'slow', ms: 0, type: 'run-end', outcome: 'completed' }])
    for (let from = 0; from < 3000; from += 50) {
      slow.take(told(all.slice(from, from + 50)))
      expect(slow.held).toBeLessThanOrEqual(WINDOW_EVENTS)
    }
    const seen: number[] = []
    for await (const { seq } of slow.events()) {
      seen.push(seq)
      expect(slow.held).toBeLessThanOrEqual(WINDOW_EVENTS)
    }
    expect(seen).toEqual(Array.from({ length: 3001 }, (_, index) => index + 1))
    await client.redis.client.del(client.redis.keys.events('slow'), client.redis.keys.run('slow'))
  })

  it('holds no more of long ones than there is room for', async () => {
    const client = await fleet.client()
    const slow = new RunReader(client.redis, 'slow', 0)
    const all: RunEvent[] = Array.from({ length: 30 }, (_, index) => token(index + 1, 'x'.repeat(100_000)))
    await keep(client, [...all, { seq: 31, runId: 'slow', ms: 0, type: 'run-end', outcome: 'completed' }])
    slow.catchUp()
    const seen: number[] = []
    for await (const { seq } of slow.events()) {
      seen.push(seq)
      expect(slow.held).toBeLessThanOrEqual(1)
      await pause(2)
    }
    expect(seen).toHaveLength(31)
    await client.redis.client.del(client.redis.keys.events('slow'), client.redis.keys.run('slow'))
  })
})
