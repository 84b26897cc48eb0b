import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { MarkName } from '../../src/core/ledger.ts'
import { markNames } from '../../src/core/ledger.ts'
import { type InterruptInstants, interruptPhasesNs } from '../../src/core/phases.ts'
import { phaseNames } from '../../src/core/record.ts'

type Marks = Partial<Record<MarkName, number>>
const reader = (marks: Marks) => (name: MarkName) => marks[name]
const split = (interrupt: Omit<InterruptInstants, 'call' | 'next'> & { call?: Marks; next: Marks }) =>
  interruptPhasesNs({ ...interrupt, call: reader(interrupt.call ?? {}), next: reader(interrupt.next) })
const named = (result: ReturnType<typeof split>) => Object.fromEntries(result!.phases.map(({ name, ns }) => [name, ns]))

const instant = fc.integer({ min: 0, max: 10_000_000_000 })
const marks = fc.dictionary(fc.constantFrom(...markNames), instant) as fc.Arbitrary<Marks>
const duration = fc.option(fc.integer({ min: -5, max: 20_000_000_000 }), { nil: undefined })
const durations = fc.record({ totalNs: duration, loadNs: duration, prefillNs: duration, decodeNs: duration })

describe('the phases of an interrupt', () => {
  it('are whole, positive, in order, each once, and sum exactly to interrupt → first token, whatever the ledgers hold', () => {
    fc.assert(
      fc.property(
        instant,
        fc.option(instant, { nil: undefined }),
        marks,
        marks,
        durations,
        (interruptedAt, decidedAt, call, next, reported) => {
          const server = Object.fromEntries(Object.entries(reported).filter(([, ns]) => ns !== undefined))
          const result = split({ interruptedAt, ...(decidedAt !== undefined && { decidedAt }), call, next, server })
          const firstTokenAt = next['first-token']
          if (firstTokenAt === undefined || firstTokenAt < interruptedAt) {
            expect(result).toBeUndefined()
            return
          }
          const { total, phases } = result!
          expect(total).toBe(firstTokenAt - interruptedAt)
          expect(phases.reduce((sum, { ns }) => sum + ns, 0)).toBe(total)
          expect(phases.every(({ ns }) => Number.isInteger(ns) && ns > 0)).toBe(true)
          const order = phases.map(({ name }) => phaseNames.indexOf(name))
          expect(order).toEqual([...new Set(order)].sort((a, b) => a - b))
          expect(phases.findIndex(({ name }) => name === 'unattributed')).toBeOneOf([-1, phases.length - 1])
        },
      ),
      { numRuns: 3000 },
    )
  })

  it('of an abort: settle ends when the call has settled, slot when a slot is ours', () => {
    const result = split({
      interruptedAt: 100,
      decidedAt: 102,
      call: { 'abort-requested': 101, settled: 150 },
      next: { 'call-start': 151, 'slot-acquired': 160, 'prefill-start': 160, 'prefill-end': 200, 'first-token': 205 },
    })
    expect(named(result)).toEqual({ decide: 3, settle: 48, slot: 9, prefill: 40, 'first-token': 5 })
  })

  it('of a drain that was cut short: drain until the abort, then settle', () => {
    const result = split({
      interruptedAt: 0,
      decidedAt: 0,
      call: { 'abort-requested': 300, settled: 340 },
      next: { 'call-start': 340, 'slot-acquired': 340, 'prefill-start': 340, 'prefill-end': 400, 'first-token': 400 },
    })
    expect(named(result)).toEqual({ drain: 300, settle: 40, prefill: 60 })
  })

  it('of an overlap: the old call is not waited for', () => {
    const result = split({
      interruptedAt: 0,
      decidedAt: 12,
      call: { 'abort-requested': 1, settled: 5000 },
      next: { 'call-start': 10, 'slot-acquired': 10, connected: 30, 'request-sent': 35, 'first-token': 135 },
    })
    expect(named(result)).toEqual({ decide: 10, connect: 20, send: 5, unattributed: 100 })
  })

  it('of a server that reports its durations: load and prefill must have been, the rest could be several things', () => {
    const result = split({
      interruptedAt: 0,
      decidedAt: 0,
      next: { 'call-start': 0, 'slot-acquired': 0, 'request-sent': 10, 'first-token': 1010, done: 2020 },
      server: { totalNs: 2000, loadNs: 300, prefillNs: 600, decodeNs: 1050 },
    })
    expect(named(result)).toEqual({ send: 10, load: 300, prefill: 600, unattributed: 100 })
    expect(result!.phases.find(({ name }) => name === 'prefill')!.source).toBe('inferred')
    expect(result!.phases.at(-1)!.candidates).toEqual(['server-queue', 'first-token', 'transport'])
  })

  it('of a server that reports no total: its prefill is inferred, its queue and the transport are not guessed', () => {
    const next = { 'call-start': 0, 'slot-acquired': 0, 'request-sent': 10, 'first-token': 1010, done: 2020 }
    const all = split({ interruptedAt: 0, decidedAt: 0, next, server: { prefillNs: 600, decodeNs: 1050 } })
    expect(named(all)).toEqual({ send: 10, prefill: 600, unattributed: 400 })
    // What a report leaves out could be anything: it is not known to be zero.
    expect(all!.phases.at(-1)!.candidates).toEqual(['server-queue', 'load', 'first-token', 'transport'])
    const { done: _, ...open } = next
    const unended = split({ interruptedAt: 0, decidedAt: 0, next: open, server: { decodeNs: 900 } })
    expect(named(unended)).toEqual({ send: 10, unattributed: 1000 })
  })

  it('of a call without reported durations: the server’s share stays unattributed, not zero and not guessed', () => {
    const result = split({
      interruptedAt: 0,
      next: { 'call-start': 0, 'slot-acquired': 0, 'request-sent': 10, 'first-token': 1010 },
    })
    expect(named(result)).toEqual({ send: 10, unattributed: 1000 })
  })

  it('of a mark that was set late: whoever loaded and read the prompt had the request by then, and no phase goes missing', () => {
    // On a busy machine the server may be done with its load before this process notes that the request is out.
    const result = split({
      interruptedAt: 0,
      decidedAt: 0,
      next: { 'call-start': 0, 'slot-acquired': 0, 'request-sent': 20, 'first-token': 40, done: 60 },
      server: { totalNs: 58, loadNs: 27, prefillNs: 11, decodeNs: 19 },
    })
    expect(named(result)).toEqual({ send: 2, load: 27, prefill: 11 })
  })

  it('of a long request: what the kernel may still have held is no load, though the server counts it as one', () => {
    const next = { 'call-start': 0, 'slot-acquired': 0, 'request-sent': 30, 'first-token': 500, done: 900 }
    const server = { totalNs: 880, loadNs: 210, prefillNs: 200, decodeNs: 400 }
    const result = split({ interruptedAt: 0, decidedAt: 0, next, server, requestBytes: 4_000_000 })
    expect(named(result)).toEqual({ send: 30, prefill: 200, unattributed: 270 })
    expect(result!.phases.at(-1)!.candidates).toEqual(['send', 'server-queue', 'load', 'first-token', 'transport'])
  })

  it('of an answer that began before its request was out: sending is a candidate too', () => {
    const next = { 'call-start': 0, 'slot-acquired': 5, 'first-token': 105 }
    const result = split({ interruptedAt: 0, decidedAt: 0, next })
    expect(result!.phases.at(-1)).toEqual({
      name: 'unattributed',
      ns: 100,
      source: 'observed',
      candidates: ['send', 'server-queue', 'load', 'prefill', 'first-token', 'transport'],
    })
  })

  it('of an answer that begins with thinking: the server’s part ends at the first piece', () => {
    const next = { 'call-start': 0, 'slot-acquired': 0, 'request-sent': 10, 'first-piece': 110, 'first-token': 400 }
    const result = split({ interruptedAt: 0, decidedAt: 0, next, server: { prefillNs: 90 } })
    expect(named(result)).toEqual({ send: 10, prefill: 90, thinking: 290, unattributed: 10 })
    expect(result!.phases.find(({ name }) => name === 'thinking')!.source).toBe('observed')
  })

  describe('a wait that is far longer than all that the answer took', () => {
    const ms = 1_000_000
    const next = { 'call-start': 0, 'slot-acquired': 0, 'request-sent': ms, 'first-token': 1501 * ms, done: 1531 * ms }
    const server = { totalNs: 1530 * ms, loadNs: 100 * ms, prefillNs: 300 * ms, decodeNs: 30 * ms }
    const arrival = { pieces: 7, thoughts: 0, firstAt: 1501 * ms, lastAt: 1530 * ms, steadyNs: 29 * ms }
    const queueOf = (more: Partial<Omit<InterruptInstants, 'call' | 'next'>>) =>
      named(split({ interruptedAt: 0, next, server, arrival, ...more }))['server-queue']

    it('is a queue, less all of the decode and all that was seen after the first piece', () => {
      expect(queueOf({})).toBe((1530 - 100 - 300 - 30 - 30) * ms)
    })

    it.each([
      ['the decode is a tenth of it and more', { server: { ...server, decodeNs: 90 * ms, totalNs: 1590 * ms } }],
      ['there is no decode to compare with', { server: { ...server, decodeNs: 1 * ms } }],
      ['few pieces came', { arrival: { ...arrival, pieces: 2 } }],
      [
        'the pieces came at once',
        { server: { ...server, decodeNs: 60 * ms }, arrival: { ...arrival, lastAt: 1501 * ms } },
      ],
      ['the request was long', { requestBytes: 100_000 }],
      ['nobody reports a total', { server: { loadNs: 100 * ms, prefillNs: 300 * ms, decodeNs: 30 * ms } }],
    ])('is no queue for certain where %s', (_, more) => {
      expect(queueOf(more)).toBeUndefined()
    })
  })
})
