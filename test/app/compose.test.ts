import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { createEngine } from '../../src/app/compose.ts'
import type { ProbeResult } from '../../src/core/probe.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { sqliteStore } from '../../src/records/stores/sqlite.ts'
import { speak, twoStages } from '../fixtures/scripted-run.ts'

const folder = mkdtempSync(join(tmpdir(), 'caesura-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const node = (name: string, slots = 1) => ({
  name,
  slots,
  pool: 'default',
  backend: scriptedBackend(speak('one two three four')),
})

describe('an engine', () => {
  it('needs nodes, each with a name of its own and a slot', () => {
    expect(() => createEngine({ nodes: [] })).toThrow('an engine needs at least one node')
    expect(() => createEngine({ nodes: [node('n'), node('n')] })).toThrow('two nodes are named n')
    expect(() => createEngine({ nodes: [node('n', 0)] })).toThrow('node n needs a whole number of slots')
  })

  it('keeps what a fault received only where it keeps text', async () => {
    const scripted = node('n')
    const error = { code: 'CAESURA_E_PROTOCOL' as const, message: 'odd', received: 'the text of an answer' }
    const backend = { ...scripted.backend, generate: async () => ({ end: 'failed' as const, error }) }
    for (const keepText of [false, true]) {
      const store = sqliteStore(join(folder, `received-${keepText}.sqlite`))
      const clock = new VirtualClock()
      const engine = createEngine({ nodes: [{ ...scripted, backend }], clock, store, keepText })
      const record = await clock.until(engine.start(twoStages(), { input: 'x' }).result)
      expect(record.error).toEqual(error)
      const kept = store.read('last')
      const { received: _, ...without } = error
      for (const fault of [kept.error, kept.stages[0]!.error]) expect(fault).toEqual(keepText ? error : without)
      await engine.close()
    }
  })

  it('refuses placement: other on a single node, unless any node will do', async () => {
    const engine = createEngine({ nodes: [node('n')], clock: new VirtualClock() })
    expect(() => engine.start(twoStages({ placement: 'other' }), { input: 'i' })).toThrow(
      'stage draft wants another node',
    )
    const clock = new VirtualClock()
    const lenient = createEngine({ nodes: [node('n')], clock })
    const run = lenient.start(twoStages({ placement: { other: { otherwise: 'any' } } }), { input: 'i' })
    expect(await clock.until(run.result)).toMatchObject({ outcome: 'completed' })
  })

  it('cancels what runs when it is closed, and starts nothing after that', async () => {
    const clock = new VirtualClock()
    const engine = createEngine({ nodes: [node('n')], clock })
    const run = engine.start(twoStages(), { input: 'i' })
    await clock.until(engine.close())
    expect(await run.result).toMatchObject({ outcome: 'cancelled', cancelReason: 'the engine is closing' })
    expect(() => engine.start(twoStages(), { input: 'i' })).toThrow('this engine is closed')
  })

  it('lets adaptive start from a probe of the node', async () => {
    const store = sqliteStore(join(folder, 'runs.sqlite'))
    const probe: ProbeResult = {
      schema: 'caesura.probe/1',
      node: 'n',
      server: { kind: 'scripted' },
      model: 'm',
      measuredAt: '2026-01-01T00:00:00.000Z',
      durationMs: 1,
      tokensPerSecond: { decode: 1000 },
      slotFreeAfterAbortMs: { decode: { p50: 4, p95: 5, n: 3 } },
      advice: [],
      notes: [],
    }
    store.writeProbe(probe)
    const clock = new VirtualClock()
    const engine = createEngine({ nodes: [node('n')], clock, store })
    const policy = { trigger: { tokens: 2 }, response: 'adaptive', carry: 'none' }
    const { interrupts } = await clock.until(engine.start(twoStages(policy), { input: 'i' }).result)
    // 126 tokens more of 1 ms each, by the probe; the stated priors would say 15 ms.
    expect(interrupts[0]!.reason).toMatch(
      /^expected rest 126 ms, expected cost of cancelling 64 ms \(4 ms abort lag \+ 60 ms wasted × 1\); .*from the probe/,
    )
    await clock.until(engine.close())
  })
})
