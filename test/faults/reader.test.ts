import { describe, expect, it } from 'vitest'
import { createEngine, definePipeline } from '../../src/app/compose.ts'
import { NS_PER_MS } from '../../src/core/clock.ts'
import type { RunEvent } from '../../src/core/event.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'

const TOKENS = 2_000
const pipeline = definePipeline({
  name: 'p',
  stages: [
    { id: 'draft', model: 'm', prompt: 'x', policy: { trigger: { tokens: 1_000 }, response: 'drain' } },
    { id: 'refine', model: 'm', prompt: '{{ draft.output }}' },
  ],
})

/** A run of 4,000 tokens, one a ms, whose reader takes `pauseMs` an event; without one nobody reads. */
async function runWith(pauseMs?: number) {
  const clock = new VirtualClock()
  const backend = scriptedBackend({ tokens: Array(TOKENS).fill('x'), firstTokenMs: 5, tokenMs: 1 })
  const engine = createEngine({ nodes: [{ name: 'n', backend, slots: 1, pool: 'default' }], clock })
  const run = engine.start(pipeline, { input: 'hello' })
  const events: RunEvent[] = []
  const read = async () => {
    for await (const event of run.events) {
      events.push(event)
      if (pauseMs !== undefined && pauseMs > 0) {
        await new Promise<void>((resolve) => void clock.schedule(clock.now() + pauseMs * NS_PER_MS, resolve))
      }
    }
  }
  const reading = pauseMs === undefined ? undefined : read()
  const record = await clock.until(run.result)
  const readAtEnd = events.length
  if (reading !== undefined) await clock.until(reading)
  return { record, events, readAtEnd }
}

describe('a slow reader of the events', () => {
  it('does not slow the calls down, and misses nothing', async () => {
    const fast = await runWith(0)
    const slow = await runWith(40)
    const none = await runWith()
    for (const { record } of [slow, none]) {
      expect(record.durationMs).toBe(fast.record.durationMs)
      expect(record.stages.map(({ marks }) => marks)).toEqual(fast.record.stages.map(({ marks }) => marks))
      expect(record.output).toBe(fast.record.output)
    }
    expect(slow.readAtEnd).toBeLessThan(200)
    expect(slow.events.map(({ seq }) => seq)).toEqual(fast.events.map(({ seq }) => seq))
    expect(slow.events.filter(({ type }) => type === 'token')).toHaveLength(2 * TOKENS)
  })

  it('has been delivered what it was handed, and no more', async () => {
    const [slow, none] = [await runWith(40), await runWith()]
    const delivered = slow.record.stages.map(({ tokens }) => tokens.delivered)
    expect(delivered[0]).toBeGreaterThan(0)
    expect(delivered[0]).toBeLessThan(slow.readAtEnd)
    expect(delivered[1]).toBe(0)
    expect(none.record.stages.map(({ tokens }) => tokens.delivered)).toEqual([0, 0])
  })
})

describe('the limit on the output of a run', () => {
  const limited = async (outputLimits: { tokens?: number; characters?: number }, tokens: readonly string[]) => {
    const clock = new VirtualClock()
    const backend = scriptedBackend({ tokens, firstTokenMs: 5, tokenMs: 1 })
    const engine = createEngine({ nodes: [{ name: 'n', backend, slots: 1, pool: 'default' }], clock, outputLimits })
    return clock.until(engine.start(pipeline, { input: 'hello' }).result)
  }
  const hundred: readonly string[] = Array(100).fill('four')

  it('is reached by all calls together: the one that passes it fails, what came is kept, nothing is tried again', async () => {
    const { outcome, error, stages } = await limited({ tokens: 150 }, hundred)
    expect(outcome).toBe('failed')
    expect(error?.code).toBe('CAESURA_E_OUTPUT_LIMIT')
    expect(stages.map(({ id, settlement, text }) => [id, settlement, text])).toEqual([
      ['draft', 'completed', 'four'.repeat(100)],
      ['refine', 'failed', 'four'.repeat(50)],
    ])
  })

  it('counts characters as well', async () => {
    const { stages } = await limited({ characters: 4 * 60 + 3 }, hundred)
    expect(stages.map(({ settlement, text }) => [settlement, text])).toEqual([['failed', 'four'.repeat(60)]])
  })

  it('is not reached by the last token that fits', async () => {
    expect((await limited({ tokens: 200, characters: 800 }, hundred)).outcome).toBe('completed')
  })
})
