import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { noFigures } from '../../src/core/figures.ts'
import { serveMetrics } from '../../src/server/metrics-server.ts'
import { processesForTest } from '../fixtures/fleet-processes.ts'
import { caesura, startCaesura } from './caesura.ts'

// Each step is a process.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const folder = mkdtempSync(join(tmpdir(), 'caesura-metrics-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('--metrics-port', () => {
  it('of a model server shows its slots and its calls, and is named in the document', async () => {
    const flags = ['--backend', 'scripted', '--slots', '3', '--port', '0', '--metrics-port', '0', '--json']
    const { child, printed, ended } = startCaesura(folder, ['model-server', ...flags])
    let stdout = ''
    child.stdout!.on('data', (text) => {
      stdout += text
    })
    await printed('\n}')
    const { url, metrics } = JSON.parse(stdout) as { url: string; metrics: string }
    const body = JSON.stringify({ model: 'scripted', messages: [{ role: 'user', content: 'hi' }], stream: false })
    expect((await fetch(`${url}/api/chat`, { method: 'POST', body })).status).toBe(200)
    const text = await (await fetch(metrics)).text()
    for (const line of [
      'caesura_model_server_slots 3',
      'caesura_model_server_busy 0',
      'caesura_model_server_waiting 0',
      'caesura_model_server_calls_total{end="completed"} 1',
      'caesura_model_server_calls_total{end="failed"} 0',
    ])
      expect(text).toContain(`${line}\n`)
    child.kill('SIGTERM')
    expect((await ended).status).toBe(0)
  })

  it('that is taken ends each process with exit code 3, before it takes any work', async () => {
    const other = await serveMetrics({
      host: '127.0.0.1',
      port: 0,
      figures: { ...noFigures, text: async () => '', contentType: '' },
    })
    const port = new URL(other.url).port
    const fleet = await processesForTest()
    try {
      for (const verb of [
        ['worker', 'stages', '--backend', 'scripted', '--node', 'x'],
        ['worker', 'pipelines'],
        ['serve', '--port', '0', '--allow-inline'],
        ['model-server', '--backend', 'scripted', '--port', '0'],
      ]) {
        const { status, stdout } = await fleet.run(...verb, '--metrics-port', port, '--json')
        expect([verb[0], status]).toEqual([verb[0], 3])
        expect(JSON.parse(stdout).error).toMatchObject({ code: 'CAESURA_E_LISTEN', received: `127.0.0.1:${port}` })
      }
      expect((await fleet.json<{ nodes: unknown[] }>('nodes')).nodes).toEqual([])
    } finally {
      await other.close()
    }
  })

  it('that is no port is refused', async () => {
    const { status, stdout } = await caesura(folder, ['worker', 'pipelines', '--metrics-port', '70000', '--json'])
    expect(status).toBe(2)
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'CAESURA_E_USAGE', received: '70000' })
  })
})
