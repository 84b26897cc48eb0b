import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { errorCodes } from '../../src/core/errors.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(`${root}docs/errors.md`, 'utf8')
const rows = [...page.matchAll(/^\| `(CAESURA_E_\w+)` \| (\d) \| (.+?) \| (.+?) \|$/gm)].map(
  ([, code, exit, cause, remedy]) => ({ code: code!, exit: Number(exit), cause: cause!, remedy: remedy! }),
)
/** What the sources say, apart from the list itself. */
const sources = globSync('src/**/*.ts', { cwd: root })
  .filter((file) => !file.endsWith('errors.ts') || file.includes('backends'))
  .map((file) => readFileSync(`${root}${file}`, 'utf8'))
  .join('\n')

describe('docs/errors.md', () => {
  it('has a row for every code, with its exit status, and no other', () => {
    expect(Object.fromEntries(rows.map(({ code, exit }) => [code, exit]))).toEqual(errorCodes)
    expect(rows).toHaveLength(Object.keys(errorCodes).length)
  })

  it('has no row that is not whole', () => {
    expect(page.match(/^\| `CAESURA_E_/gm)).toHaveLength(rows.length)
    expect(rows.filter(({ cause, remedy }) => cause.trim() === '' || remedy.trim() === '')).toEqual([])
  })
})

describe('an error code', () => {
  it.each(Object.keys(errorCodes))('%s is used', (code) => {
    expect(sources).toMatch(new RegExp(`['"\`]${code}['"\`]`))
  })

  it('is in the list if the sources name it', () => {
    const named = new Set(sources.match(/CAESURA_E_[A-Z_]*[A-Z]\b/g))
    expect([...named].filter((code) => !(code in errorCodes))).toEqual([])
  })
})
