import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { abPage } from '../../../src/lab/report/ab-page.ts'
import { anyReport } from './arbitrary.ts'
import { fixtureOf, sixteen } from './fixtures.ts'
import { expectSound } from './sound.ts'

const report = fixtureOf()
const page = abPage(report)

describe('the page of an experiment', () => {
  it('says the verdict, the effect with its interval, and the cost', () => {
    expect(page).toContain(report.analysis.verdict)
    expect(page).toContain('a trade-off')
    const [effect] = report.analysis.comparisons
    expect(page).toContain(`−${Math.round(-effect!.difference!)} ms`)
    expect(page).toContain('wasted tokens, mean of a run')
  })

  it('shows each arm in tables and drawings, whatever its name', () => {
    const arms = [
      { name: '<script>alert("x")</script> & more', policy: '<b>', drains: 1 },
      { name: 'a\u202eb', policy: "it's", drains: 0 },
    ]
    const hostile = abPage(fixtureOf(arms, 3, 4, 4))
    expect(hostile).not.toMatch(/<script|<b>alert|\u202e/)
    expect(hostile).toContain('&lt;script&gt;alert(')
    expectSound(hostile)
  })

  it('is the same for the same analysis', () => {
    expect(abPage(report)).toBe(page)
  })

  it('holds all trials while they are few, and the command that prints them in any case', () => {
    const [, encoded] = /href="data:application\/x-ndjson;base64,([^"]*)"/.exec(page)!
    expect(Buffer.from(encoded!, 'base64').toString()).toBe(`${report.data.join('\n')}\n`)
    const many = abPage({
      ...report,
      data: Array.from({ length: 40 }, () => 'x'.repeat(50_000)),
      command: "caesura ab data 'a b'",
    })
    expect(many).not.toContain('base64')
    expect(many).toContain('caesura ab data &#39;a b&#39;')
  })

  it('says why there is no verdict for one arm, and draws it', () => {
    const single = abPage(fixtureOf([{ name: 'drain', policy: 'drain', drains: 1 }], 1, 1, 3))
    expect(single).toContain('the experiment has one arm')
    expect(single).toContain('There is no comparison.')
    expect(single).toContain('Distribution of interrupt → first token')
    expectSound(single)
  })

  it('ends the curve of an arm where interrupts were never reached, and says so', () => {
    const censored = abPage(
      fixtureOf([
        { name: 'drain', policy: '', drains: 1 },
        { name: 'lossy', policy: '', drains: 0, lost: 0.6 },
      ]),
    )
    expect(censored).toContain('never reached')
    expect(censored).toContain('no statement')
    expectSound(censored)
  })

  it('draws a long tail on a logarithmic axis, and time as what has passed', () => {
    const { curves } = report
    const tail = { q: 0.995, value: 90_000 }
    const long = abPage({
      ...report,
      curves: {
        ...curves,
        quantiles: curves.quantiles.map((curve) => ({ ...curve, points: [...curve.points, tail] })),
        drift: curves.drift.map((each) => ({
          ...each,
          by: 'time',
          points: each.points.map((point) => ({ ...point, at: 1.78e12 + point.at * 3.6e6 })),
        })),
      },
    })
    expect(long).toContain('hours since the first run')
    for (const tick of ['0.1', '10']) expect(long).toMatch(new RegExp(`<text[^>]*>${tick}</text>`))
    expectSound(long)
  })

  it('gives each of sixteen arms its own row or panel', () => {
    const many = abPage(fixtureOf(sixteen, 2, 4, 4))
    for (const { name } of sixteen) expect(many).toContain(name)
    expectSound(many)
  })

  it('is sound, and without any figure that is no number, for whatever an analysis can be', () => {
    fc.assert(
      fc.property(anyReport, (any) => expectSound(abPage(any))),
      { numRuns: 25 },
    )
  })
})
