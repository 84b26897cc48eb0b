import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { DEMO_MODEL } from '../../scripts/ollama/model.ts'
import { probeResultSchema } from '../../src/core/probe.ts'
import { caesura } from '../cli/caesura.ts'
import { isLoaded } from './wedge.ts'

const url = process.env.OLLAMA_HOST
if (url === undefined) throw new Error('OLLAMA_HOST is not set; run these tests with: npm run test:ollama')

const folder = mkdtempSync(join(tmpdir(), 'caesura-probe-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('caesura probe on a real Ollama', () => {
  it('sees that an abort is cheap in decode, dear in prefill and loses a load; and leaves the model loaded', async () => {
    const { status, stdout, stderr } = await caesura(folder, ['probe', '--url', url, '--model', DEMO_MODEL, '--json'])
    // A server that an abort wedges (ollama#17131) is brought back on the way.
    expect(status, stderr).toBe(0)
    const result = probeResultSchema.parse(JSON.parse(stdout))
    const { decode, prefill, load } = result.slotFreeAfterAbortMs
    expect(result).toMatchObject({
      server: { kind: 'ollama', version: expect.any(String) },
      firstTokenMs: { n: 5 },
      tokensPerSecond: { prefill: expect.any(Number), decode: expect.any(Number) },
      warmPreparationMs: expect.any(Number),
      prefixReuse: true,
      abortedLoad: 'lost',
    })
    // A part of a prefill is many tokens' worth of time.
    expect(decode!.p50).toBeLessThan(prefill!.p50)
    // On a busy machine it may not be told.
    if (result.server.version?.startsWith('0.24.')) expect(['never', undefined]).toContain(result.prefillStops)
    expect(result.slots).toBeGreaterThanOrEqual(1)
    expect(result.coldFirstTokenMs!.p50).toBeGreaterThan(result.firstTokenMs!.p50)
    expect(load!.n).toBeGreaterThanOrEqual(1)
    expect(await isLoaded(url)).toBe(true)
  })
})
