import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { answerFrom, type Grounds, intervalName, said } from '../../../src/lab/overhead/answer.ts'

const of = (ms: number, low: number, high: number, n = 8) => ({ ms, interval: [low, high] as const, n })
const runsOf = (differenceMs: number, low: number, high: number, drain = differenceMs - 3) => ({
  ...{ differenceMs, interval: [low, high] as const, n: 8 },
  parts: drain > 0 ? [{ name: 'drain' as const, ms: drain }] : [],
})
const server = 'the server'
const answerOf = (own: Partial<Grounds>) =>
  answerFrom({
    transport: of(0.9, 0.6, 1.2),
    drain: of(88, 82, 94),
    observed: of(89, 80, 97),
    runs: runsOf(91, 85, 97),
    ...{ server, ...own },
  })

describe('the answer to "is it HTTP?"', () => {
  it.each([
    [
      'HTTP is little beside the wait',
      { inProcess: runsOf(86, 80, 92) },
      'No: HTTP costs 0.9 ms (95 % interval 0.6 to 1.2) a call to the server; waiting for the old call (drain) costs 88 ms (95 % interval 82 to 94). The two runs, which both pay for HTTP, differ by 91 ms (95 % interval 85 to 97); in-process, without any HTTP, by 86 ms (95 % interval 80 to 92).',
    ],
    [
      'HTTP is more than the wait',
      { transport: of(201, 200, 204) },
      /^Yes: HTTP costs 201 ms \(95 % interval 200 to 204\)/,
    ],
    ['HTTP is a part of it', { transport: of(35, 33, 38) }, /^In part: HTTP costs 35 ms/],
    [
      'HTTP is surely a part, and may be more than the wait',
      { transport: of(90, 80, 99) },
      /^In part: HTTP costs 90 ms/,
    ],
    ['HTTP may be little, and may be much', { transport: of(30, 2, 60) }, /^Not known: the intervals are too wide/],
    [
      'the runs may not differ',
      { runs: runsOf(4, -3, 9) },
      /^No: .* The two runs do not differ for certain: by 4\.0 ms \(95 % interval −3\.0 to 9\.0\)\.$/,
    ],
    [
      'a single block',
      { transport: { ms: 1, n: 1 } },
      /^Not known: one block has no interval\. As measured, HTTP costs 1\.0 ms \(one block, no interval\) a call/,
    ],
    [
      'three blocks',
      { transport: of(1, 1, 2, 3) },
      /^Not known: 3 blocks are too few .* \(range of 3 blocks 1\.0 to 2\.0\)/,
    ],
    ['five blocks', { transport: of(0.9, 0.6, 1.2, 5) }, /^No: HTTP costs 0\.9 ms \(range of 5 blocks 0\.6 to 1\.2\)/],
    ['no transport', { transport: undefined }, /^Not known: what HTTP costs was not measured\. As measured, waiting/],
    ['no drain', { drain: { n: 0 } }, /^Not known: what waiting for the old call costs was not measured\. As/],
    ['HTTP that saves time', { transport: of(-9, -12, -3) }, /^Not known: HTTP cannot save time/],
  ] satisfies [string, Partial<Grounds>, string | RegExp][])('%s', (_, own, expected) => {
    const { answer } = answerOf(own)
    if (typeof expected === 'string') expect(answer).toBe(expected)
    else expect(answer).toMatch(expected)
  })

  it('is not known where the figures contradict each other, with the reason', () => {
    // As a busy machine once had it: all of the difference is the drain, and the drain costs nothing.
    const busy = answerOf({ drain: of(-4.3, -60, 210), runs: runsOf(168, 60, 440, 168) })
    expect(busy).toMatchObject({ finding: 'not known', unknown: [expect.stringContaining('not certain that waiting')] })
    expect(busy.answer).toContain('waiting for the old call (drain) costs −4.3 ms (95 % interval −60 to 210)')
    expect(answerOf({ observed: of(30, 28, 33) }).unknown).toEqual([
      'the wait as observed, 30 ms (95 % interval 28 to 33), contradicts what waiting costs',
    ])
    expect(answerOf({ runs: runsOf(-50, -60, -40) }).unknown).toEqual([
      'of the two runs the one that waits was the faster',
    ])
    expect(answerOf({ runs: runsOf(91, 85, 97, 20) }).unknown).toEqual([
      'of the 91 ms between the two runs only 20 ms are a wait',
    ])
  })
})

const measured = (least: number, most: number, reach: number) =>
  fc
    .record({
      ms: fc.integer({ min: least, max: most }),
      down: fc.nat(reach),
      up: fc.nat(reach),
      n: fc.integer({ min: 0, max: 12 }),
    })
    .map(({ ms, down, up, n }) =>
      n === 0 ? { n } : n === 1 ? { ms, n } : { ms, interval: [ms - down, ms + up] as const, n },
    )
/** What is measured on a quiet machine, and on one on which anything may come out. */
const quietly = { transport: measured(0, 120, 5), drain: measured(60, 100, 9), observed: measured(60, 100, 9) }
const any = measured(-300, 300, 200)
const anyhow = { transport: any, drain: any, observed: any }
const inRuns = { runs: measured(-100, 300, 50), drainPart: fc.integer({ min: -100, max: 300 }) }
const grounds: fc.Arbitrary<Grounds> = fc
  .oneof(fc.record({ ...quietly, ...inRuns }), fc.record({ ...anyhow, ...inRuns }))
  .map(({ runs: { ms: differenceMs, ...runs }, drainPart, ...rest }) => ({
    ...{ ...rest, server },
    runs: {
      ...runs,
      ...(differenceMs !== undefined && { differenceMs }),
      parts: [{ name: 'drain' as const, ms: drainPart }],
    },
  }))

describe('whatever was measured, the answer', () => {
  it('says nothing that the contrasts beside it do not bear out, and has their figures', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(grounds, (given) => {
        const { finding, answer, unknown } = answerFrom(given)
        seen.add(finding)
        expect(unknown.length > 0).toBe(finding === 'not known')
        for (const { ms, interval, n } of [given.transport!, given.drain!]) {
          if (ms !== undefined) expect(answer).toContain(` costs ${said(ms)} ms`)
          if (interval !== undefined)
            expect(answer).toContain(`(${intervalName(n)} ${said(interval[0])} to ${said(interval[1])})`)
        }
        if (finding === 'not known') {
          expect(answer).toMatch(/^Not known: \S/)
          return
        }
        const [http, wait] = [given.transport!.interval!, given.drain!.interval!]
        expect(wait[0]).toBeGreaterThan(0)
        expect(Math.min(given.transport!.n, given.drain!.n)).toBeGreaterThanOrEqual(4)
        if (finding === 'no') expect(http[1]).toBeLessThan(wait[0] / 4)
        if (finding === 'yes') expect(http[0]).toBeGreaterThan(wait[1])
        if (finding === 'in part') expect(http[0]).toBeGreaterThan(wait[1] / 4)
      }),
      { numRuns: 5_000 },
    )
    expect([...seen].toSorted()).toEqual(['in part', 'no', 'not known', 'yes'])
  })
})
