import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { diagrams } from '../../src/machines/diagram.ts'

describe('docs/machines', () => {
  it.each(Object.entries(diagrams()))('%s.mmd is fresh (npm run machines)', (name, text) => {
    expect(readFileSync(new URL(`../../docs/machines/${name}.mmd`, import.meta.url), 'utf8')).toBe(text)
  })
})
