import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cellsFor } from '../../../src/lab/overhead/cells.ts'
import { transports } from '../../../src/lab/overhead/design.ts'
import { overheadOf } from '../../../src/lab/overhead/overhead-of.ts'
import type { Overhead } from '../../../src/lab/overhead/result.ts'
import { overheadPage } from '../../../src/lab/report/overhead-page.ts'
import { busy, type Costs, designOf, executionOf, lost, simulated, usualCosts } from './simulated.ts'

const derive = (costs: Costs, blocks = 3): Overhead => {
  const design = designOf(blocks)
  return overheadOf(executionOf(design), simulated(design, costs))
}
const contrast = ({ contrasts }: Overhead, name: string, server = 'embedded server') =>
  contrasts.find((each) => each.name === name && each.server === server)?.ms

const cost = (max: number) => fc.double({ min: 0.01, max, noNaN: true })
const anyCosts: fc.Arbitrary<Costs> = fc.record({
  ...{ firstToken: cost(20), transport: cost(50), preparation: cost(100), connection: cost(20) },
  ...{ prefill: cost(500), load: cost(5_000), abortLag: cost(20), drift: cost(50) },
  firstStage: fc.double({ min: 150, max: 400, noNaN: true }),
})

describe('the contrasts of overhead', () => {
  it('are the costs of a simulated server, whatever they are and however blocks drift', () => {
    fc.assert(
      fc.property(anyCosts, (costs) => {
        const result = derive(costs)
        const { transport, preparation, firstStage, drift } = costs
        // The median block is the second one.
        const rest = (firstStage + drift + transport + preparation) / 2
        const expected = {
          ...{ transport: transport + preparation, connection: costs.connection, load: costs.load, preparation },
          ...{ drain: rest, abort: costs.abortLag, slot: rest, prefill: costs.prefill },
        }
        for (const [name, ms] of Object.entries(expected)) expect(contrast(result, name), name).toBeCloseTo(ms, 2)
        expect(contrast(result, 'transport', 'embedded server, two clocks')).toBeCloseTo(transport, 2)
        expect(contrast(result, 'abort', 'in-process, observed')).toBeCloseTo(costs.abortLag, 2)
      }),
      { numRuns: 5 },
    )
  })

  it('split the difference of the two runs into parts that sum to it, the drain first', () => {
    const { replication, replicationInProcess } = derive({ ...usualCosts, drift: 0 })
    expect(replication.at100Ms! - replication.at500Ms!).toBeCloseTo(replication.differenceMs!, 2)
    expect(replication.parts[0]).toEqual({ name: 'drain', ms: 91.2 })
    expect(replication.parts.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(replication.differenceMs!, 3)
    expect(replicationInProcess?.differenceMs).toBeCloseTo(90, 2)
    expect(replication.abortAt100Ms).toBeLessThan(10)
  })

  it('have drain fall by 1 ms a ms inside the first stage, and nothing else depend on the time', () => {
    const { slopes, slopeInsideFirstStage } = derive({ ...usualCosts, drift: 0 })
    expect(slopeInsideFirstStage.value).toBeCloseTo(-1, 2)
    const others = slopes.filter(({ handoff }) => handoff !== 'drain')
    expect(others).toHaveLength(4)
    for (const { value } of others) expect(value).toBeCloseTo(0, 2)
  })
})

describe('the answer', () => {
  it('is for the server that was named, however little a server of our own costs', () => {
    const design = designOf(6, true, 'far:11434')
    const costs = { ...usualCosts, transport: 400 }
    const near = new Set(simulated(design, usualCosts).map((record) => JSON.stringify(record)))
    const records = simulated(design, costs).map((record, at) =>
      record.experiment!.arm.startsWith('ollama') ? record : JSON.parse([...near][at]!),
    )
    const result = overheadOf(executionOf(design), records)
    expect(result.contrasts[0]).toMatchObject({ name: 'transport', server: 'ollama, two clocks', ms: 400 })
    expect(contrast(result, 'transport')).toBeCloseTo(1.2, 2)
    expect(result.answer).toMatch(/^Yes: HTTP costs 400 ms .* a call to the Ollama at far:11434;/)
    expect(result.replication.transport).toBe('ollama')
    expect(result.slopeInsideFirstStage.value).toBe(
      result.slopes.find(({ transport, handoff }) => transport === 'ollama' && handoff === 'drain')?.value,
    )
    expect(result.scope).toContain('cannot be known from one address (slot)')
    // Nothing in a drawing is cut short.
    expect(overheadPage(result)).not.toContain('…')
    const usual = derive(usualCosts)
    expect(overheadPage(usual)).not.toContain('…')
    expect(usual.scope).toContain('a server of our own on this machine')
    expect(usual.contrasts[0]).toMatchObject({ name: 'transport', server: 'embedded server' })
  })

  it('never says what the cards and charts beside it do not, on a machine however busy', () => {
    const spread = fc.double({ min: 0, max: 3, noNaN: true })
    const chances = fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true }))
    const findings = new Set<string>()
    fc.assert(
      fc.property(spread, chances, fc.integer({ min: 1, max: 9 }), (most, drawn, blocks) => {
        const design = designOf(blocks)
        const records = busy(simulated(design, usualCosts), () => Math.exp(most * drawn.next().value!))
        const result = overheadOf(executionOf(design), records)
        const [http, wait] = ['transport', 'drain'].map((name) => result.contrasts.find((each) => each.name === name)!)
        const page = overheadPage(result)
        const cards = page.slice(page.indexOf('class="cards"'), page.indexOf('</dl>'))
        const isKnown = result.finding !== 'not known'
        findings.add(result.finding)
        if (result.finding === 'no') expect(http!.interval![1]).toBeLessThan(wait!.interval![0] / 4)
        if (isKnown) expect(wait!.interval![0]).toBeGreaterThan(0)
        expect(page.includes('id="parts"')).toBe(
          isKnown && (result.replication.interval![0] > 0 || result.replicationInProcess!.interval![0] > 0),
        )
        expect(cards.includes('95 % interval')).toBe(blocks >= 6)
        expect(page.includes('Each cost with its 95 % interval')).toBe(blocks >= 6)
        expect(result.answer.includes('95 % interval')).toBe(blocks >= 6)
      }),
      { numRuns: 40 },
    )
    expect(findings).toContain('not known')
    expect(findings).toContain('no')
  })
})

describe('the cells', () => {
  it('have a name each, and those of the quick experiment are all in the full one', () => {
    const full = cellsFor(transports, false).map(({ id }) => id)
    expect(new Set(full).size).toBe(full.length)
    const quick = cellsFor(transports, true).map(({ id }) => id)
    expect(quick.filter((id) => !full.includes(id))).toEqual([])
  })
})

describe('overheadOf', () => {
  it('gives the same bytes for the same records in any order', () => {
    const design = designOf(2)
    const records = simulated(design, usualCosts)
    const text = JSON.stringify(overheadOf(executionOf(design), records))
    expect(JSON.stringify(overheadOf(executionOf(design), records.toReversed()))).toBe(text)
  })

  it('leaves warm-ups out of every figure but their number', () => {
    const design = designOf(2)
    const records = simulated(design, usualCosts)
    const slow = simulated({ ...design, blocks: 1 }, { ...usualCosts, transport: 900 }).map((record) => {
      const { block: _, ...place } = record.experiment!
      return { ...record, experiment: { ...place, warmUp: true as const } }
    })
    const without = overheadOf(executionOf(design), records)
    const withThem = overheadOf(executionOf(design), [...slow, ...records])
    expect(withThem).toEqual({ ...without, warmUps: slow.length })
  })

  it('has no figure that is no number and no null, whichever trials are lost or missing', () => {
    const design = designOf(2)
    const records = simulated(design, usualCosts)
    const fates = fc.array(fc.constantFrom('kept', 'lost', 'missing'), { minLength: 1, maxLength: records.length })
    fc.assert(
      fc.property(fates, (fate) => {
        const left = records.flatMap((record, at) => {
          const its = fate[at % fate.length]
          return its === 'missing' ? [] : [its === 'lost' ? lost(record) : record]
        })
        const result = overheadOf(executionOf(design), left)
        for (const value of leavesOf(result)) {
          expect(value).not.toBeNull()
          if (typeof value === 'number') expect(value).toSatisfy(Number.isFinite)
        }
        expect(result.cells.reduce((sum, cell) => sum + cell.lost, 0)).toBe(
          left.filter(({ outcome }) => outcome === 'failed').length,
        )
      }),
      { numRuns: 8 },
    )
  })

  it('says that nothing is known where nothing was measured', () => {
    const result = overheadOf(executionOf(designOf(2)), [])
    expect(result.answer).toMatch(/^Not known/)
    expect(result.contrasts.every(({ ms, note }) => ms === undefined && note !== undefined)).toBe(true)
  })

  it('warns of answers that were not the same work', () => {
    const design = designOf(1)
    const records = simulated(design, usualCosts).map((record) =>
      record.experiment?.arm === 'http / whole answer'
        ? {
            ...record,
            stages: record.stages.map((call) => ({ ...call, text: 'other', tokens: { ...call.tokens, generated: 9 } })),
          }
        : record,
    )
    const { cautions } = overheadOf(executionOf(design), records)
    expect(cautions).toContain('Answers are not all of 200 tokens: http (9).')
    expect(cautions).toContain('The same engine did not give the same text in-process and over HTTP.')
  })

  it('tells of interrupts that came too late, which are in no figure and not lost', () => {
    const design = designOf(1)
    const arm = 'http / at 100 ms / drain'
    const records = simulated(design, usualCosts).map((record) =>
      record.experiment?.arm === arm ? { ...record, interrupts: [] } : record,
    )
    const { cautions, cells, replication } = overheadOf(executionOf(design), records)
    expect(cautions).toContainEqual(expect.stringMatching(/^1 of \d+ trials were to be interrupted after/))
    expect(cells.find(({ id }) => id === arm)).toMatchObject({ n: 0, lost: 0 })
    expect(replication.differenceMs).toBeUndefined()
  })

  it('refuses an execution of something else', () => {
    const foreign = { ...executionOf(designOf(1)), design: { arms: [] } }
    expect(() => overheadOf(foreign, [])).toThrow(expect.objectContaining({ code: 'CAESURA_E_EXPERIMENT' }))
  })
})

function leavesOf(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leavesOf) : [value]
}
