import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { faultCases } from './catalogue.ts'
import { type FaultGroup, faultGroups } from './fault.ts'
import { groupTable, placeOf } from './table.ts'

const page = readFileSync(new URL('../../docs/faults.md', import.meta.url), 'utf8')

describe('docs/faults.md', () => {
  it.each(Object.entries(faultGroups) as [FaultGroup, string][])(
    'has the table of %s (npm run faults -- --write)',
    (group, title) => {
      expect(page).toContain(`\n## ${title}\n`)
      expect(placeOf(group).exec(page)?.[2]).toBe(groupTable(group, faultCases))
    },
  )

  it('names each fault once', () => {
    const names = faultCases.map(({ fault }) => fault)
    expect(new Set(names).size).toBe(names.length)
  })
})
