import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { csv } from '../../../src/cli/ab/data.ts'
import type { DataRow } from '../../../src/lab/data-rows.ts'

const written = (rows: DataRow[]) => [...csv([rows])].join('')
/** The cells of RFC 4180. */
function cells(line: string): string[] {
  const found = ['']
  let isQuoted = false
  for (const [index, character] of line.split('').entries()) {
    if (character === '"') {
      // A quote that is written twice is one.
      if (!isQuoted && index > 0 && line.at(index - 1) === '"') found.push(`${found.pop()}"`)
      isQuoted = !isQuoted
    } else if (character === ',' && !isQuoted) found.push('')
    else found.push(`${found.pop()}${character}`)
  }
  return found
}
function read(rows: DataRow[]): Record<string, string>[] {
  const [head = '', ...rest] = written(rows).split('\n')
  // One row: what is quoted may hold ends of lines.
  const values = cells(rest.join('\n').replace(/\n$/, ''))
  return [Object.fromEntries(cells(head).map((name, index) => [name, values[index] ?? '']))]
}

describe('ab data --format csv', () => {
  it.each(['=1+1', '+1', '-2+3', '@SUM(A1)', '\t=1', '\r=1', '=HYPERLINK("http://x","y")'])(
    'writes no formula: %j',
    (text) => {
      const [row] = read([{ arm: text, session: text }])
      expect([row!.arm, row!.session]).toEqual([`'${text}`, `'${text}`])
    },
  )

  it('leaves numbers and other texts as they are', () => {
    const [row] = read([{ arm: 'a-b=c', lagMs: -1.5, runMs: 2e-7, warmUp: true }])
    expect(row).toMatchObject({ arm: 'a-b=c', lagMs: '-1.5', runMs: '2e-7', warmUp: 'true', outcome: '' })
  })

  it('gives any text back, at most with the mark in front', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
        const found = read([{ arm: text }])[0]!.arm!
        expect(found === text || found === `'${text}`).toBe(true)
        expect(found).not.toMatch(/^[=+\-@\t\r]/)
      }),
      { numRuns: 30 },
    )
  })
})
