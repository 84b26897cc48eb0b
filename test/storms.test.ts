import { describe, expect, it } from 'vitest'
import { ordinary } from '../scripts/chaos/pipelines.ts'
import { draftPrompt, refinePrompt, scriptFor, tokensFor } from '../scripts/chaos/text.ts'
import type { Story } from '../scripts/chaos/verify.ts'
import { Allowance, check, doubledCalls, noFindings } from '../scripts/storms/oracle.ts'
import { createEngine } from '../src/app/compose.ts'
import type { RunEvent } from '../src/core/event.ts'
import { scriptedBackend } from '../src/nodes/backends/scripted.ts'

/** A run as it should be. */
async function told(): Promise<Story> {
  await using engine = createEngine({
    nodes: [{ name: 'n', slots: 1, pool: 'default', backend: scriptedBackend(scriptFor) }],
  })
  const run = engine.start(ordinary.at(-1)!, { input: 'q', runId: 'r' })
  const events: RunEvent[] = []
  for await (const event of run.events) events.push(event)
  return { runId: 'r', input: 'q', cancelled: false, signals: [], events, record: await run.result }
}

describe('the oracle of storms', () => {
  it('finds nothing wrong with a run that is right', async () => {
    const story = await told()
    const whole = tokensFor('draft', draftPrompt('q')).join('')
    expect(story.record?.output).toBe(tokensFor('refine', refinePrompt('q', whole, '')).join(''))
    const findings = noFindings()
    check(story, story.events, findings)
    expect(findings).toEqual(noFindings())
  })

  it.each<[string, (story: Story) => Partial<Story>]>([
    ['a token that is missing', ({ events }) => ({ events: events.filter(({ seq }) => seq !== 5) })],
    ['a token that came twice', ({ events }) => ({ events: [...events.slice(0, 5), ...events.slice(4)] })],
    ['the answer to another question', () => ({ input: 'another' })],
    ['a failure', ({ record }) => ({ record: { ...record!, outcome: 'failed' } })],
  ])('sees %s', async (_, change) => {
    const story = await told()
    const changed = { ...story, ...change(story) }
    const findings = noFindings()
    check(changed, changed.events, findings)
    expect(findings.wrongText).not.toEqual([])
  })

  it('sees what the reader was not told, a cancel that nobody ordered, and a call that was made twice', async () => {
    const story = await told()
    const findings = noFindings()
    check({ ...story, events: story.events.slice(0, -1) }, story.events, findings)
    expect(findings.wrongText).toHaveLength(1)
    check({ ...story, record: { ...story.record!, outcome: 'cancelled' } }, story.events, findings)
    expect(findings.crossKills).toHaveLength(1)
    expect(
      doubledCalls(
        new Map([
          ['r a.1', 1],
          ['r b.1', 2],
        ]),
      ),
    ).toEqual(['r b.1: asked for 2 times'])
  })

  it('allows a run what it takes at rest, and as long as the faults that it met', () => {
    const allowance = new Allowance(4000)
    expect(allowance.isStuck(0, 60_000)).toBe(false)
    expect(allowance.isStuck(0, 60_001)).toBe(true)
    allowance.spans.push({ name: 'stop-redis', from: 10_000, until: 15_000 })
    expect(allowance.isStuck(0, 60_000 + 25_000)).toBe(false)
    expect(allowance.isStuck(0, 60_001 + 25_000)).toBe(true)
    // What was over long before it began is no excuse.
    expect(allowance.isStuck(100_000, 160_001)).toBe(true)
    expect(allowance.met('stop-redis', 14_000, 20_000)).toBe(true)
    expect(allowance.met('stop-redis', 16_000, 20_000)).toBe(false)
  })
})
