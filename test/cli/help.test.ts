import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { verbs } from '../../src/cli/verbs.ts'
import { sqliteStore } from '../../src/records/stores/sqlite.ts'
import { interruptedRun, plainRun } from '../records.ts'
import { caesura } from './caesura.ts'

const folder = mkdtempSync(join(tmpdir(), 'caesura-help-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('caesura --help', () => {
  it('has each verb below the heading of its group, and examples', async () => {
    const { status, stdout } = await caesura(folder, ['--help'])
    expect(status).toBe(0)
    for (const [name, { group }] of Object.entries(verbs)) {
      const section = stdout.slice(stdout.indexOf(`\n${group}\n`)).split('\n\n')[0]
      expect(section, name).toMatch(new RegExp(`^  ${name} `, 'm'))
    }
    expect(stdout).not.toContain('Commands:')
    expect(stdout.split('\nExamples:\n')[1]?.trim().split('\n')).toEqual([
      'caesura demo',
      '  caesura run pipeline.yaml --input "How do I descale a kettle?"',
      '  caesura chat --pace 12',
      '  caesura explain last',
    ])
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })
})

describe('caesura runs', () => {
  it('leaves trials of experiments out unless --trials asks for them', async () => {
    const store = sqliteStore(join(folder, 'runs.sqlite'))
    const experiment = { name: 'e', arm: 'a', execution: 'first', session: 's' }
    store.write({ ...interruptedRun, runId: 'trial', experiment })
    expect((await caesura(folder, ['runs'])).stdout).toContain('`caesura runs --trials` lists them')
    expect((await caesura(folder, ['explain'])).stderr).toContain('only trials of experiments are recorded')
    store.write({ ...plainRun, runId: 'mine', startedAt: '2020-01-01T00:00:00.000Z' })
    store.close()
    const listed = async (...flags: string[]) =>
      JSON.parse((await caesura(folder, ['runs', '--json', ...flags])).stdout).runs.map(
        ({ runId }: { runId: string }) => runId,
      )
    expect(await listed()).toEqual(['mine'])
    expect(await listed('--trials')).toEqual(['trial', 'mine'])
    expect(JSON.parse((await caesura(folder, ['explain', '--json'])).stdout).runId).toBe('mine')
  })
})
