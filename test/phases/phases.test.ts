import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { endServers, faultsOf, type Observed, observe } from './observe.ts'
import { busyScenarios, type Scenario, scenarios } from './scenario.ts'
import { nameOf } from './table.ts'

/** So many at once: most of a scenario is waiting. */
const AT_ONCE = 8
const titleOf = ({ wire, name }: Scenario) => `${wire}: ${name}`

describe('the phases of a call whose time is known', () => {
  const seen = new Map<Scenario, Observed>()
  const played = async (scenario: Scenario) => {
    const observed = await observe(scenario)
    seen.set(scenario, observed)
    return observed
  }

  beforeAll(async () => {
    const left = [...scenarios]
    const play = async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) await played(next)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, play))
  }, 600_000)
  afterAll(endServers)

  it('are looked at in more than forty ways', () => {
    expect(new Set(scenarios.map(titleOf)).size).toBe(scenarios.length)
    expect(scenarios.length).toBeGreaterThan(40)
  })

  // A machine that stands still for a while can make a right report look wrong: then the scenario is played once more.
  it.for(scenarios.map((scenario) => [titleOf(scenario), scenario] as const))(
    '%s',
    { retry: 2 },
    async ([, scenario]) => {
      const observed = seen.get(scenario) ?? (await played(scenario))
      seen.delete(scenario)
      expect(faultsOf(observed, scenario), JSON.stringify(observed.phases)).toEqual([])
    },
  )

  it.for(busyScenarios.map((scenario) => [titleOf(scenario), scenario] as const))(
    '%s',
    { retry: 2 },
    async ([, scenario]) => {
      const observed = await observe(scenario)
      expect(faultsOf(observed, scenario)).toEqual([])
      expect(observed.call.lateLoopMs).toBeGreaterThan(100)
    },
  )

  it('of a stream that a proxy held back: the record says so', async () => {
    const { call } = await observe(scenarios.find(({ proxy }) => proxy?.buffers)!)
    expect(call.arrival).toBe('bunched')
  })
})

describe('docs/phases.md', () => {
  it('has a row for each scenario (npm run phases -- --write)', () => {
    const page = readFileSync(new URL('../../docs/phases.md', import.meta.url), 'utf8')
    for (const scenario of [...scenarios, ...busyScenarios]) expect(page).toContain(nameOf(scenario))
  })
})
