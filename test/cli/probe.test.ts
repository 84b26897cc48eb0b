import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { probeLines } from '../../src/cli/probe-report.ts'
import { progressOn } from '../../src/cli/progress.ts'
import { plain } from '../../src/cli/screen.ts'
import { type ProbeResult, probeResultSchema } from '../../src/core/probe.ts'
import { sqliteStore } from '../../src/records/stores/sqlite.ts'
import { fullProbe } from '../probes.ts'
import { startOllamaLike } from '../servers/ollama-like.ts'
import { caesura, startCaesura } from './caesura.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-probe-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('caesura probe on the bundled model', () => {
  it('prints one JSON document as its schema says, and keeps it', async () => {
    const { status, stdout, stderr } = await caesura(folder, ['probe', '--backend', 'embedded', '--json'])
    expect(status, stderr).toBe(0)
    expect(stderr).toBe('Probing embedded with caesura-demo-3m …\n')
    const result = probeResultSchema.parse(JSON.parse(stdout))
    expect(result).toMatchObject({
      node: 'embedded',
      server: { kind: 'llama-cpp' },
      model: 'caesura-demo-3m',
      firstTokenMs: { n: 5 },
      tokensPerSecond: { prefill: expect.any(Number), decode: expect.any(Number) },
      warmPreparationMs: expect.any(Number),
      slotFreeAfterAbortMs: { decode: { n: 5 }, prefill: { n: 5 } },
      slots: 1,
      prefixReuse: true,
    })
    // On a busy machine it may not be told; nothing else may be said of this engine.
    expect(['between-batches', undefined]).toContain(result.prefillStops)
    if (result.prefillStops === undefined)
      expect(result.notes.join(' ')).toContain('Whether a prefill can be stopped was not')
    expect(result.advice.length).toBeGreaterThan(3)
    const store = sqliteStore(join(folder, 'runs.sqlite'))
    expect(store.readProbe({ node: 'embedded', address: result.address!, model: 'caesura-demo-3m' })).toEqual(result)
    store.close()
  })

  it('prints figures and sentences in a pipe, plain and within 80 columns', async () => {
    const { status, stdout } = await caesura(folder, [
      'probe',
      '--backend',
      'embedded',
      '--repetitions',
      '2',
      '--no-record',
    ])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^embedded: llama-cpp [\d.]+, caesura-demo-3m\n {2}time to first token +[\d.]+ ms +p95/)
    expect(stdout).toContain('\nWhat it means\n- ')
    expect(stdout).not.toContain('\u001b')
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })
})

describe('caesura probe', () => {
  it('gives what it had measured when it is stopped by SIGINT, and exits 130', async () => {
    const server = await startOllamaLike({ models: ['m:1'], slots: 1, script: { firstTokenMs: 20, intervalMs: 10 } })
    try {
      const run = startCaesura(folder, ['probe', '--url', server.url, '--model', 'm:1', '--json'])
      await server.until(({ requests }) => requests.filter(({ method }) => method === 'POST').length > 8)
      run.child.kill('SIGINT')
      const { status, stdout } = await run.ended
      const result = probeResultSchema.parse(JSON.parse(stdout))
      expect(status).toBe(130)
      expect(result).toMatchObject({ stopped: 'cancelled', firstTokenMs: { n: 5 } })
      const store = sqliteStore(join(folder, 'runs.sqlite'))
      expect(store.readProbe({ node: 'ollama', address: result.address!, model: 'm:1' })).toBeUndefined()
      store.close()
    } finally {
      await server.close()
    }
  })

  it('exits 3 where no server answers', async () => {
    const { status, stdout } = await caesura(folder, ['probe', '--url', 'http://127.0.0.1:9', '--json'])
    expect(status).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CAESURA_E_NO_SERVER' } })
  })

  it('takes the first model of a server that was named, and says which', async () => {
    const server = await startOllamaLike({ models: ['tiny:1b'], slots: 1 })
    try {
      const { stdout, stderr } = await caesura(folder, ['probe', '--url', server.url, '--budget', '2s', '--json'])
      expect(probeResultSchema.parse(JSON.parse(stdout))).toMatchObject({ model: 'tiny:1b' })
      expect(stderr).toContain('Probing the model tiny:1b; --model chooses another.')
    } finally {
      await server.close()
    }
  })

  it('asks which of several nodes is meant, and takes the one that is named', async () => {
    writeFileSync(
      join(folder, 'caesura.config.yaml'),
      'nodes:\n  - { name: a, backend: scripted, models: [m] }\n  - { name: b, backend: scripted, models: [m] }\n',
    )
    const both = await caesura(folder, ['probe', '--json'])
    expect(both.status).toBe(2)
    expect(JSON.parse(both.stdout)).toMatchObject({ error: { code: 'CAESURA_E_USAGE', expected: 'a, b' } })
    const one = await caesura(folder, ['probe', '--node', 'b', '--json'])
    expect(one.status, one.stdout).toBe(0)
    expect(probeResultSchema.parse(JSON.parse(one.stdout))).toMatchObject({ node: 'b', server: { kind: 'scripted' } })
  })

  it.each([
    ['--repetitions', '0'],
    ['--repetitions', 'many'],
    ['--budget', '10ms'],
    ['--budget', 'soon'],
  ])('refuses %s %s', async (flag, value) => {
    const { status, stdout } = await caesura(folder, ['probe', '--backend', 'embedded', '--json', flag, value])
    expect(status).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CAESURA_E_USAGE', received: value } })
  })
})

describe('probeLines', () => {
  const lines = (result: ProbeResult, width = 80) => probeLines(result, { width, paint: plain })

  it('says nothing of what was not measured', () => {
    const bare: ProbeResult = {
      schema: 'caesura.probe/1',
      node: 'n',
      server: { kind: 'openai' },
      model: 'm',
      measuredAt: '2026-08-01T10:00:00.000Z',
      durationMs: 60_000,
      tokensPerSecond: {},
      slotFreeAfterAbortMs: {},
      advice: [],
      notes: [],
      stopped: 'budget',
    }
    expect(lines(bare)).toEqual(['n: openai, m', '', 'measured in 1 m 00 s, its budget'])
  })

  it.each([40, 80, 120])('keeps within %d columns', (width) => {
    for (const line of lines(fullProbe, width)) expect(line.trimEnd().length).toBeLessThanOrEqual(width)
  })
})

describe('progressOn', () => {
  it('redraws one line and leaves nothing behind; without a terminal it says its title once', () => {
    const show = (rows?: number) => {
      let written = ''
      const progress = progressOn({
        width: 80,
        ...(rows !== undefined && { rows }),
        paint: plain,
        write: (text) => {
          written += text
        },
      })
      progress.begin('Probing a')
      progress.tell('decode 1/3')
      progress.end()
      return written
    }
    expect(show()).toBe('Probing a …\n')
    expect(show(24)).toBe('\r\u001b[KProbing a …\r\u001b[KProbing a: decode 1/3 …\r\u001b[K')
  })
})
