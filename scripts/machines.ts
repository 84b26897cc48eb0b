import { mkdirSync, writeFileSync } from 'node:fs'
import { diagrams } from '../src/machines/diagram.ts'

/** Writes docs/machines/*.mmd from the machines themselves: `npm run machines`. A test fails when they are stale. */
const folder = new URL('../docs/machines/', import.meta.url)
mkdirSync(folder, { recursive: true })
for (const [name, text] of Object.entries(diagrams())) {
  writeFileSync(new URL(`${name}.mmd`, folder), text)
  console.log(`docs/machines/${name}.mmd`)
}
