import { describe, expect, it } from 'vitest'
import type { CallRequest } from '../../src/core/call.ts'
import { Journal } from '../../src/core/journal.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import type { CallScript } from '../../src/nodes/backends/scripted.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { scriptedRun } from '../fixtures/scripted-run.ts'

const stageOf = (more: object = {}) => ({ id: 'a', model: 'm', prompt: 'x', ...more })
const pipelineOf = (...stages: object[]) =>
  pipelineFrom({ name: 'p', stages: stages.length > 0 ? stages : [stageOf()] })

/** Thinks for so many pieces, one each 10 ms, and then says two. */
const thinker = (thoughts: number, more: Partial<CallScript> = {}): CallScript => ({
  thinking: Array(thoughts).fill('hm '),
  tokens: ['Yes', '.'],
  firstTokenMs: 20,
  tokenMs: 10,
  ...more,
})

describe('thinking', () => {
  it('is counted, and the record has the first piece beside the first text', async () => {
    const record = await scriptedRun(pipelineOf(), { script: thinker(5, { generatedTokens: 14 }) }).finish()
    expect(record).toMatchObject({
      outcome: 'completed',
      output: 'Yes.',
      cost: { generatedTokens: 14, wastedTokens: 0 },
    })
    expect(record.stages[0]).toMatchObject({
      firstPieceMs: 20,
      firstTokenMs: 70,
      lastTokenMs: 80,
      tokens: { generated: 14, thinking: 10, delivered: 4, wasted: 0, counted: 'server' },
    })
  })

  it('of a call that was cut while it thought is wasted, all of it', async () => {
    const stages = [
      stageOf({ policy: { trigger: { after: 85 }, response: 'abort' } }),
      { id: 'b', model: 'm', prompt: 'y' },
    ]
    const script = () => thinker(30, { generatedTokens: 99 })
    const record = await scriptedRun(pipelineOf(...stages), { script }).finish()
    expect(record.stages[0]).toMatchObject({
      settlement: 'aborted',
      text: '',
      tokens: { generated: 7, thinking: 7, delivered: 0, wasted: 7, counted: 'pieces' },
    })
    expect(record.stages[0]).not.toHaveProperty('firstTokenMs')
    expect(record.cost.wastedTokens).toBe(7)
  })

  it('is used with the first text that stands', async () => {
    const policy = { trigger: { tokens: 1 }, response: 'abort', then: 'end' }
    const script = thinker(4, { tokens: ['Yes. ', 'No. ', 'So.'], generatedTokens: 'none' })
    const record = await scriptedRun(pipelineOf(stageOf({ policy })), { script }).finish()
    expect(record.stages[0]!.tokens).toMatchObject({ generated: 5, thinking: 4, delivered: 1, wasted: 0 })
  })

  it.each([
    ['firstToken', { firstToken: 50 }],
    ['stall', { stall: 50 }],
  ])('is life for the limit %s', async (_name, timeout) => {
    const record = await scriptedRun(pipelineOf(stageOf({ timeout })), { script: thinker(30) }).finish()
    expect(record).toMatchObject({ outcome: 'completed', output: 'Yes.' })
  })

  it('is life for the trigger stall, whose silence counts from the last thought', async () => {
    const policy = { trigger: { stall: 50 }, response: 'abort', then: 'end' }
    const alive = await scriptedRun(pipelineOf(stageOf({ policy })), { script: thinker(30) }).finish()
    expect(alive.interrupts).toEqual([])
    const dead = await scriptedRun(pipelineOf(stageOf({ policy })), {
      script: thinker(3, { tokens: [], hang: true }),
    }).finish()
    expect(dead.interrupts).toMatchObject([{ trigger: 'stall', at: 90 }])
  })

  it('that a limit ends is named by it', async () => {
    const stalled = await scriptedRun(pipelineOf(stageOf({ timeout: { stall: 50 } })), {
      script: thinker(3, { tokens: [], hang: true }),
    }).finish()
    expect(stalled.error).toEqual({
      code: 'CAESURA_E_TIMEOUT_STALL',
      message:
        "stage a: no next token within 50 ms (90 ms after the call's start; 3 pieces of thinking and no text had come)",
    })
    const long = await scriptedRun(pipelineOf(stageOf({ timeout: { total: 75 } })), {
      script: thinker(5, { tokenMs: 10, endMs: 99 }),
    }).finish()
    expect(long.error?.message).toContain('5 pieces of thinking and 1 piece of text had come')
  })

  it('does not make a first token, and is told in events of its own, never as a token', async () => {
    const policy = { trigger: 'first-token', response: 'drain', then: 'end' }
    const { finish, events } = scriptedRun(pipelineOf(stageOf({ policy })), { script: thinker(3) })
    const record = await finish()
    expect(record.interrupts).toMatchObject([{ trigger: 'first-token', at: 50 }])
    expect(events.filter(({ type }) => type === 'thinking' || type === 'token')).toMatchObject([
      ...[20, 30, 40].map((ms) => ({ type: 'thinking', stage: 'a', callId: 'a.1', ms, text: 'hm ' })),
      ...[50, 60].map((ms) => ({ type: 'token', ms })),
    ])
    expect(record).toMatchObject({ output: 'Yes.', stages: [{ thinking: 'hm hm hm ', text: 'Yes.' }] })
  })

  it('is well-formed, wherever it was cut', async () => {
    const script = thinker(0, { thinking: ['a\ud83d', '\ude00b', '\ud83d'] })
    const { finish, events } = scriptedRun(pipelineOf(), { script })
    expect((await finish()).stages[0]!.thinking).toBe('a😀b\ufffd')
    const told = events.flatMap((event) => (event.type === 'thinking' ? [event.text] : []))
    expect(told).toEqual(['a', '😀b', '\ufffd'])
  })

  it('is seen by later prompts as STAGE.thinking, also of a call that was cut, and is no part of its output', async () => {
    const asked: string[] = []
    const script = (request: CallRequest) => {
      asked.push(request.messages.at(-1)!.content)
      return thinker(3)
    }
    const stages = (policy: object) => [
      stageOf({ policy }),
      { id: 'b', model: 'm', prompt: '[{{ a.output }}|{{ a.thinking }}|{{ b.thinking }}]' },
    ]
    await scriptedRun(pipelineOf(...stages({ trigger: 'never' })), { script }).finish()
    await scriptedRun(pipelineOf(...stages({ trigger: { thinking: 15 }, response: 'abort' })), { script }).finish()
    expect(asked.filter((text) => text.startsWith('['))).toEqual(['[Yes.|hm hm hm |]', '[|hm hm |]'])
  })

  it('that takes too long is what the trigger thinking interrupts', async () => {
    const stages = (most: number) => [
      stageOf({ policy: { trigger: { thinking: most }, response: 'abort' } }),
      { id: 'b', model: 'm', prompt: 'y' },
    ]
    const script = ({ stage }: CallRequest) => thinker(stage === 'a' ? 9 : 2)
    const cut = await scriptedRun(pipelineOf(...stages(50)), { script }).finish()
    expect(cut.interrupts).toMatchObject([{ trigger: 'thinking', at: 70, toFirstTokenMs: 40 }])
    expect(cut.interrupts[0]!.phases.at(-1)).toEqual({ name: 'thinking', ms: 20, source: 'observed' })
    expect(cut.stages[0]).toMatchObject({ settlement: 'aborted', tokens: { generated: 5, thinking: 5, wasted: 5 } })
    const free = await scriptedRun(pipelineOf(...stages(91)), { script }).finish()
    expect(free.interrupts).toEqual([])
  })

  it.each([
    // Between two sentences boundary is abort: nothing is spoken yet.
    ['boundary', { decision: 'boundary', at: 40 }, 'aborted', 40],
    ['abort', { decision: 'abort' }, 'aborted', 40],
    [{ grace: 20 }, { decision: 'grace' }, 'aborted', 60],
    ['drain', { decision: 'drain' }, 'drained', 110],
    [{ hold: { confirm: 30 } }, { decision: 'resume' }, 'completed', 110],
  ] as const)('answers %j as ever', async (response, interrupt, settlement, settledMs) => {
    const stages = [stageOf({ policy: { trigger: 'signal', response } }), { id: 'b', model: 'm', prompt: 'y' }]
    const record = await scriptedRun(pipelineOf(...stages), {
      script: thinker(8),
      signals: [{ afterMs: 40, input: 'x' }],
    }).finish()
    expect(record.interrupts).toMatchObject([interrupt])
    expect(record.stages[0]).toMatchObject({ settlement, settledMs })
  })

  it('is told while delivery is paused: what is held is the answer', async () => {
    const stages = [stageOf({ policy: { response: { hold: { confirm: 60 } } } }), { id: 'b', model: 'm', prompt: 'y' }]
    const { finish, events } = scriptedRun(pipelineOf(...stages), {
      script: thinker(4),
      signals: [{ afterMs: 30, input: 'x' }],
    })
    await finish()
    const told = events.filter((event) => 'callId' in event && event.callId === 'a.1')
    expect(told.flatMap(({ type, ms }) => (type === 'thinking' ? [ms] : []))).toEqual([20, 30, 40, 50])
    expect(told.flatMap(({ type, ms }) => (type === 'token' ? [ms] : []))).toEqual([90, 90])
  })

  it('counts towards the limit of what a run may generate', async () => {
    const record = await scriptedRun(pipelineOf(), {
      script: thinker(30),
      settings: { outputLimits: { tokens: 10 } },
    }).finish()
    expect(record.error?.code).toBe('CAESURA_E_OUTPUT_LIMIT')
  })

  it('is in a journal that goes on elsewhere', () => {
    const clock = new VirtualClock()
    const identity = { runId: 'r', pipeline: 'p', trace: { traceId: '0'.repeat(32) } }
    const before = new Journal(identity, clock)
    const request = { callId: 'a.1', runId: 'r', stage: 'a', attempt: 1, model: 'm', messages: [], options: {} }
    const call = before.openCall({ ...request, placement: 'any' })
    call.think('hm ', 5)
    call.think('so', 7)
    call.perPiece = 2.5
    const texts = new Map([['a.1', JSON.parse(JSON.stringify(call.generated))]])
    const state = JSON.parse(JSON.stringify(before.state))
    const after = new Journal(identity, clock, undefined, { state, events: [], texts }).call('a.1')
    expect(after).toMatchObject({ thoughts: 2, thinking: 'hm so', lastPieceAt: 7, perPiece: 2.5 })
  })
})

describe('tokens on a server that sends several a piece', () => {
  const cutAt = (tokens: number) => ({
    policy: { trigger: { tokens }, response: 'abort', carry: 'none', then: 'next' },
  })

  it('are counted alike in a call that ended and in one that was cut, once an answer was seen', async () => {
    const script: CallScript = { tokens: Array(10).fill('w '), tokenMs: 10, generatedTokens: 41 }
    const stages = [
      stageOf({ policy: { trigger: 'never' } }),
      { id: 'b', model: 'm', prompt: 'y', ...cutAt(5) },
      { id: 'c', model: 'm', prompt: 'z' },
    ]
    const record = await scriptedRun(pipelineOf(...stages), { script }).finish()
    expect(record.stages.map(({ tokens }) => tokens)).toEqual([
      { generated: 41, delivered: 41, wasted: 0, counted: 'server' },
      // Of 41 tokens one ended the answer and was in no piece.
      { generated: 20, delivered: 20, wasted: 20, counted: 'pieces', perPiece: 4 },
      { generated: 41, delivered: 41, wasted: 0, counted: 'server' },
    ])
    expect(record.cost).toMatchObject({ generatedTokens: 102, wastedTokens: 20 })
  })

  it('are pieces where no answer was seen before, and say so', async () => {
    const script: CallScript = { tokens: Array(10).fill('w '), tokenMs: 10, generatedTokens: 41 }
    const record = await scriptedRun(pipelineOf(stageOf(cutAt(5)), { id: 'b', model: 'm', prompt: 'y' }), {
      script,
    }).finish()
    expect(record.stages[0]!.tokens).toEqual({ generated: 5, delivered: 5, wasted: 5, counted: 'pieces' })
  })
})

describe('an answer without text', () => {
  it.each([
    [{ thinking: ['hm ', 'hm '], finishReason: 'length' }, /used up while the model still thought \(2 tokens\)/],
    [{ thinking: ['hm '] }, /the model thought \(1 token\) and then said nothing/],
    [{ toolCalls: [{ name: 'weather' }], finishReason: 'tool-calls' }, /the model asked for the tool weather instead/],
    [{ finishReason: 'content-filter' }, /a content filter of the server took it away/],
    [{ finishReason: 'length', generatedTokens: 4 }, /used up before its first text/],
    [{}, /the model ended it at once/],
  ] as const)('%j is told, and why the prompt that needed it is empty', async (more, why) => {
    const script = ({ stage }: { readonly stage: string }): CallScript =>
      stage === 'a' ? { tokens: [], ...more } : thinker(0)
    const alone = await scriptedRun(pipelineOf(), { script }).finish()
    expect(alone).toMatchObject({ outcome: 'completed', output: '' })
    expect(alone.stages[0]).toMatchObject({ finishReason: 'finishReason' in more ? more.finishReason : 'stop' })
    const record = await scriptedRun(pipelineOf(stageOf(), { id: 'b', model: 'm', prompt: '{{ a.output }}' }), {
      script,
    }).finish()
    expect(record.error?.code).toBe('CAESURA_E_PROMPT_EMPTY')
    expect(record.error?.message).toMatch(/^the prompt of stage b is empty .*: a\.output is empty, because /)
    expect(record.error?.message).toMatch(why)
  })

  it('that a policy did not carry on is no fault of its model', async () => {
    const stages = [
      stageOf({ policy: { trigger: { tokens: 1 }, response: 'abort', carry: 'none' } }),
      { id: 'b', model: 'm', prompt: '{{ a.output }}' },
    ]
    const record = await scriptedRun(pipelineOf(...stages), { script: thinker(0) }).finish()
    expect(record.error?.message).toMatch(/because its policy carried nothing on$/)
  })
})
