import { describe, expect, it } from 'vitest'
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

  it('does not make a first token, and no event of the run has its text', async () => {
    const policy = { trigger: 'first-token', response: 'drain', then: 'end' }
    const { finish, events } = scriptedRun(pipelineOf(stageOf({ policy })), { script: thinker(5) })
    const record = await finish()
    expect(record.interrupts).toMatchObject([{ trigger: 'first-token', at: 70 }])
    expect(JSON.stringify(events)).not.toContain('hm ')
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
    call.think(5)
    call.think(7)
    call.perPiece = 2.5
    const texts = new Map([['a.1', JSON.parse(JSON.stringify(call.generated))]])
    const state = JSON.parse(JSON.stringify(before.state))
    const after = new Journal(identity, clock, undefined, { state, events: [], texts }).call('a.1')
    expect(after).toMatchObject({ thoughts: 2, lastPieceAt: 7, perPiece: 2.5 })
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
