import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { overheadLines } from '../../src/cli/overhead-report.ts'
import { plain } from '../../src/cli/screen.ts'
import { overheadOf } from '../../src/lab/overhead/overhead-of.ts'
import { sqliteStore } from '../../src/records/stores/sqlite.ts'
import { until } from '../fixtures/until.ts'
import { designOf, executionOf, simulated, usualCosts } from '../lab/overhead/simulated.ts'
import { caesura, startCaesura } from './caesura.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-overhead-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Has Node not find node-llama-cpp. */
const withoutPackage = `data:text/javascript,${encodeURIComponent(`
import { registerHooks } from 'node:module'
registerHooks({ resolve(name, context, next) {
  if (name !== 'node-llama-cpp') return next(name, context)
  throw Object.assign(new Error("Cannot find package 'node-llama-cpp'"), { code: 'ERR_MODULE_NOT_FOUND' })
} })`)}`

describe('caesura overhead', () => {
  it('ends on Ctrl-C with exit 130, its records, and a result that says it was stopped', async () => {
    const { child, ended } = startCaesura(folder, ['overhead', '--quick', '--json'], { OLLAMA_HOST: '' })
    const store = sqliteStore(join(folder, 'runs.sqlite'))
    await until(() => store.list().length >= 2)
    child.kill('SIGINT')
    const { status, stdout, stderr } = await ended
    expect(status, stderr).toBe(130)
    const result = JSON.parse(stdout)
    expect(result.cautions).toContain('It did not come to its end (stopped).')
    expect(store.readExecution('overhead')?.ended?.how).toBe('stopped')
    store.close()
    const report = join(folder, 'overhead.html')
    const again = await caesura(folder, ['overhead', '--from', result.execution, '--json', '--report', report])
    expect(again.stdout).toBe(stdout)
    expect(again.stderr).toContain(`wrote ${report}`)
    expect(readFileSync(report, 'utf8')).toContain(result.answer)
    // On a busy machine the servers and the calibration take a while.
  }, 60_000)

  it('exits 3 where node-llama-cpp is not installed', async () => {
    const env = { NODE_OPTIONS: `--import=${withoutPackage}`, OLLAMA_HOST: '' }
    const { status, stdout } = await caesura(folder, ['overhead', '--quick', '--json'], env)
    expect(status).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CAESURA_E_NO_BACKEND' } })
  })

  it.each([
    ['the server of OLLAMA_HOST', [], 'CAESURA_E_NO_SERVER'],
    ['the server of --url', ['--url', 'http://127.0.0.1:9'], 'CAESURA_E_NO_SERVER'],
    ['the file of --model', ['--model', 'gone.gguf'], 'CAESURA_E_NO_MODEL', ''],
  ])('exits 3 where %s is not there', async (_, flags, code, OLLAMA_HOST = 'http://127.0.0.1:9') => {
    const { status, stdout } = await caesura(folder, ['overhead', '--quick', '--json', ...flags], { OLLAMA_HOST })
    expect(status).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code } })
  })

  it('prints the answer, every contrast and what to know within 80 columns', () => {
    const design = designOf(3)
    const result = overheadOf(executionOf(design), simulated(design, usualCosts))
    const lines = overheadLines(result, { width: 80, paint: plain })
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    const text = lines.join('\n')
    expect(text.replace(/\s+/g, ' ')).toContain(result.answer)
    for (const { name, server } of result.contrasts) expect(text).toContain(`${name}, ${server}`)
    expect(text).toContain('To know\n- The answer is for a server of our own on this machine.')
    expect(text).toContain('- At 500 ms the first stage had been over for')
    expect(lines.at(-1)).toContain(`Execution ${result.execution}.`)
    expect(text).toContain('within blocks, range of 3 blocks)')
    expect(text.replace('there is no 95 % interval', '').match(/95 %/g)).toHaveLength(1)
  })
})
