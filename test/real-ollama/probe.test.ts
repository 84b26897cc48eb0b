import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { DEMO_MODEL } from '../../scripts/ollama/model.ts'
import { type ProbeResult, probeResultSchema } from '../../src/core/probe.ts'
import { caesura } from '../cli/caesura.ts'
import { mend } from './wedge.ts'

const url = process.env.OLLAMA_HOST
if (url === undefined) throw new Error('OLLAMA_HOST is not set; run these tests with: npm run test:ollama')

const folder = mkdtempSync(join(tmpdir(), 'caesura-probe-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Until the aborts in decode have not wedged the server (ollama#17131). */
async function probe(): Promise<ProbeResult> {
  for (let attempt = 1; ; attempt++) {
    const { status, stdout, stderr } = await caesura(folder, ['probe', '--url', url!, '--model', DEMO_MODEL, '--json'])
    const result = probeResultSchema.parse(JSON.parse(stdout))
    if (result.error?.code !== 'CAESURA_E_SERVER_WEDGED' || attempt === 5) {
      expect(status, stderr).toBe(0)
      return result
    }
    expect(status).toBe(1)
    await mend(url!)
  }
}

describe('caesura probe on a real Ollama', () => {
  it('sees that an abort is cheap in decode and dear in prefill, and what it counted', async () => {
    const result = await probe()
    const { decode, prefill } = result.slotFreeAfterAbortMs
    expect(result).toMatchObject({
      server: { kind: 'ollama', version: expect.any(String) },
      firstTokenMs: { n: 5 },
      tokensPerSecond: { prefill: expect.any(Number), decode: expect.any(Number) },
      warmPreparationMs: expect.any(Number),
      prefixReuse: true,
    })
    // A part of a prefill is many tokens' worth of time.
    expect(decode!.p50).toBeLessThan(prefill!.p50)
    if (result.server.version?.startsWith('0.24.')) expect(result.prefillStops).toBe('never')
    expect(result.slots).toBeGreaterThanOrEqual(1)
  })
})
