import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { recordSchema } from '../../src/core/record.ts'
import { combinations, nameOf } from './combinations.ts'
import { checkRun } from './invariants.ts'
import { checkSlots, must, type Played, play } from './played.ts'
import { type Scenario, scenarioOf } from './scenario.ts'

/** How many runs are played: enough for each combination where there is time. `SEED` and `COMBINATION` play a failure again. */
const { CI, INTERLEAVINGS, SEED, COMBINATION } = process.env
const interleavings = Number(INTERLEAVINGS ?? (CI === 'true' ? 20_000 : 1_500))
const seed = Number(SEED ?? Date.now() % 1_000_000_000)
const all = combinations.length

/** A stride that is prime to the number of combinations meets each once before any twice, and mixes all factors on its way. */
const chosen = Array.from({ length: Math.min(interleavings, all) }, (_, index) => {
  const position = (seed + index * 1579) % all
  const rounds = Math.floor(interleavings / all) + (index < interleavings % all ? 1 : 0)
  return { combination: combinations[position]!, seed: seed + position, numRuns: rounds }
}).filter(({ combination }) => COMBINATION === undefined || nameOf(combination) === COMBINATION)

/** What came up in all the runs, so that the property cannot hold for want of anything to look at. */
const seen = { runs: 0, interrupted: new Set<string>(), kinds: new Set<string>() }
function note({ scenario, record }: Played): void {
  seen.runs += 1
  seen.kinds.add(record.outcome)
  for (const { from, response, decision } of record.interrupts) {
    seen.kinds.add(`${response}: ${decision}`)
    if (from === 'a' && decision !== 'suppressed') seen.interrupted.add(scenario.combination)
  }
  for (const { settlement, warmed } of record.stages) {
    seen.kinds.add(settlement)
    if (warmed !== undefined) seen.kinds.add(warmed.outcome)
  }
}

/** The record without what differs from run to run, and what was delivered. */
const comparable = ({ record }: Played) => ({
  ...record,
  runId: '',
  traceId: '',
  stages: record.stages.map(({ characters: _, ...stage }) => ({ ...stage, tokens: { ...stage.tokens, delivered: 0 } })),
})

/** Who reads, and when, changes nothing but what was delivered. */
async function checkReaders(played: Played): Promise<void> {
  const { scenario } = played
  if (scenario.stages.some(({ policy }) => policy.carry === 'delivered')) return
  const other = await play(scenario, scenario.reader === 'late' ? 'prompt' : 'late')
  expect(comparable(other)).toEqual(comparable(played))
}

/** What is done ahead delays no call: with `warm: off` all is the same, to the nanosecond. */
async function checkWarming(played: Played): Promise<void> {
  const { scenario } = played
  const stages = scenario.stages.map((stage) => ({ ...stage, policy: { ...stage.policy, warm: 'off' } }))
  // Of several nodes a call takes the one where something was done ahead for it. Time is the same then where all calls may go
  // anywhere, and nothing is decided by what was learnt of one node.
  const isFree = stages.every(({ policy }) => policy.placement === 'any' && !('adaptive' in Object(policy.response)))
  if (scenario.slots.length > 1 && !isFree) return
  // The slow reader takes one piece a turn, and work done ahead has turns of its own: what it has read by an instant differs then.
  if (scenario.reader === 'slow' && stages.some(({ policy }) => policy.carry === 'delivered')) return
  const withoutPlace = (record: ReturnType<typeof comparable>) => ({
    ...record,
    stages: record.stages.map(({ warmed: _, node: __, ...stage }) => stage),
  })
  const cold = await play({ ...scenario, stages })
  expect(withoutPlace(comparable(played))).toEqual(withoutPlace(comparable(cold)))
}

async function holds(scenario: Scenario): Promise<void> {
  const played = await play(scenario)
  note(played)
  checkRun(played)
  // What costs more is looked at in a part of the runs. The scenario says in which, so that a failure plays again.
  const part = (scenario.prefillMs + scenario.signals.length) % 12
  if (part === 0) must(recordSchema.safeParse(played.record).success, 'the record is not as its schema says')
  if (part === 1) await checkSlots(played)
  if (part === 2) await checkReaders(played)
  if (part === 3) await checkWarming(played)
}

describe('whatever the policies, the signals and their order', () => {
  it('every call settles once, tokens are neither lost nor doubled, costs add up, phases sum', async () => {
    for (const { combination, ...own } of chosen) {
      const name = nameOf(combination)
      try {
        // With a number of runs that was asked for, a failure is enough: nobody waits for a small one.
        const endOnFailure = INTERLEAVINGS !== undefined
        await fc.assert(fc.asyncProperty(scenarioOf(combination), holds), { ...own, endOnFailure })
      } catch (cause) {
        throw new Error(`${name}: play it again with SEED=${seed} COMBINATION='${name}'`, { cause })
      }
    }
    if (COMBINATION !== undefined) return
    expect(seen.runs).toBe(interleavings)
    const often = interleavings >= 1_500
    // Nearly half of the runs are interrupted: `never` is one trigger in eight, and many calls end before theirs fires.
    expect(seen.interrupted.size).toBeGreaterThan(Math.min(interleavings * 0.45, all * 0.95))
    const kinds = ['completed', 'cancelled', 'failed', 'drained', 'aborted', 'withdrawn', 'prefilled', 'loaded']
    const decisions = ['adaptive: drain', 'adaptive: abort', 'hold: resume', 'hold: abort', 'hold: superseded']
    if (often) expect([...seen.kinds]).toEqual(expect.arrayContaining([...kinds, ...decisions]))
  }, 600_000)
})
