import { describe, expect, it } from 'vitest'
import { createEngine } from '../../src/app/compose.ts'
import type { Node } from '../../src/core/ports.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { type CallScript, scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { scriptedRun } from '../fixtures/scripted-run.ts'

const pipelineOf = (timeout: unknown, policy: unknown = {}, more: object = {}) =>
  pipelineFrom({ name: 'p', stages: [{ id: 'a', model: 'm', prompt: 'x', timeout, policy, ...more }] })

const words = (count: number, more: Partial<CallScript> = {}): CallScript => ({
  tokens: Array(count).fill('w '),
  firstTokenMs: 20,
  tokenMs: 10,
  ...more,
})

/** A server that accepts and never says a thing; it heeds an abort. */
const silent: Node['backend'] = {
  kind: 'silent',
  server: async () => ({ kind: 'silent' }),
  models: async () => [],
  close: async () => undefined,
  generate: (_, { signal, mark }) => {
    mark('connect-start')
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve({ end: 'cancelled' })))
  },
}
const onSilent = { nodes: [{ name: 'n', backend: silent, slots: 1, pool: 'default' }] }

describe('a timeout is a failure with its own code, never an interrupt', () => {
  it.each([
    ['connecting: first token', { firstToken: 70 }, { settings: onSilent }, 'CAESURA_E_TIMEOUT_FIRST_TOKEN', 70, ''],
    ['connecting: total', { total: 90, stall: 5 }, { settings: onSilent }, 'CAESURA_E_TIMEOUT_TOTAL', 90, ''],
    [
      'in prefill: first token',
      { firstToken: 30 },
      { script: words(9, { firstTokenMs: 500 }) },
      'CAESURA_E_TIMEOUT_FIRST_TOKEN',
      30,
      '',
    ],
    [
      'in prefill: total',
      { total: 30 },
      { script: words(9, { firstTokenMs: 500 }) },
      'CAESURA_E_TIMEOUT_TOTAL',
      30,
      '',
    ],
    [
      'in decode: stall',
      { firstToken: 25, stall: 50 },
      { script: words(3, { hang: true }) },
      'CAESURA_E_TIMEOUT_STALL',
      90,
      'w w w ',
    ],
    ['in decode: total', { total: 35, stall: 50 }, { script: words(9) }, 'CAESURA_E_TIMEOUT_TOTAL', 35, 'w w '],
    ['between two slow tokens: stall', { stall: 9 }, { script: words(9) }, 'CAESURA_E_TIMEOUT_STALL', 29, 'w '],
  ])('%s', async (_, timeout, options, code, at, text) => {
    const { finish, clock } = scriptedRun(pipelineOf(timeout), options)
    const record = await finish()
    expect(record).toMatchObject({ outcome: 'failed', error: { code }, durationMs: at, output: text, interrupts: [] })
    expect(record.stages).toMatchObject([{ settlement: 'failed', error: { code }, text }])
    expect(clock.pending).toBe(0)
  })

  it('waiting for a slot: both limits count from the call’s start, and a waiter is never sent', async () => {
    for (const [timeout, code] of [
      [{ firstToken: 40 }, 'CAESURA_E_TIMEOUT_FIRST_TOKEN'],
      [{ total: 40 }, 'CAESURA_E_TIMEOUT_TOTAL'],
    ] as const) {
      const clock = new VirtualClock()
      const sent: string[] = []
      const backend = scriptedBackend((request) => {
        sent.push(request.runId)
        return words(30)
      })
      const engine = createEngine({ nodes: [{ name: 'n', backend, slots: 1, pool: 'default' }], clock })
      const first = engine.start(pipelineOf({}), { input: 'x', runId: 'first' })
      const second = engine.start(pipelineOf(timeout), { input: 'x', runId: 'second' })
      const record = await clock.until(second.result)
      expect(record).toMatchObject({ outcome: 'failed', error: { code }, durationMs: 40 })
      expect(record.stages[0]).toMatchObject({ slotMs: 0, tokens: { generated: 0 } })
      expect((await clock.until(first.result)).outcome).toBe('completed')
      expect(sent).toEqual(['first'])
      expect(clock.pending).toBe(0)
    }
  })

  it('while delivery is held: what was held back is in the record, and was not delivered', async () => {
    const { finish, clock } = scriptedRun(pipelineOf({ stall: 50 }, { response: { hold: { confirm: '10s' } } }), {
      script: words(4, { hang: true }),
      signals: [{ stage: 'a', afterTokens: 2 }],
    })
    const record = await finish()
    expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_TIMEOUT_STALL' }, durationMs: 100 })
    expect(record.stages[0]).toMatchObject({ text: 'w w w w ', tokens: { generated: 4, delivered: 2 } })
    expect(clock.pending).toBe(0)
  })

  it('while a drain goes on: the failure is the drained call’s', async () => {
    const { finish } = scriptedRun(pipelineOf({ total: 60 }, { response: 'drain', then: 'end' }), {
      script: words(30),
      signals: [{ afterMs: 30 }],
    })
    expect(await finish()).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_TIMEOUT_TOTAL' } })
  })

  it('a call that was aborted in time may take longer than its limits to settle', async () => {
    const { finish, clock } = scriptedRun(pipelineOf({ total: 60, stall: 20 }, { response: 'abort', then: 'end' }), {
      script: words(30, { abortMs: 500 }),
      signals: [{ afterMs: 40 }],
    })
    const record = await finish()
    expect(record).toMatchObject({ outcome: 'completed', stages: [{ settlement: 'aborted', settledMs: 540 }] })
    expect(clock.pending).toBe(0)
  })

  it('a trigger that comes due while a call that has timed out settles makes no interrupt', async () => {
    const policy = { trigger: { after: 60 }, response: 'abort', then: 'end' }
    const { finish, clock } = scriptedRun(pipelineOf({ total: 50 }, policy), { script: words(30, { abortMs: 100 }) })
    const record = await finish()
    expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_TIMEOUT_TOTAL' }, interrupts: [] })
    expect(record.durationMs).toBe(150)
    expect(clock.pending).toBe(0)
  })

  it('each attempt has limits of its own', async () => {
    const pipeline = pipelineOf({ firstToken: 30 }, {}, { retry: { attempts: 2, pause: 0 } })
    let calls = 0
    const { finish } = scriptedRun(pipeline, {
      script: () => (calls++ === 0 ? words(1, { firstTokenMs: 99 }) : words(1)),
    })
    const record = await finish()
    expect(record.outcome).toBe('completed')
    expect(record.stages.map(({ startMs, firstTokenMs }) => [startMs, firstTokenMs])).toEqual([
      [0, undefined],
      [30, 50],
    ])
  })
})
