import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CallEnd, Settlement } from '../../src/core/call.ts'
import { hasStood, tokensOf } from '../../src/core/token-counts.ts'
import { Transcript } from '../../src/core/transcript.ts'

/** A call with so many pieces of one character. */
function callOf({
  pieces,
  thoughts = 0,
  end,
  settlement = 'completed',
  kept = pieces,
  perPiece,
}: {
  pieces: number
  thoughts?: number
  end?: CallEnd
  settlement?: Settlement
  kept?: number
  perPiece?: number
}): Transcript {
  const request = { callId: 'a.1', runId: 'r', stage: 'a', attempt: 1, model: 'm', messages: [], options: {} }
  const call = new Transcript({ ...request, placement: 'any' })
  for (let i = 0; i < thoughts; i++) call.think('t', i)
  for (let i = 0; i < pieces; i++) call.append('x', thoughts + i)
  if (end !== undefined) call.end = end
  if (perPiece !== undefined) call.perPiece = perPiece
  call.settlement = settlement
  call.keep(kept)
  return call
}
const completed = (generatedTokens?: number, more: Partial<CallEnd> = {}): CallEnd => ({
  end: 'completed',
  ...(generatedTokens !== undefined && { generatedTokens }),
  ...more,
})

describe('the tokens of a call', () => {
  it('are the server’s, and what was read wholly is all of them', () => {
    const call = callOf({ pieces: 5, end: completed(20) })
    expect(tokensOf(call, 5)).toEqual({ generated: 20, delivered: 20, wasted: 0, counted: 'server' })
    expect(tokensOf(call, 2)).toMatchObject({ delivered: 8 })
  })

  it('are the pieces where the server does not count', () => {
    const call = callOf({ pieces: 5, end: { end: 'cancelled' }, settlement: 'aborted', kept: 2 })
    expect(tokensOf(call, 4)).toEqual({ generated: 5, delivered: 4, wasted: 3, counted: 'pieces' })
  })

  it('are the pieces times what was learnt of this server, and say so', () => {
    const call = callOf({ pieces: 5, end: { end: 'cancelled' }, settlement: 'aborted', kept: 2, perPiece: 4 })
    expect(tokensOf(call, 4)).toEqual({ generated: 20, delivered: 16, wasted: 12, counted: 'pieces', perPiece: 4 })
  })

  it('are the pieces where a server counts less than came', () => {
    const call = callOf({ pieces: 18, thoughts: 16, end: completed(18) })
    expect(tokensOf(call, 18)).toEqual({ generated: 34, thinking: 16, delivered: 18, wasted: 0, counted: 'pieces' })
  })

  it('have thinking in the proportion of its pieces, or as the server says', () => {
    const call = callOf({ pieces: 10, thoughts: 10, end: completed(40) })
    expect(tokensOf(call, 10)).toMatchObject({ generated: 40, thinking: 20, delivered: 20 })
    const told = callOf({ pieces: 10, thoughts: 10, end: completed(40, { thinkingTokens: 28 }) })
    expect(tokensOf(told, 10)).toMatchObject({ generated: 40, thinking: 28, delivered: 12 })
    const hidden = callOf({ pieces: 4, end: completed(10, { thinkingTokens: 6 }) })
    expect(tokensOf(hidden, 4)).toMatchObject({ generated: 10, thinking: 6, delivered: 4 })
  })

  it('are all wasted where a call that only thought was cut, and all thinking where an answer has no text', () => {
    const cut = callOf({ pieces: 0, thoughts: 12, end: { end: 'cancelled' }, settlement: 'aborted' })
    expect(tokensOf(cut, 0)).toEqual({ generated: 12, thinking: 12, delivered: 0, wasted: 12, counted: 'pieces' })
    const empty = callOf({ pieces: 0, thoughts: 8, end: completed(8, { finishReason: 'length' }) })
    expect(tokensOf(empty, 0)).toEqual({ generated: 8, thinking: 8, delivered: 0, wasted: 0, counted: 'server' })
  })

  it('have a token that nobody saw where an engine counts a call that was cut', () => {
    const call = callOf({ pieces: 5, end: { end: 'cancelled', generatedTokens: 6 }, settlement: 'aborted' })
    expect(tokensOf(call, 5)).toEqual({ generated: 6, delivered: 5, wasted: 1, counted: 'server' })
  })

  it('say nothing of who counted where there was nothing to count', () => {
    const never = callOf({ pieces: 0, end: { end: 'cancelled' }, settlement: 'aborted' })
    expect(tokensOf(never, 0)).toEqual({ generated: 0, delivered: 0, wasted: 0 })
  })

  it('are in one unit: whole is whole, a part is less, and more is never fewer', () => {
    const small = fc.nat({ max: 40 })
    const call = fc.record({
      pieces: small,
      thoughts: small,
      kept: small,
      told: fc.option(fc.nat({ max: 400 }), { nil: undefined }),
      thinking: fc.option(fc.nat({ max: 400 }), { nil: undefined }),
      perPiece: fc.option(fc.double({ min: 1, max: 9, noNaN: true }), { nil: undefined }),
      settlement: fc.constantFrom<Settlement>('completed', 'drained', 'aborted', 'withdrawn', 'failed'),
    })
    fc.assert(
      fc.property(call, ({ told, thinking, kept, perPiece, ...more }) => {
        const isWhole = more.settlement === 'completed' || more.settlement === 'drained'
        const counts = {
          ...(told !== undefined && { generatedTokens: told }),
          ...(thinking !== undefined && thinking <= (told ?? 0) && { thinkingTokens: thinking }),
        }
        const end: CallEnd = { end: isWhole ? 'completed' : 'cancelled', ...counts }
        const subject = callOf({
          ...more,
          end,
          kept: Math.min(kept, more.pieces),
          ...(perPiece !== undefined && { perPiece }),
        })
        let before = -1
        for (let delivered = 0; delivered <= more.pieces; delivered++) {
          const tokens = tokensOf(subject, delivered)
          const { generated, thinking: thought = 0, wasted } = tokens
          expect(generated).toBeGreaterThanOrEqual(more.pieces + more.thoughts)
          expect(thought).toBeGreaterThanOrEqual(more.thoughts)
          expect(thought).toBeLessThanOrEqual(generated - more.pieces)
          expect(wasted).toBeGreaterThanOrEqual(0)
          expect(wasted).toBeLessThanOrEqual(generated)
          expect(tokens.delivered).toBeGreaterThan(before)
          expect(tokens.delivered).toBeLessThanOrEqual(generated - thought)
          if (isWhole && delivered === more.pieces && delivered > 0) expect(tokens.delivered).toBe(generated - thought)
          if (delivered < more.pieces) expect(tokens.delivered).toBeLessThan(generated - thought)
          if (hasStood(subject)) expect(wasted).toBe(0)
          if (tokens.counted === 'server') expect(generated).toBe(told)
          before = tokens.delivered
        }
      }),
    )
  })
})
