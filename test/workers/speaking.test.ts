import { describe, expect, it } from 'vitest'
import type { RunEvent } from '../../src/core/event.ts'
import type { FleetClient } from '../../src/workers/fleet-client.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { until } from '../fixtures/until.ts'

const words = Array.from({ length: 40 }, (_, index) => `w${index} `)
const text = words.join('')
const script = ({ stage }: { stage: string }) =>
  stage === 'answer' ? { tokens: words, firstTokenMs: 5, tokenMs: 0 } : { tokens: ['ok'], firstTokenMs: 5, tokenMs: 1 }

const pipeline = (policy: unknown, more: object = { pace: 40 }) =>
  pipelineFrom({
    name: 'voice',
    stages: [
      { id: 'answer', model: 'scripted', prompt: '{{ input }}', policy },
      { id: 'after', model: 'scripted', prompt: 'Had: {{ answer.output }}|{{ interrupt.input }}' },
    ],
    ...more,
  })

const fleet = withFleet()

function follow(client: FleetClient, runId: string) {
  const events: RunEvent[] = []
  const reading = (async () => {
    for await (const event of client.events(runId)) events.push(event)
  })()
  const told = () =>
    events.flatMap((event) => (event.type === 'token' && event.stage === 'answer' ? event.text : [])).join('')
  return { events, reading, told }
}

describe('a stage that speaks, on a fleet', () => {
  it('goes on speaking where the owner before was, though its call has ended', async () => {
    const client = await fleet.client()
    await fleet.node({ name: 'n1', script })
    let owner = await fleet.pipelines()
    const { runId } = await client.submit(pipeline({}), { input: 'i' })
    const { events, reading, told } = follow(client, runId)
    for (const share of [4, 12, 24]) {
      await until(() => told().length >= words.slice(0, share).join('').length)
      const next = await fleet.pipelines()
      await owner.close()
      owner = next
    }
    await reading
    const { record } = await client.read(runId)
    expect(record).toMatchObject({ outcome: 'completed', output: 'ok' })
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(told()).toBe(text)
    expect(fleet.asked.map(({ callId }) => callId)).toEqual(['answer.1', 'after.1'])
    const [answer] = record!.stages
    expect(answer).toMatchObject({ settlement: 'completed', text })
    expect(answer!.spokenMs).toBeGreaterThan(answer!.settledMs + 500)
  })

  it('stops where it is interrupted, and hands on what was heard', async () => {
    const client = await fleet.client()
    await fleet.node({ name: 'n1', script })
    const owner = await fleet.pipelines()
    const { runId } = await client.submit(pipeline({ response: 'abort', carry: 'heard' }), { input: 'i', pace: 20 })
    const { reading, told } = follow(client, runId)
    await until(() => told().length >= words.slice(0, 8).join('').length)
    expect(await client.heard(runId, { characters: 'w0 w1 w2'.length })).toEqual({ accepted: true })
    // The next owner knows of it too.
    await fleet.pipelines()
    await owner.close()
    const answer = await client.interrupt(runId, { input: 'stop', heard: { characters: 'w0 w1 w2 w3'.length } })
    expect(answer).toMatchObject({ accepted: true, decision: 'abort' })
    await reading
    const { record } = await client.read(runId)
    expect(fleet.asked.at(-1)!.messages.at(-1)!.content).toBe('Had: w0 w1 w2 w3|stop')
    const [spoken] = record!.stages
    expect(spoken).toMatchObject({ settlement: 'aborted', characters: { generated: text.length, heard: 11 } })
    expect(spoken!.characters!.delivered).toBeLessThanOrEqual(told().length)
    expect(told().length).toBeLessThan(text.length)
    expect(record!.interrupts[0]!.toSilenceMs).toBeGreaterThanOrEqual(0)
    expect(await client.heard(runId, { characters: 1 })).toMatchObject({ code: 'CAESURA_E_RUN_ENDED' })
  })

  it('lasts until all was acknowledged, also where its reader is told of it a moment later', async () => {
    const client = await fleet.client()
    await fleet.node({ name: 'n1', script })
    await fleet.pipelines()
    const asked = pipeline({}, { heard: true, heardWithin: '60s' })
    const { runId } = await client.submit(asked, { input: 'i' })
    for await (const event of client.events(runId)) {
      const isLast = event.type === 'token' && (event.text === words.at(-1) || event.text === 'ok')
      if (isLast) await client.heard(runId, { characters: text.length })
    }
    const { record } = await client.read(runId)
    expect(record!.stages[0]).toMatchObject({ settlement: 'completed', characters: { heard: text.length } })
    expect(record!.durationMs).toBeLessThan(30_000)
  })

  it('knows no run of another name', async () => {
    const client = await fleet.client()
    await expect(client.heard('nobody', { characters: 1 })).rejects.toMatchObject({ code: 'CAESURA_E_RUN_UNKNOWN' })
  })
})
