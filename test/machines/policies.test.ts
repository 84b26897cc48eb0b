import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/compose.ts'
import { msToNs } from '../../src/core/clock.ts'
import { durationSchema } from '../../src/core/duration.ts'
import {
  cancelCall,
  decide,
  fireNext,
  fireWhenSettled,
  pauseDelivery,
  type ResponseDefinition,
  releaseDelivery,
  setDeadline,
} from '../../src/core/policy.ts'
import { definePipelineWith } from '../../src/pipelines/pipeline-schema.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { scriptedRun, speak, twoStages } from '../fixtures/scripted-run.ts'

const long = (stage: string) =>
  stage === 'draft' ? { tokens: Array(30).fill('w '), firstTokenMs: 50, tokenMs: 10 } : speak('done now')

describe('triggers', () => {
  it.each([
    ['tokens: 5', { tokens: 5 }, 90],
    ['after 73 ms, a wait for the slot included', { after: 73 }, 73],
    ['first-token', 'first-token', 50],
    ['the first of any', { any: [{ after: '1s' }, { tokens: 3 }, { after: 61 }] }, 61],
    ['any, whose tokens come first', { any: [{ after: '1s' }, { tokens: 3 }] }, 70],
  ])('%s', async (_, trigger, at) => {
    const record = await scriptedRun(twoStages({ trigger, response: 'abort' }), {
      script: (r) => long(r.stage),
    }).finish()
    expect(record.interrupts).toMatchObject([{ at }])
    expect(record.stages[0]!.settlement).toBe('aborted')
  })

  it('never: the call ends by itself; a signal interrupts all the same', async () => {
    const quiet = await scriptedRun(twoStages({ trigger: 'never' }), { script: (r) => long(r.stage) }).finish()
    expect(quiet.interrupts).toEqual([])
    const signalled = await scriptedRun(twoStages({ trigger: 'never' }), {
      script: (r) => long(r.stage),
      signals: [{ afterMs: 77, input: 'x' }],
    }).finish()
    expect(signalled.interrupts).toMatchObject([{ at: 77, trigger: 'signal', input: 'x' }])
  })

  it('signals: ignore refuses signals, and says so', async () => {
    const { run, clock, finish } = scriptedRun(twoStages({ trigger: { tokens: 29, signals: 'ignore' } }), {
      script: (r) => long(r.stage),
    })
    await clock.advance(msToNs(60))
    expect(await run.interrupt({ input: 'x' })).toEqual({
      accepted: false,
      reason: 'the policy ignores signals',
    })
    expect((await finish()).interrupts).toMatchObject([{ trigger: 'signal', suppressed: true }, { trigger: 'tokens' }])
  })
})

describe('then', () => {
  const chat = (then: string | undefined, extra: object = {}) =>
    pipelineFrom({
      name: 'p',
      ...extra,
      stages: [
        {
          id: 'a',
          model: 'm',
          prompt: 'a {{ interrupt.input }}',
          policy: { response: 'abort', ...(then !== undefined && { then }) },
        },
        { id: 'b', model: 'm', prompt: 'b {{ a.output }}' },
        { id: 'c', model: 'm', prompt: 'c {{ a.output }}' },
      ],
    })
  const path = async (then: string | undefined) => {
    const record = await scriptedRun(chat(then), {
      signals: [{ stage: 'a', afterTokens: 2, input: 'x' }],
      script: speak('one two three four'),
    }).finish()
    return { calls: record.stages.map(({ callId }) => callId), to: record.interrupts[0]!.to, output: record.output }
  }
  it.each([
    [undefined, ['a.1', 'b.1', 'c.1'], 'b'],
    ['next', ['a.1', 'b.1', 'c.1'], 'b'],
    ['again', ['a.1', 'a.2', 'b.1', 'c.1'], 'a'],
    ['c', ['a.1', 'c.1'], 'c'],
  ])('%s', async (then, calls, to) => expect(await path(then)).toMatchObject({ calls, to }))
  it('end: the answer is what is carried', async () => {
    expect(await path('end')).toEqual({ calls: ['a.1'], to: undefined, output: 'one two' })
  })
  it('again leads back as often as limit says, then on', async () => {
    const pipeline = pipelineFrom({
      name: 'p',
      stages: [
        {
          id: 'a',
          model: 'm',
          prompt: 'a {{ interrupt.input }}',
          policy: { trigger: { tokens: 2 }, then: 'again', limit: 2 },
        },
        { id: 'b', model: 'm', prompt: 'b' },
      ],
    })
    const record = await scriptedRun(pipeline, { script: speak('one two three four') }).finish()
    expect(record.stages.map(({ callId }) => callId)).toEqual(['a.1', 'a.2', 'a.3', 'b.1'])
    expect(record.interrupts.map(({ to }) => to)).toEqual(['a', 'a', 'b'])
  })
  it('again is bounded by maxInterrupts in any case', async () => {
    const pipeline = pipelineFrom({
      name: 'p',
      maxInterrupts: 3,
      stages: [
        {
          id: 'a',
          model: 'm',
          prompt: 'a {{ interrupt.input }}',
          policy: { trigger: { tokens: 2 }, response: 'abort', then: 'again', limit: 100 },
        },
      ],
    })
    const record = await scriptedRun(pipeline, { script: speak('one two three four') }).finish()
    expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_TOO_MANY_INTERRUPTS' } })
    expect(record.interrupts).toHaveLength(3)
    expect(record.stages.map(({ settlement }) => settlement)).toEqual(['aborted', 'aborted', 'aborted', 'aborted'])
  })
})

describe('warm: load', () => {
  const warmed = async (models: string[], slots: number) => {
    const pipeline = pipelineFrom({
      name: 'p',
      stages: models.map((model, index) => ({ id: `s${index}`, model, prompt: 'x', policy: { warm: 'load' } })),
    })
    const record = await scriptedRun(pipeline, { slots, script: speak('a b') }).finish()
    return record.stages.map((stage) => stage.warmed)
  }
  it('loads the next stage’s model while this stage runs, and the record says so', async () => {
    expect(await warmed(['m1', 'm2'], 2)).toEqual([{ model: 'm2', outcome: 'loaded', node: 'n1' }, undefined])
  })
  it('is skipped, with the reason, without a free slot or for the same model', async () => {
    expect(await warmed(['m1', 'm2'], 1)).toEqual([
      { model: 'm2', outcome: 'skipped', reason: 'no free slot' },
      undefined,
    ])
    expect(await warmed(['m1', 'm1'], 2)).toEqual([
      { model: 'm1', outcome: 'skipped', reason: 'this stage uses the same model' },
      undefined,
    ])
  })
})

// Responses that do not ship yet must need nothing but their own definition: these use every command and event.
describe('a response of one’s own', () => {
  const with_ = (response: ResponseDefinition, policy: object = {}) => {
    const own = { ...catalogue, responses: [...catalogue.responses, response] }
    return {
      settings: { catalogue: own },
      pipeline: definePipelineWith(own, {
        name: 'p',
        stages: [
          {
            id: 'draft',
            model: 'm',
            prompt: 'x',
            policy: { response: response.parameter ? { [response.name]: 40 } : response.name, ...policy },
          },
          { id: 'refine', model: 'm', prompt: '{{ interrupt.input }}|{{ draft.output }}' },
        ],
      }),
    }
  }
  const signals = [{ stage: 'draft', afterTokens: 3, input: 'change' }]

  it('with a deadline: drains, then aborts (grace)', async () => {
    const grace: ResponseDefinition = {
      name: 'own-grace',
      summary: 's',
      parameter: durationSchema,
      start: (_, delay) => [setDeadline(delay as number), fireWhenSettled],
      on: { deadline: () => [cancelCall] },
    }
    const { pipeline, settings } = with_(grace)
    const record = await scriptedRun(pipeline, {
      settings,
      signals,
      script: (r) => ({ ...long(r.stage), abortMs: 5 }),
    }).finish()
    expect(record.stages[0]).toMatchObject({ settlement: 'aborted', settledMs: 115 })
    expect(record.interrupts[0]!.phases).toEqual([
      { name: 'drain', ms: 40, source: 'observed' },
      { name: 'settle', ms: 5, source: 'observed' },
      { name: 'prefill', ms: 50, source: 'observed' },
    ])
  })

  it('that fires first and cancels at the next first token (race): the loser is withdrawn', async () => {
    const race: ResponseDefinition = {
      name: 'own-race',
      summary: 's',
      start: () => [fireNext],
      on: { nextFirstToken: () => [cancelCall] },
    }
    const { pipeline, settings } = with_(race, { carry: 'none' })
    const record = await scriptedRun(pipeline, { settings, signals, script: (r) => long(r.stage) }).finish()
    expect(record.stages).toMatchObject([
      { settlement: 'withdrawn', settledMs: 120 },
      { settlement: 'completed', startMs: 70, firstTokenMs: 120 },
    ])
  })

  it('that is superseded while it races fires the next stage again, with the newest input', async () => {
    const race: ResponseDefinition = {
      name: 'own-race',
      summary: 's',
      start: () => [fireNext],
      on: { nextFirstToken: () => [cancelCall] },
    }
    const { pipeline, settings } = with_(race, { carry: 'none' })
    const { finish, prompts } = scriptedRun(pipeline, {
      settings,
      signals: [...signals, { afterMs: 90, input: 'newer' }],
      slots: 3,
      script: (r) => long(r.stage),
    })
    const record = await finish()
    expect(record.stages.map(({ callId, settlement }) => [callId, settlement])).toEqual([
      ['draft.1', 'withdrawn'],
      ['refine.1', 'withdrawn'],
      ['refine.2', 'completed'],
    ])
    expect(prompts.get('refine.2')).toBe('newer|')
    expect(record.interrupts).toMatchObject([
      { superseded: true },
      { superseded: false, toCall: 'refine.2', toFirstTokenMs: 50 },
    ])
  })

  it('that holds delivery and releases it: nothing is lost, no call is made', async () => {
    const hold: ResponseDefinition = {
      name: 'own-hold',
      summary: 's',
      parameter: durationSchema,
      start: (_, confirm) => [pauseDelivery, setDeadline(confirm as number)],
      on: {
        superseded: () => [cancelCall, fireWhenSettled],
        deadline: () => [releaseDelivery, decide('resume', 'no second signal')],
      },
    }
    const { pipeline, settings } = with_(hold)
    const script = (r: { stage: string }) => long(r.stage)
    const resumed = scriptedRun(pipeline, { settings, signals, script })
    const record = await resumed.finish()
    expect(record.interrupts).toMatchObject([{ decision: 'resume', reason: 'no second signal', phases: [] }])
    expect(
      record.stages.map(({ settlement, tokens }) => [settlement, tokens.generated, tokens.delivered, tokens.wasted]),
    ).toEqual([
      ['completed', 30, 30, 0],
      ['completed', 2, 2, 0],
    ])
    const times = resumed.events.filter((event) => event.type === 'token').map(({ ms }) => ms)
    expect(times.filter((ms) => ms > 70 && ms < 110)).toEqual([])
    expect(times.filter((ms) => ms === 110)).toHaveLength(4)

    const confirmed = await scriptedRun(pipeline, {
      settings,
      signals: [...signals, { afterMs: 95, input: 'newer' }],
      script,
    }).finish()
    expect(confirmed.stages[0]).toMatchObject({ settlement: 'aborted', tokens: { generated: 5, delivered: 3 } })
    expect(confirmed.interrupts).toMatchObject([{ superseded: true }, { decision: 'own-hold', toCall: 'refine.1' }])
  })

  it('that listens to sentences (boundary): cancels at the sentence’s end', async () => {
    const boundary: ResponseDefinition = {
      name: 'own-boundary',
      summary: 's',
      start: () => [fireWhenSettled],
      on: { sentenceEnd: () => [cancelCall] },
    }
    const { pipeline, settings } = with_(boundary, { carry: 'sentences' })
    const { finish, prompts } = scriptedRun(pipeline, {
      settings,
      signals: [{ stage: 'draft', afterTokens: 2, input: 'c' }],
      script: (r) => (r.stage === 'draft' ? speak('One two three. Four five six. Seven') : speak('ok')),
    })
    await finish()
    expect(prompts.get('refine.1')).toBe('c|One two three.')
  })

  it('that throws ends the run as failed, with every call settled', async () => {
    const broken: ResponseDefinition = {
      name: 'own-broken',
      summary: 's',
      start: () => {
        throw new Error('a fault in a policy')
      },
    }
    const { pipeline, settings } = with_(broken)
    const record = await scriptedRun(pipeline, { settings, signals, script: (r) => long(r.stage) }).finish()
    expect(record).toMatchObject({
      outcome: 'failed',
      error: { code: 'CAESURA_E_POLICY', message: 'the response own-broken has thrown: a fault in a policy' },
    })
    expect(record.stages).toMatchObject([{ settlement: 'aborted' }])
  })
})
