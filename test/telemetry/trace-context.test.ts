import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { headersOf, spanIdOf } from '../../src/core/trace.ts'
import { traceContextOf, traceContextOfEnvironment } from '../../src/telemetry/trace-context.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'
const traceparent = `00-${traceId}-${spanId}-01`

describe('the trace of a caller', () => {
  it('is read from traceparent, with tracestate and baggage', () => {
    expect(traceContextOf({ traceparent, tracestate: 'a=1, b=2', baggage: 'user=x' })).toEqual({
      traceId,
      parentSpanId: spanId,
      sampled: true,
      state: 'a=1,b=2',
      baggage: 'user=x',
    })
    expect(traceContextOf({ traceparent: `00-${traceId}-${spanId}-00` })).toMatchObject({ sampled: false })
    // A flag that is not known yet.
    expect(traceContextOf({ traceparent: `00-${traceId}-${spanId}-03` })).toMatchObject({ sampled: true })
    // A later version may have more behind it.
    expect(traceContextOf({ traceparent: `01-${traceId}-${spanId}-01-more` })).toMatchObject({ traceId })
    expect(traceContextOfEnvironment({ TRACEPARENT: traceparent, BAGGAGE: 'a=1' })).toMatchObject({ baggage: 'a=1' })
  })

  it.each([
    ['absent', {}],
    ['empty', { traceparent: '' }],
    ['of zeros', { traceparent: `00-${'0'.repeat(32)}-${spanId}-01` }],
    ['without a span', { traceparent: `00-${traceId}-${'0'.repeat(16)}-01` }],
    ['of version ff', { traceparent: `ff-${traceId}-${spanId}-01` }],
    ['in capitals', { traceparent: traceparent.toUpperCase() }],
    ['of version 00 with more behind it', { traceparent: `${traceparent}-more` }],
    ['given twice', { traceparent: [traceparent, traceparent] }],
    ['malformed beside a good tracestate', { traceparent: 'x', tracestate: 'a=1' }],
  ])('is none where traceparent is %s', (_, headers) => {
    expect(traceContextOf(headers)).toBeUndefined()
  })

  it('leaves out a tracestate that is none, and baggage that is too long or no header', () => {
    expect(traceContextOf({ traceparent, tracestate: '\u0000,,=' })).toEqual({
      traceId,
      parentSpanId: spanId,
      sampled: true,
    })
    for (const baggage of ['x'.repeat(8193), 'a=ä', 'a=1\r\nx-evil: 1'])
      expect(traceContextOf({ traceparent, baggage })).not.toHaveProperty('baggage')
  })

  it('never throws, and is never anything but ids of the right form', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (parent, tracestate, baggage) => {
        const found = traceContextOf({ traceparent: parent, tracestate, baggage })
        if (found === undefined) return
        expect(found.traceId).toMatch(/^[0-9a-f]{32}$/)
        expect(found.parentSpanId).toMatch(/^[0-9a-f]{16}$/)
      }),
    )
  })
})

describe('what a model server is told', () => {
  it('is the span of the call, with what the caller passed on', () => {
    const trace = { traceId, parentSpanId: spanId, sampled: true, state: 'a=1', baggage: 'user=x' }
    expect(headersOf(trace, 'run', 'draft.1')).toEqual({
      traceparent: `00-${traceId}-${spanIdOf('run', 'call draft.1')}-01`,
      tracestate: 'a=1',
      baggage: 'user=x',
    })
    expect(headersOf({ ...trace, sampled: false }, 'run', 'draft.1')?.traceparent).toMatch(/-00$/)
  })

  it('is nothing where nobody traces', () => {
    expect(headersOf({ traceId }, 'run', 'draft.1')).toBeUndefined()
  })
})
