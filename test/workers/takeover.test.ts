import { describe, expect, it } from 'vitest'
import type { RunEvent } from '../../src/core/event.ts'
import { each, withFleet } from '../fixtures/fleet.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { until } from '../fixtures/until.ts'

const tokens = Array.from({ length: 30 }, (_, index) => `d${index}${index % 5 === 4 ? '. ' : ' '}`)
const script = ({ stage }: { stage: string }) =>
  stage === 'draft'
    ? { tokens, firstTokenMs: 20, tokenMs: 10, abortMs: 2 }
    : { tokens: ['r0 ', 'r1'], firstTokenMs: 20, tokenMs: 10 }

const pipelineOf = (policy: unknown) =>
  pipelineFrom({
    name: 'two',
    stages: [
      { id: 'draft', model: 'scripted', prompt: 'draft {{ input }}', policy },
      { id: 'refine', model: 'scripted', prompt: 'refine {{ draft.output }}|{{ interrupt.input }}' },
    ],
  })

const fleet = withFleet()

/** The text that a reader of these events was told of a call. */
const toldOf = (events: readonly RunEvent[], callId: string) =>
  events.flatMap((event) => (event.type === 'token' && event.callId === callId ? event.text : [])).join('')

describe('a run whose owner stops', () => {
  for (const [name, policy, settlement] of [
    ['that drains', { trigger: 'never' }, 'completed'],
    ['that is cut short by a timer', { trigger: { after: 200 }, response: 'abort', carry: 'all' }, 'aborted'],
    ['that is cut short by a token', { trigger: { tokens: 12 }, response: 'abort', carry: 'all' }, 'aborted'],
    ['with a deadline', { trigger: { tokens: 6 }, response: { grace: 120 }, carry: 'sentences' }, 'aborted'],
    ['held and let go on', { trigger: { tokens: 6 }, response: { hold: { confirm: 100 } } }, 'completed'],
  ] as const) {
    it(`goes on elsewhere without a gap, without a second call: ${name}`, async () => {
      const client = await fleet.client()
      await fleet.node({ name: 'n1', script })
      let owner = await fleet.pipelines()
      const { runId } = await client.submit(pipelineOf(policy), { input: 'i' })
      const events: RunEvent[] = []
      const reading = (async () => {
        for await (const event of client.events(runId)) events.push(event)
      })()
      // In the queue, in the prefill, in the answer, around the interrupt, in the next stage.
      for (const more of [1, 3, 6, 4, 8, 6]) {
        const seen = events.length
        const latest = performance.now() + 150
        await until(() => events.length >= seen + more || performance.now() > latest)
        const next = await fleet.pipelines()
        await owner.close()
        owner = next
      }
      await reading
      const { record } = await client.read(runId)
      expect(record).toMatchObject({ outcome: 'completed', output: 'r0 r1' })
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
      expect(fleet.asked.map(({ callId }) => callId)).toEqual(['draft.1', 'refine.1'])
      const [draft, refine] = record!.stages
      // While nobody owns the run, its call goes on: it may have ended before the interrupt reaches it.
      expect([settlement, 'drained']).toContain(draft!.settlement)
      expect(toldOf(events, 'draft.1')).toBe(draft!.text)
      expect(tokens.join('').startsWith(draft!.text!)).toBe(true)
      if (draft!.settlement !== 'aborted') expect(draft!.text).toBe(tokens.join(''))
      expect(toldOf(events, 'refine.1')).toBe(refine!.text)
      expect(record!.interrupts.filter(({ superseded }) => !superseded).length).toBeLessThanOrEqual(1)
      for (const { phases, toFirstTokenMs = 0 } of record!.interrupts) {
        expect(phases.reduce((sum, { ms }) => sum + Math.round(ms * 1e6), 0)).toBe(Math.round(toFirstTokenMs * 1e6))
      }
    })
  }

  it('answers a signal that the owner before took', async () => {
    const client = await fleet.client()
    // However busy the machine is, it must not have said all before the debounce is over.
    await fleet.node({ name: 'n1', script: (request) => ({ ...script(request), tokenMs: 100 }) })
    const owner = await fleet.pipelines()
    const policy = { trigger: { signal: null, debounce: 300 }, response: 'abort' }
    const { runId } = await client.submit(pipelineOf(policy), { input: 'i' })
    for await (const event of client.events(runId)) if (event.type === 'token') break
    const answer = client.interrupt(runId, { input: 'now' })
    // The owner has taken it, and has written that.
    const { client: raw, keys } = client.redis
    await until(async () => /"signals":1\b/.test((await raw.hget(keys.run(runId), 'state')) ?? ''))
    await fleet.pipelines()
    await owner.close()
    expect(await answer).toMatchObject({ accepted: true, decision: 'abort' })
    await client.ended(runId)
  })

  it('takes the signals that came while nobody owned it', async () => {
    const client = await fleet.client()
    await fleet.node({ name: 'n1', script })
    const owner = await fleet.pipelines()
    const { runId } = await client.submit(pipelineOf({ response: 'abort' }), { input: 'i' })
    for await (const event of client.events(runId)) if (event.type === 'token') break
    await owner.close()
    const answer = client.interrupt(runId, { input: 'now' })
    const { client: raw, keys } = client.redis
    await until(async () => (await raw.xlen(keys.signals(runId))) === 1)
    await fleet.pipelines()
    expect(await answer).toMatchObject({ accepted: true, decision: 'abort' })
    await client.ended(runId)
    expect(fleet.asked.at(-1)!.messages.at(-1)!.content).toMatch(/\|now$/)
  })
})

describe('what an older owner or a lost worker still writes', () => {
  it('is refused: state, events, news of calls', async () => {
    const client = await fleet.client()
    await fleet.node({ name: 'n1', script })
    await fleet.pipelines()
    const { runId } = await client.submit(pipelineOf({ trigger: 'never' }), { input: 'i' })
    for await (const event of client.events(runId)) if (event.type === 'token') break
    const { call } = client.redis
    const event = JSON.stringify({ seq: 3, runId, ms: 0, type: 'output-withdraw', stage: 'draft', callId: 'draft.1' })
    expect(await each(client, 'appendAll', [runId, 0, 2, '', 1, event])).toEqual(['older', '1'])
    const news = JSON.stringify([['token', 0, 'zombie']])
    expect(await each(client, 'tellAll', [runId, 'draft.1', 'a lost claim', news, '0', 2])).toEqual(['refused'])
    expect((await call('claimRun', runId, 1, 'another inbox', 3, 6, '0'))[0]).toBe('older')
    await client.ended(runId)
    expect((await client.read(runId)).record).toMatchObject({ outcome: 'completed', output: 'r0 r1' })
  })

  it('is written once, though it is sent twice', async () => {
    const client = await fleet.client()
    const { call, client: raw, keys } = client.redis
    await call('submit', 'twice', '{}', 1, '')
    await call('claimRun', 'twice', 1, 'inbox', 3, 6, '0')
    await each(client, 'appendAll', ['twice', 1, 0, 'state', 0, 'open', 'c.1', '{}', 'q', '', 'm'])
    const lost = '[["end",{"end":"failed"}]]'
    expect(await call('claimCall', 'twice', 'c.1', 'claim', 'q', 'n', lost, 'w', '')).toEqual(['ok', '{}'])
    expect(await call('claimCall', 'twice', 'c.1', 'claim', 'q', 'n', lost, 'w', '')).toEqual(['ok', '{}'])
    for (const _ of [1, 2]) await each(client, 'tellAll', ['twice', 'c.1', 'claim', '[["token",1,"x"]]', '0', 0])
    expect(await raw.xlen(keys.news('twice', 'c.1'))).toBe(1)
    for (const _ of [1, 2]) await call('signal', 'twice', '["interrupt"]', 'same', '')
    expect(await raw.xlen(keys.signals('twice'))).toBe(1)
    // Another worker finds the call taken: its worker must be gone, so it ends as failed, once.
    expect((await call('claimCall', 'twice', 'c.1', 'other', 'q', 'n', lost, 'w2', ''))[0]).toBe('lost')
    expect(await each(client, 'tellAll', ['twice', 'c.1', 'claim', '[["token",2,"y"]]', '0', 1])).toEqual(['ok'])
    expect(await raw.xlen(keys.news('twice', 'c.1'))).toBe(2)
  })
})
