import { expect } from 'vitest'

/** What holds for every page: no number that is none, no id twice, every drawing and table with its name, headings in order. */
export function expectSound(page: string): void {
  expect(/.{0,60}(?:NaN|undefined|Infinity|null|⚠|\[object|<script|<img).{0,60}/.exec(page)?.[0]).toBeUndefined()
  const ids = [...page.matchAll(/ id="([^"]*)"/g)].map((match) => match[1])
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
  for (const [, named] of page.matchAll(/aria-(?:labelledby|describedby)="([^"]*)"/g))
    for (const id of named!.split(' ')) expect(ids).toContain(id)
  for (const [, id] of page.matchAll(/url\(#([^)]*)\)/g)) expect(ids).toContain(id)
  for (const [table] of page.matchAll(/<table.*?<\/table>/gs)) expect(table).toContain('<caption>')
  for (const [head] of page.matchAll(/<th\b[^>]*>/g)) expect(head).toContain('scope=')
  const levels = [...page.matchAll(/<h([1-6])/g)].map(([, level]) => Number(level))
  expect(levels[0]).toBe(1)
  for (const [index, level] of levels.entries()) expect(level - (levels[index - 1] ?? 0)).toBeLessThanOrEqual(1)
}
