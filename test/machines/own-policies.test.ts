import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/compose.ts'
import type { Catalogue } from '../../src/core/catalogue.ts'
import {
  type CarryDefinition,
  cancelCall,
  type ResponseDefinition,
  setDeadline,
  type TriggerDefinition,
} from '../../src/core/policy.ts'
import { definePipelineWith } from '../../src/pipelines/pipeline-schema.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

/** As a program without types may write them. */
type Own = { response?: object; trigger?: object; carry?: object }

/** A run whose first boundary has these in its policy, with a signal after two tokens. */
function running(own: Own, signalled = true) {
  const extended = {
    ...catalogue,
    ...(own.response && { responses: [...catalogue.responses, { name: 'own', summary: 's', ...own.response }] }),
    ...(own.trigger && { triggers: [...catalogue.triggers, { name: 'own', summary: 's', ...own.trigger }] }),
    ...(own.carry && { carries: [...catalogue.carries, { name: 'own', summary: 's', ...own.carry }] }),
  } as Catalogue
  const names = Object.fromEntries(Object.keys(own).map((kind) => [kind, 'own']))
  const pipeline = definePipelineWith(extended, {
    name: 'p',
    stages: [
      { id: 'draft', model: 'm', prompt: '{{ input }}', policy: { response: 'drain', ...names } },
      { id: 'refine', model: 'm', prompt: '{{ draft.output }}!' },
    ],
  })
  return scriptedRun(pipeline, {
    settings: { catalogue: extended },
    ...(signalled && { signals: [{ stage: 'draft', afterTokens: 2, input: 'c' }] }),
    script: () => speak('one two three four five'),
  })
}

const fault = (message: RegExp) => ({
  outcome: 'failed',
  error: { code: 'CAESURA_E_POLICY', message: expect.stringMatching(message) },
})

describe('a response of one’s own ends its run as failed, and says what was wrong, where it', () => {
  const never = { type: 'setDeadline' }
  it.each<[string, () => unknown, RegExp]>([
    ['sets a deadline of no number', () => [setDeadline(Number.NaN)], /own sets a deadline that never comes: NaN/],
    ['sets a deadline without end', () => [setDeadline(Number.POSITIVE_INFINITY)], /never comes: Infinity/],
    ['sets a deadline that is over', () => [setDeadline(-1)], /never comes: -1; allowed: 0 to 86400000 ms/],
    ['sets a deadline in words', () => [{ ...never, ms: '5s' }], /never comes: 5s/],
    [
      'orders what is no command',
      () => [{ type: 'explode' }],
      /own orders what is no command: .*explode.*allowed: .*cancelCall/,
    ],
    ['orders a name of an object', () => [{ type: 'constructor' }], /no command/],
    ['orders nothing that can be read', () => [null], /no command/],
    ['orders what is no list', () => cancelCall, /orders what is no list/],
    ['returns nothing', () => undefined, /orders what is no list/],
    ['decides without words', () => [{ type: 'decide' }], /decides without words/],
    ['throws', () => JSON.parse('{'), /^the response own has thrown: /],
    [
      'throws no error',
      () => {
        throw 'up'
      },
      /^the response own has thrown: up$/,
    ],
  ])('%s', async (_, start, message) => {
    const { finish, clock } = running({ response: { start } })
    const record = await finish()
    expect(record).toMatchObject(fault(message))
    expect(record.stages).toMatchObject([{ id: 'draft', settlement: 'aborted' }])
    expect(clock.pending).toBe(0)
    const later = await running({ response: { start: () => [setDeadline(5)], on: { deadline: start } } }).finish()
    expect(later).toMatchObject(fault(message))
  })

  it('sets one deadline after the other', async () => {
    let count = 0
    const again = () => {
      count += 1
      return [setDeadline(0)]
    }
    const record = await running({ response: { start: again, on: { deadline: again } } }).finish()
    expect(record).toMatchObject(fault(/one deadline after the other/))
    expect(count).toBeLessThan(1100)
  })

  it('keeps its run whatever it returns: one end, nothing left', async () => {
    const command = fc.oneof(
      fc.constantFrom(
        ...[
          'cancelCall',
          'fireNext',
          'fireWhenSettled',
          'withdrawNext',
          'pauseDelivery',
          'releaseDelivery',
          'decide',
          'x',
        ].map((type) => ({ type })),
      ),
      fc.record({ type: fc.constant('setDeadline'), ms: fc.oneof(fc.double(), fc.constantFrom(0, 1, '1', null)) }),
      fc.jsonValue(),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.array(command, { maxLength: 4 }), fc.jsonValue()),
        fc.array(command, { maxLength: 3 }),
        async (first, later) => {
          const on = Object.fromEntries(
            ['deadline', 'callSettled', 'nextFirstToken', 'token'].map((event) => [event, () => later]),
          )
          const { finish, events } = running({ response: { start: () => first, on } })
          const record = await finish()
          expect(['completed', 'failed']).toContain(record.outcome)
          if (record.outcome === 'failed') expect(record.error!.code).toBe('CAESURA_E_POLICY')
          expect(events.filter(({ type }) => type === 'run-end')).toHaveLength(1)
        },
      ),
      { numRuns: 150 },
    )
  })
})

describe('a trigger of one’s own fails its call where it', () => {
  const initial = () => 0
  it.each<[string, Partial<Record<keyof TriggerDefinition, unknown>>, RegExp]>([
    ['throws at its start', { initial: () => JSON.parse('{'), step: () => ({}) }, /^the trigger own has thrown/],
    ['throws at an event', { initial, step: () => JSON.parse('{') }, /^the trigger own has thrown/],
    [
      'throws when it is woken',
      {
        initial,
        step: (_: unknown, { type }: { type: string }) =>
          type === 'wake' ? JSON.parse('{') : { state: 0, wakeAt: 1e6 },
      },
      /has thrown/,
    ],
    ['returns no step', { initial, step: () => 5 }, /answers with no step: 5/],
    [
      'wants to be woken at no instant',
      { initial, step: () => ({ state: 0, wakeAt: Number.NaN }) },
      /woken at no instant: NaN/,
    ],
    [
      'fires without a name',
      { initial, step: () => ({ state: 0, interrupt: true }) },
      /interrupts without a name: true/,
    ],
    ['is woken again and again', { initial, step: () => ({ state: 0, wakeAt: 0 }) }, /again and again in the past/],
  ])('%s', async (_, trigger, message) => {
    const { finish, clock } = running({ trigger }, false)
    const record = await finish()
    expect(record).toMatchObject(fault(message))
    expect(record.stages).toMatchObject([{ settlement: 'failed', error: { code: 'CAESURA_E_POLICY' } }])
    expect(clock.pending).toBe(0)
  })
})

describe('a carry of one’s own ends its run as failed where it', () => {
  it.each<[string, (output: { text: string }) => unknown, RegExp]>([
    ['keeps what was never said', () => 'something else', /keeps what is no beginning of the text: something else/],
    ['keeps no text', () => 5, /keeps what is no beginning of the text: 5/],
    ['keeps the end', ({ text }) => text.slice(1), /no beginning/],
    ['throws', () => JSON.parse('{'), /^the carry own has thrown/],
  ])('%s', async (_, keep, message) => {
    expect(await running({ carry: { keep } as unknown as CarryDefinition }).finish()).toMatchObject(fault(message))
    const looks: Partial<ResponseDefinition> = { start: ({ call }) => [setDeadline(call.wastedMs)] }
    expect(await running({ carry: { keep }, response: looks }).finish()).toMatchObject(fault(message))
  })
})
