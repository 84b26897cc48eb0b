import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { caesura } from './caesura.ts'

const folder = mkdtempSync(join(tmpdir(), 'caesura-catalogue-'))
afterAll(() => rmSync(folder, { recursive: true }))
const write = (name: string, text: string) => writeFileSync(join(folder, name), text)

const index = pathToFileURL(join(import.meta.dirname, '../../src/index.ts')).href
write(
  'policies.ts',
  `import { cancelCall, extendCatalogue, fireWhenSettled } from '${index}'
const stop = { name: 'stop', summary: 'stops', start: () => [cancelCall, fireWhenSettled] }
export const catalogue = extendCatalogue({ responses: [stop] })\n`,
)
write('empty.ts', 'export const other = 1\n')
write('broken.ts', 'throw new Error("no luck")\n')
write('wrong.ts', 'export const catalogue = { triggers: [] }\n')
write(
  'own.yaml',
  'name: own\nstages:\n  - { id: a, model: caesura-demo-3m, prompt: "{{ input }}", policy: { trigger: { tokens: 2 }, response: stop } }\n  - { id: b, model: caesura-demo-3m, prompt: "Question: {{ input }}" }\n',
)

describe('--catalogue', () => {
  it('makes a response of one’s own known to check, policies, schema and run', async () => {
    expect(await caesura(folder, ['check', 'own.yaml'])).toMatchObject({ status: 2 })
    const own = ['--catalogue', 'policies.ts']
    expect(await caesura(folder, ['check', 'own.yaml', ...own])).toMatchObject({ status: 0, stderr: '' })
    expect((await caesura(folder, ['policies', 'stop', ...own])).stdout).toContain('stops')
    expect((await caesura(folder, ['schema', 'pipeline', ...own])).stdout).toContain('"stop"')
    const { status, stdout } = await caesura(folder, [
      'run',
      'own.yaml',
      '--backend',
      'embedded',
      '--input',
      'Q',
      '--json',
      ...own,
    ])
    expect(status).toBe(0)
    expect(JSON.parse(stdout).stages[0]).toMatchObject({ settlement: 'aborted' })
  })

  it('is known to every verb by CAESURA_CATALOGUE', async () => {
    write('caesura.config.yaml', 'nodes: [{ name: desk, backend: canned, answer: Later. }]\nmodels: { fast: canned }\n')
    write(
      'backends.ts',
      `import { backendKind, extendCatalogue, scripted } from '${index}'
import { z } from '${pathToFileURL(join(import.meta.dirname, '../../node_modules/zod/index.js')).href}'
const open = ({ answer }) => scripted({ name: 'n', script: { tokens: [answer] } }).backend
export const catalogue = extendCatalogue({ backends: [backendKind({ name: 'canned', summary: 's', shape: { answer: z.string() }, open })] })\n`,
    )
    try {
      expect(await caesura(folder, ['runs'])).toMatchObject({ status: 2, stderr: expect.stringContaining('canned') })
      const env = { CAESURA_CATALOGUE: join(folder, 'backends.ts') }
      expect(await caesura(folder, ['runs'], env)).toMatchObject({ status: 0 })
      expect(await caesura(folder, ['doctor'], env)).toMatchObject({ stdout: expect.stringContaining('desk') })
      const none = { CAESURA_CATALOGUE: 'none.ts' }
      expect(await caesura(folder, ['runs'], none)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('CAESURA_CATALOGUE is no file'),
      })
    } finally {
      rmSync(join(folder, 'caesura.config.yaml'))
    }
  })

  it('makes it known to an experiment', async () => {
    write(
      'stop.experiment.yaml',
      `name: stop
pipeline: own.yaml
arms: [{ name: stop, policy: { response: stop } }, { name: drain, policy: { response: drain } }]
baseline: drain
workload: { prompts: [Q], interrupts: { after: 1ms } }
sessions: 4
warmUp: 0
`,
    )
    const own = ['--catalogue', 'policies.ts']
    expect(await caesura(folder, ['check', 'stop.experiment.yaml', ...own])).toMatchObject({
      status: 0,
      stderr: expect.anything(),
    })
    expect(await caesura(folder, ['ab', 'stop.experiment.yaml', '--backend', 'embedded'])).toMatchObject({ status: 2 })
    const { status, stdout } = await caesura(folder, [
      'ab',
      'stop.experiment.yaml',
      '--backend',
      'embedded',
      '--json',
      ...own,
    ])
    expect(status).toBe(0)
    expect(JSON.parse(stdout).arms.map(({ name }: { name: string }) => name)).toEqual(['stop', 'drain'])
  })

  it.each([
    ['is not there', 'none.ts', 'CAESURA_E_FILE', '--catalogue is no file'],
    ['exports something else', 'empty.ts', 'CAESURA_E_CONFIG', '--catalogue exports no catalogue'],
    ['throws', 'broken.ts', 'CAESURA_E_CONFIG', '--catalogue cannot be loaded: no luck'],
    ['exports no whole catalogue', 'wrong.ts', 'CAESURA_E_CONFIG', 'catalogue.steps is no list'],
  ])('refuses a file that %s', async (_, file, code, message) => {
    const { status, stdout } = await caesura(folder, ['check', 'own.yaml', '--json', '--catalogue', file])
    expect(status).toBe(2)
    expect(JSON.parse(stdout).error).toMatchObject({ code, message, file })
  })
})
