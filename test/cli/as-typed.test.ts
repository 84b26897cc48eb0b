import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { type Calling, typedHere } from '../../src/cli/as-typed.ts'
import { caesura } from './caesura.ts'

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
const folder = mkdtempSync(join(tmpdir(), 'caesura-typed-'))
afterAll(() => rmSync(folder, { recursive: true }))

const checkout: Calling = { root: '/src/caesura', fromSources: true, folder: '/elsewhere', environment: {} }
const installed: Calling = { ...checkout, fromSources: false, root: '/app/node_modules/caesura-engine' }
const ours = { npm_package_name: 'caesura-engine' }

describe('what a person types for `caesura`', () => {
  it.each<[string, Calling, string]>([
    [
      'of `npm start` in a checkout',
      { ...checkout, environment: { ...ours, npm_lifecycle_event: 'start' } },
      'npm run -s caesura --',
    ],
    [
      'of `npm run caesura`',
      { ...checkout, environment: { ...ours, npm_lifecycle_event: 'caesura' } },
      'npm run -s caesura --',
    ],
    ['of the sources, in their folder', { ...checkout, folder: '/src/caesura' }, 'npm run -s caesura --'],
    ['of the sources, in a folder where npm finds no such script', checkout, 'caesura'],
    [
      'of the sources, below the script of somebody else',
      { ...checkout, environment: { npm_package_name: 'theirs', npm_lifecycle_event: 'start' } },
      'caesura',
    ],
    ['of the installed command', installed, 'caesura'],
    ['of npx', { ...installed, environment: { npm_command: 'exec' } }, 'npx caesura-engine'],
  ])('%s', (_, calling, typed) => expect(typedHere(calling)).toBe(typed))

  it.each([
    ['a checkout', root, 'npm run -s caesura -- run PIPELINE'],
    ['another folder', folder, '`caesura run PIPELINE`'],
  ])('stands in the hints of errors, for people and as JSON: %s', async (_, where, hint) => {
    const environment = { CAESURA_RECORDS: join(folder, 'none.sqlite') }
    const shown = await caesura(where, ['explain', 'last'], environment)
    expect(shown.stderr).toContain(hint)
    const { stdout } = await caesura(where, ['explain', 'last', '--json'], environment)
    expect(JSON.parse(stdout).error.hint).toContain(hint)
  })
})
