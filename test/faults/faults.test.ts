import { describe, expect, it } from 'vitest'
import { faultCases } from './catalogue.ts'
import { type FaultGroup, faultGroups } from './fault.ts'
import { runFault } from './run-fault.ts'

describe.each(Object.entries(faultGroups) as [FaultGroup, string][])('a fault: %s', (group, title) => {
  it.each(faultCases.filter((fault) => fault.group === group))(`${title}: $fault`, async (fault) => {
    const { outcome } = await runFault(fault)
    expect(outcome).toEqual(fault.expected)
  })
})
