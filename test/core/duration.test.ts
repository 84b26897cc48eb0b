import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countSchema, durationSchema } from '../../src/core/duration.ts'

const parse = (value: unknown) => durationSchema.parse(value)

describe('a duration', () => {
  it('is a number of ms, or a text with ms, s or m', () => {
    expect([0, -0, 1.5, 86_400_000, '250ms', '1.5s', '2m', '1.1s'].map(parse)).toEqual([
      0, 0, 1.5, 86_400_000, 250, 1500, 120_000, 1100,
    ])
  })

  it.each([
    ['-1', -1, 'is negative'],
    ['NaN', Number.NaN, 'is not a duration'],
    ['Infinity', Number.POSITIVE_INFINITY, 'is longer than 24 h'],
    ['a day and a ms', 86_400_001, 'is longer than 24 h'],
    ['a negative text', '-3s', 'is not a duration'],
    ['years, which the ms package knows', '1 year', 'is not a duration'],
    ['a text without a unit', '100', 'is not a duration'],
    ['too long a text', '1441m', 'is longer than 24 h'],
    ['digits without end', `${'9'.repeat(400)}ms`, 'is not a duration'],
    ['null', null, 'is not a duration'],
    ['nothing', undefined, 'is not a duration'],
  ])('refuses %s', (_, value, message) => {
    const [issue] = durationSchema.safeParse(value).error!.issues
    expect(issue).toMatchObject({ code: 'custom', message, params: { expected: expect.stringContaining('0 to 24 h') } })
  })

  it('reads back what was written, in every unit', () => {
    const unit = fc.constantFrom({ name: 'ms', ms: 1 }, { name: 's', ms: 1000 }, { name: 'm', ms: 60_000 })
    const wholeNs = fc.integer({ min: 0, max: 86_400_000 })
    fc.assert(
      fc.property(wholeNs, unit, (ms, { name, ms: length }) => {
        const written = `${(ms / length).toFixed(9)}${name}`
        expect(parse(written)).toBeCloseTo(ms, 3)
        expect(parse(ms)).toBe(ms)
        expect(parse(`${ms}ms`)).toBe(ms)
      }),
    )
  })

  it('never throws and never yields anything but ms within a day', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const { data, success } = durationSchema.safeParse(value)
        if (success) expect(data >= 0 && data <= 86_400_000).toBe(true)
      }),
    )
  })
})

describe('a count', () => {
  it('is whole, from 1 to 1,000,000', () => {
    expect([1, 1_000_000].map((value) => countSchema.parse(value))).toEqual([1, 1_000_000])
    for (const value of [0, -1, 1.5, 1_000_001, '3', Number.NaN])
      expect(countSchema.safeParse(value).success).toBe(false)
  })
})
