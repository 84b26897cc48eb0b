import { describe, expect, it } from 'vitest'
import type { Arrival } from '../../src/core/arrival.ts'
import { type ReportedCall, whyUnused } from '../../src/core/server-report.ts'

const ms = (length: number) => length * 1_000_000
const arrival = (firstMs: number, lastMs: number, more: Partial<Arrival> = {}): Arrival => ({
  pieces: 11,
  thoughts: 0,
  firstAt: ms(firstMs),
  lastAt: ms(lastMs),
  steadyNs: ms(lastMs - firstMs),
  ...more,
})
const report = (total: number | undefined, load: number, prefill: number, decode: number) => ({
  ...(total !== undefined && { totalNs: ms(total) }),
  loadNs: ms(load),
  prefillNs: ms(prefill),
  decodeNs: ms(decode),
})
/** 50 ms of load, 150 of prefill, 11 pieces over 200 ms, on a quick network. */
const call: ReportedCall = {
  server: report(400, 50, 150, 200),
  sendFrom: 0,
  sentAt: ms(1),
  doneAt: ms(402),
  arrival: arrival(202, 402),
}
const why = (more: Partial<ReportedCall>) => whyUnused({ ...call, ...more })

describe('the durations that a server reports', () => {
  it('are used where they agree with what was seen here', () => {
    expect(why({})).toBeUndefined()
  })

  it.each([
    [
      'a load that was none',
      { server: report(900, 500, 150, 200), doneAt: ms(902) },
      /^its load and prefill took 650 ms, and the first piece came 202 ms after the request$/,
    ],
    [
      'parts that are longer than the whole',
      { server: report(300, 50, 150, 200) },
      /^its load, prefill and decode add up to 400 ms, and its total is 300 ms$/,
    ],
    [
      'a total that is longer than the call',
      { server: report(800, 50, 150, 200) },
      /^its total is 800 ms, and from the request to the last line it took 402 ms$/,
    ],
    [
      'a clock at half speed',
      { server: report(200, 25, 75, 100) },
      /^nothing that was seen here bears its figures out: its total is 200 ms, and the call took 401 ms; its decode took 100 ms, and the pieces came over 200 ms$/,
    ],
    [
      'a clock at half speed, without a total',
      { server: report(undefined, 25, 75, 100) },
      /bears its figures out: its decode took 100 ms/,
    ],
    [
      'a clock at half speed behind a queue',
      { server: report(450, 25, 75, 100), doneAt: ms(902), arrival: arrival(702, 902) },
      /bears/,
    ],
    [
      'a clock at double speed',
      { server: report(800, 100, 300, 400), doneAt: ms(1000), arrival: arrival(800, 1000) },
      /bears|total/,
    ],
    [
      'a second pass alone, by its count',
      { generatedTokens: 5, arrival: arrival(202, 402, { thoughts: 6 }) },
      /^it counted 5 tokens and 11 pieces came: it reports a part of the answer$/,
    ],
    [
      'a second pass alone, by its decode',
      { server: report(400, 50, 2, 100), arrival: arrival(202, 402, { thoughts: 6 }) },
      /^its decode took 100 ms, and thinking and text came over 200 ms: it may report a part of the answer$/,
    ],
  ] as [string, Partial<ReportedCall>, RegExp][])('are not used: %s', (_, more, reason) => {
    expect(why(more)).toMatch(reason)
  })

  it.each([
    [
      'pauses after the first piece, within the total',
      { doneAt: ms(702), server: report(700, 50, 150, 200), arrival: arrival(202, 702) },
    ],
    [
      'one pause, without a total',
      { doneAt: ms(702), server: report(undefined, 50, 150, 200), arrival: arrival(202, 702, { steadyNs: ms(205) }) },
    ],
    ['a last line that came late', { doneAt: ms(902) }],
    ['a network of 100 ms each way', { doneAt: ms(602), arrival: arrival(402, 602) }],
    ['a stream that was held back, within the total', { arrival: arrival(402, 402) }],
    [
      'an answer of one token that they fill',
      { server: report(undefined, 50, 150, 0), doneAt: ms(202), arrival: arrival(202, 202, { pieces: 1 }) },
    ],
    ['a decode with the first step in it', { server: report(undefined, 50, 130, 220) }],
    ['a mark that was set 2 ms late', { sentAt: ms(4) }],
    ['a report without load and prefill', { server: { totalNs: ms(9_000) } }],
  ] as [string, Partial<ReportedCall>][])('are used: %s', (_, more) => {
    expect(why(more)).toBeUndefined()
  })

  it('of a call without a piece are looked at alone', () => {
    const { arrival: _, ...none } = call
    expect(whyUnused(none)).toBeUndefined()
    expect(whyUnused({ ...none, server: report(800, 50, 150, 200) })).toMatch(/^its total/)
  })
})
