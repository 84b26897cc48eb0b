import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { catalogue, createEngine, withoutText } from '../../src/app/compose.ts'
import type { RunRecord } from '../../src/core/record.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { sqliteStore } from '../../src/records/stores/sqlite.ts'
import { runSpans } from '../../src/telemetry/run-spans.ts'
import { startPipelineWorker } from '../../src/workers/pipeline-worker.ts'
import { fleetForTest } from '../fixtures/fleet.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { withRedis } from '../fixtures/with-redis.ts'
import { spanSettings } from '../telemetry/sent.ts'

/** One marker for each place that a text comes from. */
const marked = /marker-\w+/g
const chat = pipelineFrom({
  name: 'chat',
  history: { turns: 20 },
  stages: [{ id: 'answer', model: 'm', system: 'marker-system', prompt: '{{ input }} {{ vars.tone }}' }],
})
const script = { tokens: ['marker-answer ', 'x ', 'x ', 'x '], firstTokenMs: 5, tokenMs: 5 }
const first = { input: 'marker-input', vars: { tone: 'marker-var' }, session: 's' }
const second = { ...first, input: 'marker-second', interrupts: [{ afterMs: 12, input: 'marker-interrupt' }] }
const all = ['answer', 'input', 'interrupt', 'second', 'system', 'var'].map((name) => `marker-${name}`)
const markersIn = (value: unknown): string[] => [...new Set(JSON.stringify(value).match(marked))].sort()
/** Spans hold themselves, so only what is sent of them is looked at. */
const spansOf = (record: RunRecord) =>
  runSpans(record, spanSettings).map(({ name, attributes, events, status }) => ({ name, attributes, events, status }))

describe('what a conversation says', () => {
  it.each([
    [true, all],
    [false, []],
  ])('is in the stored record with keepText: %s, and in no span of it then', async (keepText, expected) => {
    const folder = mkdtempSync(join(tmpdir(), 'caesura-kept-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const store = sqliteStore(join(folder, 'records.sqlite'))
    const clock = new VirtualClock()
    const backend = scriptedBackend(script)
    const engine = createEngine({ nodes: [{ name: 'n', backend, slots: 1, pool: 'default' }], clock, store, keepText })
    await clock.until(engine.start(chat, first).result)
    const whole = await clock.until(engine.start(chat, second).result)
    expect(markersIn(whole)).toEqual(all)
    const kept = store.read(whole.runId)
    expect(markersIn(kept)).toEqual(expected)
    expect(markersIn(spansOf(kept))).toEqual([])
    expect(kept.session).toBe('s')
    await engine.close()
  })

  const redis = withRedis()
  it('is left out of the records of a fleet that keeps no texts', async () => {
    const fleet = fleetForTest(redis)
    await fleet.node({ name: 'n', script })
    const worker = await startPipelineWorker({ redis: fleet.redis, catalogue, asKept: withoutText })
    try {
      const client = await fleet.client()
      for (const options of [first, second]) {
        const { interrupts = [], ...asked } = { interrupts: undefined, ...options }
        const { runId } = await client.submit(chat, { ...asked, signals: interrupts })
        await client.ended(runId)
        const kept = await client.redis.client.hgetall(client.redis.keys.run(runId))
        expect(JSON.parse(kept.record!)).toMatchObject({ outcome: 'completed', session: 's' })
        expect(markersIn([kept.record, kept.line, kept.state])).toEqual([])
        expect(markersIn(fleet.logged)).toEqual([])
      }
      expect(markersIn(await client.session('s'))).toEqual(
        expect.arrayContaining(['marker-answer', 'marker-input', 'marker-interrupt', 'marker-second']),
      )
      expect(await client.redis.client.pttl(client.redis.keys.session('s'))).toBeGreaterThan(0)
    } finally {
      await worker.close()
    }
  })
})
