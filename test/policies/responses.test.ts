import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import { check, rows } from './response-table.ts'

describe('responses', () => {
  it.each(rows.map((row) => [row[0], row[1], row[2], row] as const))('%s %j, where %j', (name, _, __, row) => {
    check(catalogue.responses.find((response) => response.name === name)!, row)
  })

  it('each has a row', () => {
    expect([...new Set(rows.map(([name]) => name))]).toEqual(catalogue.responses.map(({ name }) => name))
  })
})
