import { describe, expect, it } from 'vitest'
import { type Arrival, arrivalOf, cameAtOnce } from '../../src/core/arrival.ts'
import { Transcript } from '../../src/core/transcript.ts'

const request = {
  ...{ callId: 'c', runId: 'r', stage: 's', attempt: 1, model: 'm', messages: [], options: {} },
  placement: 'any' as const,
}

describe('how an answer came', () => {
  it('is read from the instants of its pieces, thinking too', () => {
    const call = new Transcript(request)
    expect(arrivalOf(call)).toBeUndefined()
    for (const at of [100, 120, 140, 560, 580]) call.append('x', at)
    call.ledger.set('first-piece', 100)
    expect(arrivalOf(call)).toEqual({ pieces: 5, thoughts: 0, firstAt: 100, lastAt: 580, steadyNs: 80 })
    const thinking = new Transcript(request)
    thinking.think('t', 50)
    thinking.ledger.set('first-piece', 50)
    thinking.append('x', 90)
    expect(arrivalOf(thinking)).toEqual({ pieces: 2, thoughts: 1, firstAt: 50, lastAt: 90, steadyNs: 40 })
  })

  const ms = 1_000_000
  const arrival = (pieces: number, spanMs: number, firstMs = 2050): Arrival => ({
    ...{ pieces, thoughts: 0, firstAt: firstMs * ms, lastAt: (firstMs + spanMs) * ms, steadyNs: spanMs * ms },
  })
  it.each([
    ['40 pieces in 1 ms that took 2 s to make', arrival(40, 1), 0, 2000 * ms, true],
    ['40 pieces over the time that they took to make', arrival(40, 1900), 0, 2000 * ms, false],
    ['40 pieces in 1 ms that were made in 10', arrival(40, 1), 0, 10 * ms, false],
    ['40 pieces in 1 ms after a long wait, of a server that reports nothing', arrival(40, 1), 0, undefined, true],
    ['40 pieces in 1 ms after a short wait', arrival(40, 1, 30), 0, undefined, false],
    ['two pieces at once', arrival(2, 0), 0, 2000 * ms, false],
    ['pieces that never crossed a wire', arrival(40, 0), undefined, undefined, false],
  ])('%s', (_, seen, sentAt, decodeNs, expected) => {
    expect(cameAtOnce(seen, sentAt, decodeNs)).toBe(expected)
  })
})
