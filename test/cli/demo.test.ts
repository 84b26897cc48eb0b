import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { recordSchema } from '../../src/core/record.ts'
import { fakeOllama } from '../servers/fake-ollama.ts'
import { caesura } from './caesura.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-demo-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('caesura demo', () => {
  it('runs three times, draws both interrupts, and ends with a table and what to try next', async () => {
    const { status, stdout, stderr } = await caesura(folder, ['demo'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout.match(/^\d\. /gm)).toHaveLength(3)
    expect(stdout.match(/to the first token of refine$/gm)).toHaveLength(2)
    expect(stdout).toMatch(
      /\n +interrupt → first token +tokens wasted +slot time wasted\nno interrupt .*\nabort .*\ndrain .*\n/,
    )
    expect(stdout).toContain('\n  caesura explain last')
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('Interrupt it yourself, while it answers: caesura chat --pace 12')
    expect(stdout).not.toContain('\u001b')
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    const { stdout: listed } = await caesura(folder, ['runs', '--json'])
    expect(JSON.parse(listed).runs).toHaveLength(3)
  })

  it('prints three records with --json, also where no records can be kept', async () => {
    const { status, stdout, stderr } = await caesura(folder, ['demo', '--json'], { CAESURA_RECORDS: '.' })
    expect(status).toBe(0)
    expect(stderr).toMatch(/^No records are kept: .*\n$/)
    const played: { name: string; record: unknown }[] = JSON.parse(stdout)
    expect(played.map(({ name, record }) => [name, recordSchema.parse(record).stages[0]?.settlement])).toEqual([
      ['no interrupt', 'completed'],
      ['abort', 'aborted'],
      ['drain', 'drained'],
    ])
  })
})

describe('caesura doctor', () => {
  it('finds what is there and says what to do where something is missing', async () => {
    const { status, stdout } = await caesura(folder, ['doctor', '--json'], { OLLAMA_HOST: '' })
    expect(status).toBe(0)
    const { ok, checks } = JSON.parse(stdout)
    expect(ok).toBe(true)
    expect(checks.map((check: { name: string; ok: boolean }) => [check.name, check.ok])).toEqual([
      ['Node', true],
      ['node-llama-cpp', true],
      ['bundled model', true],
      // Whoever works here may have one.
      ['Ollama', expect.any(Boolean)],
      ['configuration', true],
      ['records', true],
      ['Redis', true],
    ])
  })

  it('names the models of an Ollama, for people in at most 80 columns', async () => {
    await using server = await fakeOllama({ models: ['gemma3:1b', 'gemma3:4b'] })
    const { stdout } = await caesura(folder, ['doctor'], { OLLAMA_HOST: server.url })
    expect(stdout).toMatch(/^ok {7}Ollama /m)
    expect(stdout.replace(/\s+/g, ' ')).toContain('models: gemma3:1b, gemma3:4b')
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it('exits 3 where OLLAMA_HOST names a server that is not there, and says what runs all the same', async () => {
    const { status, stdout } = await caesura(folder, ['doctor'], { OLLAMA_HOST: 'http://127.0.0.1:9' })
    expect(status).toBe(3)
    expect(stdout).toMatch(/^missing +Ollama /m)
    expect(stdout).toContain('A pipeline can run here with --backend embedded only.')
  })

  it('exits 3 where a model of the configuration is nowhere', async () => {
    writeFileSync(join(folder, 'caesura.config.yaml'), 'models: { fast: "nosuch:1b" }\n')
    const { status, stdout } = await caesura(folder, ['doctor'], { OLLAMA_HOST: '' })
    expect(status).toBe(3)
    expect(stdout).toMatch(/^missing +configuration +nosuch:1b is not there/m)
  })

  it('exits 3 when the configured servers are down', async () => {
    writeFileSync(
      join(folder, 'caesura.config.yaml'),
      'nodes: [{ name: gpu, backend: ollama, url: "http://127.0.0.1:9" }]\n',
    )
    const { status, stdout } = await caesura(folder, ['doctor'])
    expect(status).toBe(3)
    expect(stdout).toContain('No pipeline can run here yet.')
  })
})
