import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/compose.ts'
import type { CallEnd } from '../../src/core/call.ts'
import { msToNs } from '../../src/core/clock.ts'
import { type ErrorCode, errorCodes } from '../../src/core/errors.ts'
import type { Retry } from '../../src/core/pipeline.ts'
import { cancelCall, fireNext, fireWhenSettled, type ResponseDefinition, setDeadline } from '../../src/core/policy.ts'
import { recordSchema } from '../../src/core/record.ts'
import { mayFallBack, mayTryAgain, pauseMs } from '../../src/machines/next-attempt.ts'
import type { CallScript } from '../../src/nodes/backends/scripted.ts'
import { definePipelineWith } from '../../src/pipelines/pipeline-schema.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

const busy = (more: Partial<NonNullable<CallScript['fail']>> = {}): CallScript => ({
  tokens: ['a ', 'b ', 'c '],
  firstTokenMs: 10,
  tokenMs: 10,
  fail: { code: 'CAESURA_E_SERVER_BUSY', message: 'busy', afterTokens: 0, retryable: true, ...more },
})

const stages = (retry: unknown, policy: unknown = {}, more: object = {}) =>
  pipelineFrom({
    name: 'p',
    stages: [
      { id: 'a', model: 'm', prompt: '{{ input }}', retry, policy, ...more },
      { id: 'b', model: 'm', prompt: 'b {{ a.output }}|{{ interrupt.input }}' },
    ],
  })

/** The calls of a stage end so, one after the other; the last goes on for all further ones. */
const inTurn = (stage: string, scripts: readonly CallScript[]) => {
  let calls = 0
  return (request: { stage: string }) =>
    request.stage === stage ? scripts[Math.min(calls++, scripts.length - 1)]! : speak('done')
}
/** Pauses are half of their bound. */
const settings = { random: () => 0.5 }

describe('a call that failed', () => {
  it('is made again after a pause, each attempt with a record of its own', async () => {
    const run = scriptedRun(stages({ attempts: 3 }), { settings, script: inTurn('a', [busy(), busy(), speak('ok')]) })
    const record = await run.finish()
    expect(record).toMatchObject({ outcome: 'completed', output: 'done', interrupts: [] })
    // 10 ms to the fault, then a half of 200 ms, then a half of 400 ms.
    expect(
      record.stages.map(({ callId, attempt, settlement, startMs }) => [callId, attempt, settlement, startMs]),
    ).toEqual([
      ['a.1', 1, 'failed', 0],
      ['a.2', 2, 'failed', 110],
      ['a.3', 3, 'completed', 320],
      ['b.1', 1, 'completed', 370],
    ])
    expect(record.stages[0]!.error).toEqual({ code: 'CAESURA_E_SERVER_BUSY', message: 'busy' })
    expect(run.events.filter(({ type }) => type === 'output-withdraw')).toEqual([])
    expect(run.clock.pending).toBe(0)
  })

  it('fails the run once its attempts are used up, with the last fault', async () => {
    const record = await scriptedRun(stages({ attempts: 2 }), { settings, script: inTurn('a', [busy()]) }).finish()
    expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_SERVER_BUSY' } })
    expect(record.stages).toHaveLength(2)
  })

  it('waits as long as the server asks, and is not made again when that is more than a minute', async () => {
    const asked = async (retryAfterMs: number) => {
      const script = inTurn('a', [busy({ retryAfterMs }), speak('ok')])
      const record = await scriptedRun(stages({ attempts: 2 }), { settings, script }).finish()
      return record.stages.filter(({ id }) => id === 'a').map(({ startMs }) => startMs)
    }
    expect(await asked(7_000)).toEqual([0, 7_010])
    expect(await asked(60_000)).toEqual([0, 60_010])
    expect(await asked(60_001)).toEqual([0])
  })

  it('after its first token is made again only where the stage may start again; what had come is withdrawn', async () => {
    const script = () =>
      inTurn('a', [busy({ code: 'CAESURA_E_STREAM_CUT', afterTokens: 2, retryable: false }), speak('x y')])
    const failed = await scriptedRun(stages({ attempts: 2 }), { settings, script: script() }).finish()
    expect(failed).toMatchObject({ outcome: 'failed', output: 'a b ', error: { code: 'CAESURA_E_STREAM_CUT' } })

    const run = scriptedRun(stages({ attempts: 2, afterFirstToken: 'restart' }), { settings, script: script() })
    const record = await run.finish()
    expect(record.outcome).toBe('completed')
    expect(record.stages[0]).toMatchObject({
      settlement: 'failed',
      text: 'a b ',
      tokens: { generated: 2, delivered: 2, wasted: 2 },
    })
    expect(run.prompts.get('b.1')).toBe('b x y|')
    const told = run.events.flatMap((event) =>
      event.type === 'output-withdraw' || event.type === 'stage-start' ? `${event.type} ${event.callId}` : [],
    )
    expect(told).toEqual(['stage-start a.1', 'output-withdraw a.1', 'stage-start a.2', 'stage-start b.1'])
  })

  it('is not made again for a fault that would come again', async () => {
    const script = inTurn('a', [busy({ code: 'CAESURA_E_REQUEST', retryable: false })])
    const record = await scriptedRun(stages({ attempts: 3 }), { settings, script }).finish()
    expect(record.stages).toHaveLength(1)
  })

  it('counts attempts anew when an interrupt leads to the stage again', async () => {
    const pipeline = stages({ attempts: 2 }, { response: 'abort', then: 'again' })
    const script = inTurn('a', [busy(), speak('one two three'), busy(), speak('four')])
    const record = await scriptedRun(pipeline, { settings, script, signals: [{ afterMs: 180, input: 'x' }] }).finish()
    expect(record.stages.map(({ callId, visit, attempt, settlement }) => [callId, visit, attempt, settlement])).toEqual(
      [
        ['a.1', 1, 1, 'failed'],
        ['a.2', 1, 2, 'aborted'],
        ['a.3', 2, 1, 'failed'],
        ['a.4', 2, 2, 'completed'],
        ['b.1', 1, 1, 'completed'],
      ],
    )
    expect(record.schema).toBe('caesura.record/2')
    expect(record.visits).toEqual([
      { stage: 'a', visit: 1, from: 'order', calls: ['a.1', 'a.2'] },
      { stage: 'a', visit: 2, from: 'again', calls: ['a.3', 'a.4'] },
      { stage: 'b', visit: 1, from: 'order', calls: ['b.1'] },
    ])
  })
})

describe('an interrupt and a retry', () => {
  it('a call that was told to stop is never made again, whatever fault it ends in', async () => {
    let calls = 0
    const fault: CallEnd = { end: 'failed', error: { code: 'CAESURA_E_CONNECTION', message: 'x' }, retryable: true }
    const backend = {
      kind: 'own',
      server: async () => ({ kind: 'own' }),
      models: async () => [],
      close: async () => undefined,
      generate: (_: unknown, { signal }: { signal: AbortSignal }) =>
        ++calls > 1
          ? Promise.resolve<CallEnd>({ end: 'completed' })
          : new Promise<CallEnd>((resolve) => signal.addEventListener('abort', () => resolve(fault))),
    }
    const nodes = [{ name: 'n', backend, slots: 2, pool: 'default' }]
    const signals = [{ afterMs: 20, input: 'now' }]
    const record = await scriptedRun(stages({ attempts: 3 }), { settings: { ...settings, nodes }, signals }).finish()
    expect(record.stages.map(({ callId, settlement }) => [callId, settlement])).toEqual([
      ['a.1', 'failed'],
      ['b.1', 'completed'],
    ])
    expect(record.outcome).toBe('completed')
  })

  it('abort in a pause ends the stage at once and carries what had come', async () => {
    const pipeline = stages({ attempts: 2, afterFirstToken: 'restart' }, { response: 'abort', carry: 'all' })
    const script = inTurn('a', [busy({ code: 'CAESURA_E_STREAM_CUT', afterTokens: 2 })])
    const run = scriptedRun(pipeline, { settings, script, signals: [{ afterMs: 50, input: 'now' }] })
    const record = await run.finish()
    expect(record.stages.map(({ callId, settlement, startMs }) => [callId, settlement, startMs])).toEqual([
      ['a.1', 'failed', 0],
      ['b.1', 'completed', 50],
    ])
    expect(run.prompts.get('b.1')).toBe('b a b |now')
    expect(run.clock.pending).toBe(0)
  })

  it('drain goes on with the next attempt: it is drained, and the phases know its end', async () => {
    const script = inTurn('a', [busy(), speak('x y')])
    const run = scriptedRun(stages({ attempts: 2 }, { response: 'drain' }), {
      settings,
      script,
      signals: [{ afterMs: 5, input: 'now' }],
    })
    const record = await run.finish()
    expect(record.stages.map(({ callId, settlement }) => [callId, settlement])).toEqual([
      ['a.1', 'failed'],
      ['a.2', 'drained'],
      ['b.1', 'completed'],
    ])
    expect(run.prompts.get('b.1')).toBe('b x y|now')
    expect(record.interrupts).toMatchObject([{ fromCall: 'a.1', toCall: 'b.1', toFirstTokenMs: 215 }])
    expect(record.interrupts[0]!.phases).toEqual([
      { name: 'drain', ms: 165, source: 'observed' },
      { name: 'prefill', ms: 50, source: 'observed' },
    ])
  })

  it('grace reaches the attempt that runs when its time is over', async () => {
    const script = inTurn('a', [busy(), speak('one two three four', { tokenMs: 100 })])
    const record = await scriptedRun(stages({ attempts: 2 }, { response: { grace: 300 } }), {
      settings,
      script,
      signals: [{ afterMs: 5, input: 'now' }],
    }).finish()
    expect(record.stages.map(({ callId, settlement, settledMs }) => [callId, settlement, settledMs])).toEqual([
      ['a.1', 'failed', 10],
      ['a.2', 'aborted', 305],
      ['b.1', 'completed', 355],
    ])
  })

  it('held delivery stays held over a retry, and is released with nothing lost', async () => {
    const script = inTurn('a', [busy(), speak('one two three')])
    const run = scriptedRun(stages({ attempts: 2 }, { response: { hold: { confirm: 200 } } }), {
      settings,
      script,
      signals: [{ afterMs: 5 }],
    })
    const record = await run.finish()
    expect(record.stages[1]).toMatchObject({ callId: 'a.2', tokens: { generated: 3, delivered: 3, wasted: 0 } })
    const times = run.events.flatMap((event) => (event.type === 'token' && event.stage === 'a' ? event.ms : []))
    expect(times).toHaveLength(3)
    expect(Math.min(...times)).toBeGreaterThanOrEqual(205)
  })

  it('the time that attempts of the next stage took is a phase of its own', async () => {
    const pipeline = pipelineFrom({
      name: 'p',
      stages: [
        { id: 'a', model: 'm', prompt: 'x', policy: { response: 'abort' } },
        { id: 'b', model: 'm', prompt: 'y', retry: { attempts: 3 } },
      ],
    })
    const script = inTurn('b', [busy(), busy(), speak('ok')])
    const record = await scriptedRun(pipeline, { settings, script, signals: [{ afterMs: 20 }] }).finish()
    expect(record.interrupts).toMatchObject([{ toCall: 'b.3', toFirstTokenMs: 370 }])
    expect(record.interrupts[0]!.phases).toEqual([
      { name: 'retry', ms: 320, source: 'observed' },
      { name: 'prefill', ms: 50, source: 'observed' },
    ])
  })

  it('boundary listens to the attempt that runs', async () => {
    // In the middle of a sentence when the interrupt comes, at 15 ms; then the stream is cut.
    const script = inTurn('a', [
      busy({ code: 'CAESURA_E_STREAM_CUT', afterTokens: 2 }),
      speak('One two. Three four five six.'),
    ])
    const pipeline = stages({ attempts: 2, afterFirstToken: 'restart' }, { response: { boundary: { cap: '10s' } } })
    const record = await scriptedRun(pipeline, { settings, script, signals: [{ afterMs: 15 }] }).finish()
    expect(record.stages[1]).toMatchObject({ callId: 'a.2', settlement: 'aborted', text: 'One two. Three' })
  })

  it('a response sees the attempts that took the place of both calls', async () => {
    const seen: string[] = []
    const watching: ResponseDefinition = {
      name: 'watching',
      summary: 's',
      start: () => [setDeadline(200), fireWhenSettled],
      on: {
        deadline: ({ call }) => {
          seen.push(`${call.tokens} tokens`)
          return [fireNext]
        },
        nextFirstToken: ({ next }) => {
          seen.push(`first token ${next.firstTokenAt! / 1e6}`)
          return [cancelCall]
        },
      },
    }
    const own = { ...catalogue, responses: [...catalogue.responses, watching] }
    const one = (id: string, policy: object) => ({ id, model: 'm', prompt: 'x', retry: { attempts: 2 }, policy })
    const pipeline = definePipelineWith(own, { name: 'p', stages: [one('a', { response: 'watching' }), one('b', {})] })
    const long = { ...speak('one two three four'), tokenMs: 30, hang: true }
    const [a, b] = [inTurn('a', [busy(), long]), inTurn('b', [busy(), speak('ok')])]
    const record = await scriptedRun(pipeline, {
      settings: { ...settings, catalogue: own },
      script: (request) => (request.stage === 'a' ? a(request) : b(request)),
      signals: [{ afterMs: 5 }],
    }).finish()
    // a.2 starts at 110 and speaks from 160 on; b.1 starts at 205 and fails at 215, b.2 starts at 315.
    expect(seen).toEqual(['2 tokens', 'first token 365'])
    expect(record.interrupts).toMatchObject([{ toCall: 'b.2', toFirstTokenMs: 360 }])
  })

  it('a next stage that starts again after its first token leaves the interrupt’s first token where it was', async () => {
    const pipeline = pipelineFrom({
      name: 'p',
      stages: [
        { id: 'a', model: 'm', prompt: 'x', policy: { response: 'abort' } },
        { id: 'b', model: 'm', prompt: 'y', retry: { attempts: 2, afterFirstToken: 'restart' } },
      ],
    })
    const script = inTurn('b', [busy({ code: 'CAESURA_E_STREAM_CUT', afterTokens: 2 }), speak('ok')])
    const record = await scriptedRun(pipeline, { settings, script, signals: [{ afterMs: 20 }] }).finish()
    expect(record.interrupts).toMatchObject([{ toCall: 'b.1', toFirstTokenMs: 10 }])
    expect(record.output).toBe('ok')
  })

  it('cancelling the run ends a pause', async () => {
    const run = scriptedRun(stages({ attempts: 3, pause: '30s' }), { settings, script: inTurn('a', [busy()]) })
    await run.clock.advance(msToNs(100))
    run.run.cancel('enough')
    const record = await run.finish()
    expect(record).toMatchObject({ outcome: 'cancelled', durationMs: 100 })
    expect(record.stages).toMatchObject([{ callId: 'a.1', settlement: 'failed' }])
    expect(run.clock.pending).toBe(0)
  })
})

describe('what is worth another attempt', () => {
  const retry: Retry = { attempts: 5, pauseMs: 200, afterFirstToken: 'fail' }
  const restart: Retry = { ...retry, afterFirstToken: 'restart' }
  const end = (code: ErrorCode, more: Partial<CallEnd> = {}): CallEnd => ({
    end: 'failed',
    error: { code, message: 'x' },
    ...more,
  })
  const codes = Object.keys(errorCodes) as ErrorCode[]

  it('before the first token what the backend says, after it what may pass', () => {
    const asked = codes.filter((code) => code !== 'CAESURA_E_WORKER_LOST' && code !== 'CAESURA_E_FORMAT')
    for (const code of asked) {
      expect(mayTryAgain({ end: end(code, { retryable: true }), pieces: 0, attempts: 1 }, retry)).toBe(true)
      expect(mayTryAgain({ end: end(code), pieces: 0, attempts: 1 }, restart)).toBe(false)
      expect(mayTryAgain({ end: end(code, { retryable: true }), pieces: 1, attempts: 1 }, retry)).toBe(false)
    }
    expect(asked.filter((code) => mayTryAgain({ end: end(code), pieces: 1, attempts: 1 }, restart))).toEqual([
      'CAESURA_E_CONNECTION',
      'CAESURA_E_SERVER',
      'CAESURA_E_SERVER_BUSY',
      'CAESURA_E_STREAM_CUT',
      'CAESURA_E_MODEL_ERROR',
      'CAESURA_E_TIMEOUT_STALL',
    ])
  })

  it('an answer that came whole and is not what was asked for, also after its first token', () => {
    const unfit = { end: end('CAESURA_E_FORMAT', { retryable: true }), pieces: 9 }
    expect([1, 4, 5].map((attempts) => mayTryAgain({ ...unfit, attempts }, retry))).toEqual([true, true, false])
    expect(mayFallBack({ ...unfit, attempts: 5 }, retry)).toBe(true)
  })

  it('a call whose worker died is made again unasked, up to ten times, whatever had come', () => {
    const lost = { end: end('CAESURA_E_WORKER_LOST'), pieces: 3 }
    expect(mayTryAgain({ ...lost, attempts: 9 }, { ...retry, attempts: 1 })).toBe(true)
    expect(mayTryAgain({ ...lost, attempts: 10 }, { ...retry, attempts: 1 })).toBe(false)
    expect(mayTryAgain({ ...lost, end: { ...lost.end, end: 'cancelled' }, attempts: 1 }, retry)).toBe(false)
  })

  it('another model or node is of use but for faults of the run itself', () => {
    expect(codes.filter((code) => !mayFallBack({ end: end(code), pieces: 0, attempts: 1 }, retry))).toEqual([
      'CAESURA_E_PROMPT_EMPTY',
      'CAESURA_E_POLICY',
      'CAESURA_E_OUTPUT_LIMIT',
      'CAESURA_E_INTERNAL',
    ])
    expect(mayFallBack({ end: end('CAESURA_E_SERVER'), pieces: 1, attempts: 1 }, retry)).toBe(false)
    expect(mayFallBack({ end: end('CAESURA_E_SERVER'), pieces: 1, attempts: 1 }, restart)).toBe(true)
    // Only what has failed, and of which it is known how.
    for (const other of ['completed', 'cancelled'] as const) {
      for (const odd of [{ end: other }, end('CAESURA_E_SERVER', { end: other, retryable: true })]) {
        expect(mayFallBack({ end: odd, pieces: 0, attempts: 1 }, restart)).toBe(false)
        expect(mayTryAgain({ end: odd, pieces: 0, attempts: 1 }, restart)).toBe(false)
      }
    }
    expect(mayFallBack({ end: { end: 'failed' }, pieces: 0, attempts: 1 }, restart)).toBe(false)
    expect(mayTryAgain({ end: { end: 'failed' }, pieces: 1, attempts: 1 }, restart)).toBe(false)
  })

  it('pauses never pass their bound, which doubles up to 30 s, and are never shorter than the server asks', () => {
    const any = fc.record({
      attempts: fc.integer({ min: 1, max: 10 }),
      pause: fc.integer({ min: 0, max: 30_000 }),
      random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      retryAfterMs: fc.option(fc.integer({ min: 0, max: 60_000 }), { nil: undefined }),
    })
    fc.assert(
      fc.property(any, ({ attempts, pause, random, retryAfterMs }) => {
        const failed = {
          end: end('CAESURA_E_SERVER_BUSY', retryAfterMs === undefined ? {} : { retryAfterMs }),
          pieces: 0,
        }
        const ms = pauseMs({ ...failed, attempts }, { ...retry, pauseMs: pause }, () => random)
        const bound = Math.min(30_000, pause * 2 ** (attempts - 1))
        expect(ms).toBe(Math.max(random * bound, retryAfterMs ?? 0))
        expect(ms).toBeLessThanOrEqual(Math.max(30_000, retryAfterMs ?? 0))
      }),
    )
  })
})

describe('whatever fails when', () => {
  const script = fc.record({
    tokens: fc.array(fc.constantFrom('one ', 'two. '), { maxLength: 5 }),
    firstTokenMs: fc.integer({ min: 0, max: 40 }),
    tokenMs: fc.integer({ min: 0, max: 15 }),
    abortMs: fc.integer({ min: 0, max: 20 }),
    fault: fc.option(
      fc.record({
        code: fc.constantFrom<ErrorCode>('CAESURA_E_SERVER_BUSY', 'CAESURA_E_STREAM_CUT', 'CAESURA_E_NO_MODEL'),
        afterTokens: fc.nat(3),
        retryable: fc.boolean(),
      }),
      { nil: undefined },
    ),
  })
  const scenario = fc.record({
    scripts: fc.array(script, { minLength: 1, maxLength: 5 }),
    retry: fc.record({
      attempts: fc.integer({ min: 1, max: 3 }),
      pause: fc.integer({ min: 0, max: 50 }),
      afterFirstToken: fc.constantFrom('fail', 'restart'),
    }),
    fallback: fc.option(fc.subarray(['n1', 'm2', 'm3'], { minLength: 1 }), { nil: undefined }),
    response: fc.constantFrom<unknown>('drain', 'abort', 'overlap', 'race', { grace: 30 }, { hold: { confirm: 30 } }),
    timeout: fc.option(fc.record({ firstToken: fc.integer({ min: 1, max: 60 }) }), { nil: undefined }),
    signals: fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 200 }), input: fc.constant('x') }), {
      maxLength: 3,
    }),
    cancelAt: fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined, freq: 4 }),
    slots: fc.constantFrom(1, 2),
  })

  it('every call settles once, a withdrawn text counts as wasted, nothing is left behind', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ scripts, retry, fallback, response, timeout, signals, cancelAt, slots }) => {
        const plain = JSON.parse(JSON.stringify({ retry, fallback, timeout, policy: { response } }))
        const pipeline = pipelineFrom({
          name: 'p',
          stages: ['a', 'b'].map((id) => ({ id, model: 'm', prompt: `${id} {{ interrupt.input }}`, ...plain })),
        })
        let calls = 0
        const cancelled = new AbortController()
        const { clock, events, finish } = scriptedRun(pipeline, {
          signals,
          slots,
          settings,
          signal: cancelled.signal,
          script: () => {
            const { fault, ...rest } = scripts[calls++ % scripts.length]!
            return fault === undefined ? rest : { ...rest, fail: { ...fault, message: 'x' } }
          },
        })
        const withdraw =
          cancelAt === undefined
            ? undefined
            : clock.schedule(msToNs(cancelAt), () => cancelled.abort(new Error('enough')))
        const record = await finish()
        withdraw?.()
        expect(recordSchema.parse(record)).toEqual(record)
        expect(clock.pending).toBe(0)
        const entries = (record.interrupts.length + 2) * 2
        expect(record.stages.length).toBeLessThanOrEqual(entries * retry.attempts * (1 + (fallback?.length ?? 0)))
        for (const stage of record.stages) {
          const own = events.filter((event) => 'callId' in event && event.callId === stage.callId)
          expect(own.filter(({ type }) => type === 'stage-start')).toHaveLength(1)
          expect(own.filter(({ type }) => type === 'stage-settle')).toHaveLength(1)
          expect(stage.tokens.delivered).toBeLessThanOrEqual(stage.tokens.generated)
          expect(stage.tokens.wasted).toBeLessThanOrEqual(stage.tokens.generated)
          if (own.at(-1)?.type === 'output-withdraw') expect(stage.tokens.wasted).toBe(stage.tokens.generated)
        }
        for (const { phases, toFirstTokenMs = 0 } of record.interrupts) {
          expect(phases.reduce((sum, { ms }) => sum + Math.round(ms * 1e6), 0)).toBe(Math.round(toFirstTokenMs * 1e6))
        }
      }),
      { numRuns: Number(process.env.INTERLEAVINGS ?? 1500) },
    )
  }, 60_000)
})
