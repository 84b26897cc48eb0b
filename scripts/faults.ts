import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs, styleText } from 'node:util'
import { faultCases } from '../test/faults/catalogue.ts'
import { type FaultCase, type FaultGroup, type FaultOutcome, faultGroups } from '../test/faults/fault.ts'
import { runFault } from '../test/faults/run-fault.ts'
import { asExpected, groupTable, head, placeOf, row, table } from '../test/faults/table.ts'

/**
 * Runs every fault against the engine and prints what became of each: `npm run faults`. With `--write`, puts the tables (without
 * the times) into docs/faults.md. Exits with 1 when one did not end as the tests expect.
 */
const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } })
const page = new URL('../docs/faults.md', import.meta.url)
const groups = Object.entries(faultGroups) as [FaultGroup, string][]
const outcomes = new Map<FaultCase, FaultOutcome>()

for (const [group, title] of groups) {
  const rows: (readonly string[])[] = []
  for (const fault of faultCases.filter((one) => one.group === group)) {
    const { outcome, ms } = await runFault(fault)
    outcomes.set(fault, outcome)
    const right = asExpected(outcome, fault)
    if (!right) process.exitCode = 1
    rows.push(
      [...row(fault.fault, outcome), ms.toFixed(1), right ? 'yes' : 'NO'].map((cell) => cell.replaceAll('`', '')),
    )
  }
  console.log(`${styleText('bold', title)}\n${table([...head, 'ms to settle', 'as expected'], rows)}\n`)
}
const wrong = faultCases.filter((fault) => !asExpected(outcomes.get(fault)!, fault))
console.log(`${faultCases.length} faults, ${wrong.length} not as expected`)

if (values.write) {
  let text = readFileSync(page, 'utf8')
  for (const [group] of groups) {
    const made = groupTable(group, faultCases, (fault) => outcomes.get(fault)!)
    text = text.replace(placeOf(group), (_, before: string, _old, after: string) => before + made + after)
  }
  writeFileSync(page, text)
}
