import { describe, expect, it } from 'vitest'
import type { RunEvent } from '../../src/core/event.ts'
import type { CallScript } from '../../src/nodes/backends/scripted.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { until } from '../fixtures/until.ts'

const fleet = withFleet()

const thinking = Array.from({ length: 30 }, (_, index) => `t${index} `)
const calls = [
  { id: 'c1', name: 'status', arguments: { order: 'A-17' } },
  { name: 'refund', arguments: { cents: 5 } },
]
const tools = [
  { name: 'status', parameters: { type: 'object' } },
  { name: 'refund', parameters: {} },
]
const format = { type: 'object', properties: { allowed: { type: 'boolean' } }, required: ['allowed'] }
const photo = `data:image/png;base64,${Buffer.from('\x89PNG\r\n\x1a\nMARKER', 'latin1').toString('base64')}`

const thinker: CallScript = { thinking, tokens: ['Yes', '.'], toolCalls: calls, firstTokenMs: 20, tokenMs: 15 }
const pipelineOf = (first: object) =>
  pipelineFrom({
    name: 'two',
    stages: [
      { id: 'a', model: 'scripted', tools, prompt: 'x', policy: { trigger: 'signal', response: 'abort' }, ...first },
      {
        id: 'b',
        model: 'scripted',
        prompt: 'y {{ a.thinking | strip | truncate: 999, "" }}|{{ a.value.calls | json }}',
      },
    ],
  })
const script = ({ stage }: { stage: string }): CallScript =>
  stage === 'a' ? thinker : { tokens: ['ok'], firstTokenMs: 5 }
const told = (events: readonly RunEvent[], type: RunEvent['type']) => events.filter((event) => event.type === type)

describe('on a fleet', () => {
  it('thinking and tool calls are told once and kept whole, whoever owns the run meanwhile', async () => {
    const client = await fleet.client()
    await fleet.node({ name: 'n1', script })
    let owner = await fleet.pipelines()
    const { runId } = await client.submit(pipelineOf({}), { input: 'i' })
    const events: RunEvent[] = []
    const reading = (async () => {
      for await (const event of client.events(runId)) events.push(event)
    })()
    for (const more of [4, 7, 9, 12]) {
      const seen = events.length
      const latest = performance.now() + 200
      await until(() => events.length >= seen + more || performance.now() > latest)
      const next = await fleet.pipelines()
      await owner.close()
      owner = next
    }
    await reading
    const { record } = await client.read(runId)
    expect(record).toMatchObject({ outcome: 'completed', output: 'ok' })
    const thoughts = events.flatMap((event) => (event.type === 'thinking' ? [event.text] : []))
    expect(thoughts).toEqual(thinking)
    expect(told(events, 'tool-call')).toMatchObject(calls)
    expect(record!.stages[0]).toMatchObject({
      thinking: thinking.join(''),
      toolCalls: calls,
      finishReason: 'tool-calls',
      tokens: { thinking: 30, generated: 34, counted: 'server' },
    })
    expect(fleet.asked[0]!.tools).toEqual(tools)
    expect(fleet.asked.at(-1)!.messages[0]!.content).toBe(`y ${thinking.join('').trim()}|${JSON.stringify(calls)}`)
  })

  it('a model is interrupted while it thinks: counts, phases and the next stage are right', async () => {
    const client = await fleet.client()
    await fleet.node({
      name: 'n1',
      script: (request) => ({
        ...script(request),
        ...(request.stage === 'b' && { thinking: ['hm ', 'so '], tokenMs: 10 }),
      }),
    })
    await fleet.pipelines()
    const { runId } = await client.submit(pipelineOf({}), { input: 'i' })
    let seen = 0
    for await (const event of client.events(runId)) if (event.type === 'thinking' && ++seen === 5) break
    expect(await client.interrupt(runId, { input: 'now' })).toMatchObject({ accepted: true, decision: 'abort' })
    await client.ended(runId)
    const { record } = await client.read(runId)
    const [cut, next] = record!.stages
    expect(cut).toMatchObject({ settlement: 'aborted', text: '' })
    expect(cut).not.toHaveProperty('firstTokenMs')
    const count = cut!.thinking!.trim().split(' ').length
    expect(count).toBeGreaterThanOrEqual(5)
    expect(cut!.tokens).toMatchObject({ thinking: cut!.tokens.generated, wasted: cut!.tokens.generated, delivered: 0 })
    expect(cut!.tokens.generated).toBeGreaterThanOrEqual(count)
    const { phases, toFirstTokenMs = 0 } = record!.interrupts[0]!
    expect(phases.map(({ name }) => name)).toContain('thinking')
    expect(phases.reduce((sum, { ms }) => sum + Math.round(ms * 1e6), 0)).toBe(Math.round(toFirstTokenMs * 1e6))
    expect(next).toMatchObject({ id: 'b', thinking: 'hm so ', text: 'ok' })
    expect(fleet.asked.at(-1)!.messages[0]!.content).toBe(`y ${cut!.thinking!.trim()}|null`)
  })

  it('a document is checked where the run is hosted, and pictures go with the call and into no state', async () => {
    const client = await fleet.client()
    const wrong = { tokens: ['{"allowed":', ' 1}'] }
    const asking = ({ attempt }: { attempt: number }): CallScript =>
      attempt === 1 ? wrong : { tokens: [], value: { allowed: true } }
    await fleet.node({ name: 'n1', script: (request) => ({ ...asking(request), firstTokenMs: 30, tokenMs: 30 }) })
    await fleet.pipelines()
    const pipeline = pipelineFrom({
      name: 'guard',
      stages: [
        {
          ...{ id: 'a', model: 'scripted', format, retry: { attempts: 2, pause: 0 } },
          messages: [{ role: 'user', content: 'x', images: [photo] }],
        },
      ],
    })
    const { runId } = await client.submit(pipeline, { input: 'i' })
    const states: string[] = []
    const { client: raw, keys } = client.redis
    for await (const event of client.events(runId)) {
      if (event.type === 'token') states.push((await raw.hget(keys.run(runId), 'state')) ?? '')
    }
    const { record } = await client.read(runId)
    expect(record!.stages).toMatchObject([
      { settlement: 'failed', error: { code: 'CAESURA_E_FORMAT' } },
      { settlement: 'completed', value: { allowed: true } },
    ])
    expect(fleet.asked.map(({ messages, format: asked }) => [messages[0]!.images, asked])).toEqual([
      [[photo], format],
      [[photo], format],
    ])
    expect(states.some((state) => state.includes('"callId":"a.1"'))).toBe(true)
    expect(JSON.stringify([states, record])).not.toContain(photo.slice(30))
  })
})
