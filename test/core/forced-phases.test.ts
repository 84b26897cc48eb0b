import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Arrival } from '../../src/core/arrival.ts'
import type { ServerDurations } from '../../src/core/call.ts'
import type { MarkName } from '../../src/core/ledger.ts'
import { interruptPhasesNs } from '../../src/core/phases.ts'
import type { PhaseName } from '../../src/core/record.ts'
import { whyUnused } from '../../src/core/server-report.ts'

const MS = 1_000_000
const length = (most: number) => fc.oneof(fc.constant(0), fc.integer({ min: 0, max: most * MS }))

/** What truly happened, ns, and how the server counts it. */
const timelines = fc.record({
  slot: length(50),
  send: length(20),
  up: length(200),
  queueBefore: length(800),
  load: length(500),
  queueAfter: length(800),
  prefill: length(800),
  sampling: length(400),
  samplingIn: fc.constantFrom('nothing', 'prefill', 'decode'),
  hidesQueue: fc.boolean(),
  /** Of each piece but the first: its decode, and what is in no figure (pauses, slow writes). */
  steps: fc.array(fc.tuple(length(60), fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, length(400))), {
    maxLength: 12,
  }),
  lateLast: length(300),
  down: length(200),
  /** The answer is held back for so long from its first byte on. */
  hold: length(400),
  buffers: fc.boolean(),
  lateOnTheWay: length(300),
  hasTotal: fc.boolean(),
  /** A clock that is right, or runs at half speed. */
  rate: fc.constantFrom(1, 1, 0.5),
})
type Timeline = typeof timelines extends fc.Arbitrary<infer T> ? T : never

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0)

/** What client and server would tell of it. */
function toldOf(true_: Timeline) {
  const { slot, send, up, queueBefore, load, queueAfter, prefill, sampling, steps, down, hold, rate } = true_
  const sentAt = slot + send
  const receivedAt = sentAt + up
  const firstMadeAt = receivedAt + queueBefore + load + queueAfter + prefill + sampling
  const made = [firstMadeAt]
  for (const [step, pause] of steps) made.push(made.at(-1)! + step + pause)
  const writtenAt = made.at(-1)! + true_.lateLast
  const heldUntil = true_.buffers ? writtenAt + down : firstMadeAt + down + hold
  const arrived = made.map((at) => Math.max(at + down, heldUntil))
  const doneAt = Math.max(writtenAt + down, heldUntil) + true_.lateOnTheWay
  const counted = { prefill: 0, decode: 0, nothing: 0 }
  counted[true_.samplingIn] = sampling
  const server: ServerDurations = {
    ...(true_.hasTotal && {
      totalNs: Math.round((writtenAt - receivedAt - (true_.hidesQueue ? queueBefore : 0)) * rate),
    }),
    loadNs: Math.round(load * rate),
    prefillNs: Math.round((prefill + counted.prefill) * rate),
    decodeNs: Math.round((sum(steps.map(([step]) => step)) + counted.decode) * rate),
  }
  const marks: Partial<Record<MarkName, number>> = {
    'call-start': 0,
    'slot-acquired': slot,
    'request-sent': sentAt,
    'first-piece': arrived[0]!,
    'first-token': arrived[0]!,
    done: doneAt,
  }
  const gaps = arrived.slice(1).map((at, index) => at - arrived[index]!)
  const sorted = gaps.toSorted((a, b) => a - b)
  const pause = gaps.length < 3 ? 0 : sorted.at(-1)! - sorted[Math.floor(sorted.length / 2)]!
  const arrival: Arrival = {
    pieces: arrived.length,
    thoughts: 0,
    firstAt: arrived[0]!,
    lastAt: arrived.at(-1)!,
    steadyNs: arrived.at(-1)! - arrived[0]! - pause,
  }
  const truth: Partial<Record<PhaseName, number>> = {
    slot,
    send,
    'server-queue': queueBefore + queueAfter,
    load,
    prefill: prefill + counted.prefill,
    'first-token': sampling - counted.prefill,
    transport: up + (arrived[0]! - firstMadeAt),
  }
  return { server, marks, arrival, truth, sentAt, doneAt, sendFrom: slot }
}

/**
 * What a queue is named on: no first token takes longer than the decode of all others, and nobody holds a first piece back for longer than
 * that and hands the others on at the pace of the server.
 */
const isOrdinary = ({ steps, sampling, samplingIn, hold }: Timeline): boolean => {
  const decode = sum(steps.map(([step]) => step))
  return hold <= decode && (samplingIn !== 'nothing' || sampling <= decode)
}

const tolerance = (ns: number) => Math.max(5 * MS, 0.1 * ns)

it('no phase is longer than it was, and what is missing of one is open with its name, whatever happened', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(timelines, (true_) => {
      const { marks, truth, ...told } = toldOf(true_)
      const unused = whyUnused(told)
      seen.add(`${true_.rate} ${unused === undefined ? 'used' : 'unused'}`)
      const { phases, total } = interruptPhasesNs({
        interruptedAt: 0,
        call: () => undefined,
        next: (name) => marks[name],
        arrival: told.arrival,
        ...(unused === undefined && { server: told.server }),
      })!
      expect(sum(phases.map(({ ns }) => ns))).toBe(total)
      const open = phases.find(({ name }) => name === 'unattributed')
      if (!isOrdinary(true_) && phases.some(({ name }) => name === 'server-queue')) return
      for (const { name, ns } of phases)
        if (name !== 'unattributed') expect(ns, name).toBeLessThanOrEqual(truth[name]! + tolerance(truth[name]!))
      // At half speed, pieces that are held back for just so long can look like a clock that is right.
      if (true_.rate !== 1) return
      for (const [name, ns] of Object.entries(truth) as [PhaseName, number][]) {
        const missing = ns - (phases.find((phase) => phase.name === name)?.ns ?? 0)
        if (missing <= tolerance(ns)) continue
        expect(open?.ns, name).toBeGreaterThanOrEqual(missing - tolerance(ns))
        expect(open?.candidates, name).toContain(name)
      }
    }),
    { numRuns: 10_000 },
  )
  expect([...seen].toSorted()).toEqual(expect.arrayContaining(['0.5 unused', '1 unused', '1 used']))
})
