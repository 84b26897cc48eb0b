import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs, styleText } from 'node:util'
import { endServers, faultsOf, type Observed, observe } from '../test/phases/observe.ts'
import { busyScenarios, type Scenario, scenarios } from '../test/phases/scenario.ts'
import { cells, heads, tableOf } from '../test/phases/table.ts'

/**
 * Plays every scenario of test/phases and prints what was true of each call and what the record says: `npm run phases`. With `--write`,
 * puts the table into docs/phases.md. Exits with 1 when a phase is wrong.
 */
const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } })
const page = new URL('../docs/phases.md', import.meta.url)
/** More at once would disturb each other. */
const AT_ONCE = 2
const MOST_PLAYS = 4

const seen = new Map<Scenario, Observed>()
const left = [...scenarios]
/** Again where this process was not given the processor: a row is to show the scenario, not the machine. */
const play = async () => {
  for (let next = left.shift(); next !== undefined; next = left.shift()) {
    for (let plays = 0; plays < MOST_PLAYS; plays++) {
      const observed = await observe(next)
      seen.set(next, observed)
      if (observed.call.lateLoopMs === undefined) break
    }
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, play))
for (const scenario of busyScenarios) seen.set(scenario, await observe(scenario))
await endServers()

const all = [...scenarios, ...busyScenarios]
const rows = all.map((scenario) => cells(scenario, seen.get(scenario)!))
console.log(styleText('bold', heads.join(' | ')))
let wrong = 0
for (const [index, scenario] of all.entries()) {
  const faults = faultsOf(seen.get(scenario)!, scenario)
  console.log(rows[index]!.join(' | '))
  if (faults.length === 0) continue
  wrong += 1
  console.log(styleText('red', `  WRONG: ${faults.join('; ')}`))
}
console.log(`${all.length} scenarios, ${wrong} with a wrong phase`)
process.exitCode = wrong === 0 ? 0 : 1

if (values.write) {
  const text = readFileSync(page, 'utf8')
  const table = tableOf(rows)
  writeFileSync(
    page,
    text.replace(/(<!-- phases -->\n).*(\n<!-- \/phases -->)/s, (_, before, after) => before + table + after),
  )
}
