import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CallEnd, CallRequest } from '../../src/core/call.ts'
import { msToNs } from '../../src/core/clock.ts'
import { defaultPriors, Estimates } from '../../src/core/estimates.ts'
import { Transcript } from '../../src/core/transcript.ts'

const request = (model: string, maxTokens?: number): CallRequest => ({
  callId: 'a.1',
  runId: 'r',
  stage: 'a',
  attempt: 1,
  model,
  messages: [],
  options: maxTokens === undefined ? {} : { maxTokens },
  placement: 'any',
})

/** A call that had its slot at 0, its first token at `firstMs`, then one each `tokenMs`. */
function call({
  tokens = 0,
  firstMs = 50,
  tokenMs = 10,
  model = 'm',
  abortLagMs = undefined as number | undefined,
  maxTokens = undefined as number | undefined,
}) {
  const transcript = new Transcript(request(model, maxTokens))
  transcript.place = { name: 'n', backend: 'scripted' }
  transcript.ledger.set('slot-acquired', 0)
  for (let token = 0; token < tokens; token++) transcript.append('x', msToNs(firstMs + token * tokenMs))
  if (tokens > 0) transcript.ledger.set('first-token', msToNs(firstMs))
  const endMs = firstMs + tokens * tokenMs
  if (abortLagMs !== undefined) transcript.ledger.set('abort-requested', msToNs(endMs))
  transcript.ledger.set('settled', msToNs(endMs + (abortLagMs ?? 0)))
  const end: CallEnd = { end: abortLagMs === undefined ? 'completed' : 'cancelled' }
  transcript.end = end
  transcript.settlement = abortLagMs === undefined ? 'completed' : 'aborted'
  return transcript
}
const inFlight = (tokens: number, maxTokens?: number) => call({ tokens, maxTokens })

describe('what is expected of a call', () => {
  it('is by stated priors before anything was observed', () => {
    const expected = new Estimates().expect(inFlight(28), msToNs(400))
    expect(expected).toEqual({
      restMs: (defaultPriors.answerTokens - 28) * defaultPriors.msPerToken,
      restTokens: defaultPriors.answerTokens - 28,
      abortLagMs: defaultPriors.abortLagMs,
      basis: 'no longer answer observed, so by stated priors',
    })
    const probed = new Estimates(() => ({ ...defaultPriors, msPerToken: 2, source: 'probe' }))
    expect(probed.expect(inFlight(28), 0)).toMatchObject({ restMs: 200, basis: expect.stringContaining('probe') })
  })

  it('is learnt from calls of the same model on the same node: lengths of longer answers, ms a token, abort lag', () => {
    const estimates = new Estimates()
    for (const tokens of [20, 40, 60]) estimates.observe(call({ tokens }))
    estimates.observe(call({ tokens: 5, abortLagMs: 7 }))
    expect(estimates.expect(inFlight(30), 0)).toEqual({
      restMs: (50 - 30) * 10,
      restTokens: 20,
      abortLagMs: 7,
      basis: '2 answers longer than 30 tokens observed',
    })
    expect(estimates.expect(call({ tokens: 30, model: 'other' }), 0)).toMatchObject({
      abortLagMs: defaultPriors.abortLagMs,
    })
  })

  it('counts what is left of the wait for the first token, and never more than maxTokens', () => {
    const estimates = new Estimates()
    for (let index = 0; index < 50; index++) estimates.observe(call({ tokens: 40, firstMs: 80 }))
    const waiting = new Transcript(request('m'))
    waiting.place = { name: 'n', backend: 'scripted' }
    waiting.ledger.set('slot-acquired', 0)
    expect(estimates.expect(waiting, msToNs(30)).restMs).toBeCloseTo(50 + 400, 6)
    expect(estimates.expect(inFlight(10, 12), 0).restMs).toBeCloseTo(20, 6)
  })

  it('learns nothing from a failed call, and stays bounded and finite whatever it sees', () => {
    const failed = call({ tokens: 3 })
    failed.settlement = 'failed'
    const estimates = new Estimates()
    estimates.observe(failed)
    expect(estimates.expect(inFlight(1), 0).basis).toContain('priors')
    fc.assert(
      fc.property(
        fc.array(fc.record({ tokens: fc.nat(300), firstMs: fc.nat(5000), tokenMs: fc.nat(100) }), { maxLength: 100 }),
        (calls) => {
          for (const [index, each] of calls.entries()) estimates.observe(call({ ...each, model: `m${index % 3}` }))
          for (const model of ['m0', 'm1', 'm2']) {
            const { restMs, abortLagMs } = estimates.expect(call({ tokens: 10, model }), 0)
            expect(Number.isFinite(restMs) && restMs >= 0 && abortLagMs >= 0).toBe(true)
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  it('takes thinking for time that a model takes, and not for text', () => {
    const estimates = new Estimates()
    const thinker = call({ tokens: 0 })
    for (let i = 0; i < 11; i++) thinker.think('t', msToNs(50 + 10 * i))
    thinker.ledger.set('first-piece', msToNs(50))
    for (let i = 0; i < 5; i++) thinker.append('x', msToNs(160 + 10 * i))
    thinker.ledger.set('first-token', msToNs(160))
    estimates.observe(thinker)
    // Five pieces of text, one each 10 ms, the first of which comes 160 ms after the slot.
    const fresh = inFlight(0)
    expect(estimates.expect(fresh, 0).restMs).toBeCloseTo(160 + 5 * 10, 6)
  })

  /** A call that thinks for so many pieces from 50 ms on, one each 10 ms, and then says so many. */
  function thinker(thoughts: number, tokens: number, think?: boolean) {
    const blank = call({})
    const whole = new Transcript({ ...blank.request, ...(think !== undefined && { think }) })
    whole.place = { name: 'n', backend: 'scripted' }
    whole.ledger.set('slot-acquired', 0)
    for (let i = 0; i < thoughts; i++) whole.think('t', msToNs(50 + 10 * i))
    for (let i = 0; i < tokens; i++) whole.append('x', msToNs(50 + 10 * (thoughts + i)))
    if (thoughts + tokens > 0) whole.ledger.set('first-piece', msToNs(50))
    if (tokens > 0) whole.ledger.set('first-token', msToNs(50 + 10 * thoughts))
    whole.end = { end: 'completed' }
    whole.settlement = 'completed'
    return whole
  }

  it('learns lengths of thinking apart: the rest of it, and then the text', () => {
    const estimates = new Estimates()
    for (const thoughts of [10, 30, 50]) estimates.observe(thinker(thoughts, 5))
    const rest = (thoughts: number, tokens = 0, think?: boolean) =>
      estimates.expect(thinker(thoughts, tokens, think), msToNs(50))
    // Before its first piece: 30 of thinking on average, and 5 of text.
    expect(rest(0).restMs).toBeCloseTo(10 * (30 + 5), 6)
    expect(rest(20)).toMatchObject({
      restMs: expect.closeTo(10 * (40 - 20 + 5), 6),
      basis: '3 answers longer than 0 tokens observed; it thinks: 2 longer than 20 tokens observed',
    })
    // Its first text ends it.
    expect(rest(20, 1).restMs).toBeCloseTo(10 * 4, 6)
    expect(rest(0, 0, false).restMs).toBeCloseTo(10 * 5, 6)
    expect(rest(60).restMs).toBeCloseTo(10 * (defaultPriors.answerTokens - 60 + 5), 6)
    expect(rest(60).basis).toContain('no longer thinking was observed')
    // A call that was told not to think says nothing of those that may.
    for (let i = 0; i < 9; i++) estimates.observe(thinker(0, 5, false))
    expect(rest(0).restMs).toBeCloseTo(10 * (30 + 5), 6)
  })

  it('learns how many tokens a piece is, from whole answers that the server counted', () => {
    const estimates = new Estimates()
    const counted = (more: Partial<CallEnd>, pieces = 10) => {
      const whole = call({ tokens: pieces })
      whole.end = { end: 'completed', ...more }
      return whole
    }
    expect(estimates.tokensPerPiece(inFlight(3))).toBeUndefined()
    for (const useless of [
      {},
      { generatedTokens: 9 },
      { generatedTokens: 40, toolCalls: [{ name: 'f' }] },
      { generatedTokens: 40, thinkingTokens: 30 },
    ])
      estimates.observe(counted(useless))
    expect(estimates.tokensPerPiece(inFlight(3))).toBeUndefined()
    estimates.observe(counted({ generatedTokens: 41, finishReason: 'stop' }))
    estimates.observe(counted({ generatedTokens: 40, finishReason: 'length' }))
    expect(estimates.tokensPerPiece(inFlight(3))).toBe(4)
  })

  it('a server that counts the token which ends an answer still has one token a piece', () => {
    const estimates = new Estimates()
    const whole = call({ tokens: 7 })
    whole.end = { end: 'completed', generatedTokens: 8, finishReason: 'stop' }
    estimates.observe(whole)
    expect(estimates.tokensPerPiece(inFlight(3))).toBe(1)
  })
})
