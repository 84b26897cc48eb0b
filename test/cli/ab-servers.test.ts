import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { disagrees } from '../../scripts/validation/unequal.ts'
import type { Analysis } from '../../src/lab/analysis.ts'
import { type AnswerScript, lastMessage, type SeenRequest, startOllamaLike } from '../servers/ollama-like.ts'
import { caesura } from './caesura.ts'

// Real runs on a scripted server: what a trial leaves behind there is told, and spread alone is no verdict.

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-ab-servers-'))
  writeFileSync(
    join(folder, 'two.yaml'),
    'name: two\nstages:\n  - { id: first, model: m, prompt: "{{ input }}" }\n  - { id: second, model: m, prompt: "Well, {{ first.output }}" }\n',
  )
})
afterEach(() => rmSync(folder, { recursive: true }))

const WORDS = Array.from({ length: 12 }, (_, index) => `w${index}. `)

async function ab(experiment: string, slots: number, script: AnswerScript | ((seen: SeenRequest) => AnswerScript)) {
  const server = await startOllamaLike({ slots, models: ['m'], script })
  try {
    const node = `{ name: here, backend: ollama, url: "${server.url}", slots: ${slots} }`
    writeFileSync(join(folder, 'caesura.config.yaml'), `nodes: [${node}]\n`)
    writeFileSync(join(folder, 'e.yaml'), experiment)
    const { status, stdout, stderr } = await caesura(folder, ['ab', 'e.yaml', '--json'])
    expect(status, stderr).toBe(0)
    return JSON.parse(stdout) as Analysis
  } finally {
    await server.close()
  }
}

describe('a server that lets an aborted call run on for 400 ms', () => {
  const lagging = { firstTokenMs: 20, intervalMs: 15, tokens: WORDS, abortLagMs: 400 }

  it('has no verdict on race against drain, but the advice to pause', async () => {
    const { checks, decision, verdict, comparisons } = await ab(
      `name: e
pipeline: two.yaml
arms:
  - { name: drain, policy: { response: drain, carry: sentences } }
  - { name: race, policy: { response: race, carry: sentences } }
workload: { prompts: [one two three], interrupts: { uniform: [40ms, 120ms] } }
sessions: 40
`,
      2,
      lagging,
    )
    expect(checks.carryOver).toMatchObject({ after: 'race', ok: false })
    expect(checks.carryOver!.interval[0]).toBeGreaterThan(0)
    expect(decision).toBe('none')
    expect(verdict).toContain('`washout`')
    expect(comparisons.every(({ finding }) => finding === 'refused')).toBe(true)
  }, 180_000)

  it('does not let an overlap that ends look faster by what it leaves to the next run', async () => {
    const { checks, decision } = await ab(
      `name: e
pipeline: two.yaml
arms:
  - { name: drain, policy: { response: drain, carry: sentences, then: end } }
  - { name: overlap, policy: { response: overlap, carry: sentences, then: end } }
workload: { prompts: [one two three], interrupts: { uniform: [40ms, 120ms] } }
metrics: [{ metric: runMs, statistics: [p50] }]
sessions: 40
`,
      1,
      lagging,
    )
    expect(checks.carryOver).toMatchObject({ after: 'overlap', ok: false })
    expect(decision).toBe('none')
  }, 180_000)
})

it('a drain that waits 5 to 195 ms and a tight abort are judged by a test and an interval that agree', async () => {
  // A whole first answer is carried by the drain alone; the abort's next answer takes as long as the drain waits at the median.
  const script = (seen: SeenRequest): AnswerScript => {
    const message = lastMessage(seen.body)
    if (!message.startsWith('Well')) return { intervalMs: 17, tokens: WORDS }
    return { firstTokenMs: message.includes('w11.') ? 5 : 100, tokens: ['so.'] }
  }
  const analysis = await ab(
    `name: e
pipeline: two.yaml
arms:
  - { name: drain, policy: { response: drain, carry: sentences } }
  - { name: abort, policy: { response: abort, carry: sentences } }
workload: { prompts: [one two three], interrupts: { uniform: [1ms, 180ms] } }
metrics: [{ metric: interruptToFirstTokenMs, statistics: [p50] }, wastedTokens]
sessions: 40
`,
    1,
    script,
  )
  const [p50] = analysis.comparisons
  expect(p50).toMatchObject({ metric: 'interruptToFirstTokenMs', statistic: 'p50' })
  expect(p50!.interval).toBeDefined()
  expect(analysis.comparisons.filter(disagrees)).toEqual([])
  expect(analysis.arms.map(({ interrupts }) => interrupts)).toEqual([40, 40])
}, 180_000)
