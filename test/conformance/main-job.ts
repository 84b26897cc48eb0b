import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunRecord, recordSchema } from '../../src/core/record.ts'
import { caesura, examplePipeline } from '../cli/caesura.ts'

const question = ['--input', 'How do I descale a kettle?']
const change = ['--interrupt', 'tokens=12:I have no vinegar.']

/** The main job through the command line: the example pipeline, interrupted by a change, on a backend that has the bundled model. */
export function describeMainJob(
  name: string,
  flags: readonly string[],
  env: NodeJS.ProcessEnv = {},
  /** Brings back a server that a cancel has wedged, so that a run that waited in vain can be repeated. */
  recover?: () => Promise<unknown>,
): void {
  describe(`the main job on ${name}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'caesura-'))
    afterAll(() => rmSync(folder, { recursive: true, force: true }))

    const run = async (...args: string[]): Promise<RunRecord> => {
      const ended = await start(...args)
      const wedged = recover !== undefined && ended.stdout.includes('CAESURA_E_TIMEOUT_FIRST_TOKEN')
      if (wedged) await recover()
      const { status, stdout, stderr } = wedged ? await start(...args) : ended
      expect(stderr).not.toMatch(/error|warning/i)
      expect(status).toBe(0)
      return recordSchema.parse(JSON.parse(stdout))
    }
    const start = (...args: string[]) =>
      caesura(folder, ['run', examplePipeline, ...question, ...flags, ...args, '--json'], env)
    const sum = (phases: readonly { ms: number }[]) => phases.reduce((total, { ms }) => total + Math.round(ms * 1e6), 0)

    beforeAll(async () => {
      // The first run may load the model; its phases would show that, and nothing else.
      await run('--no-record')
    })

    it('aborts the draft, refines what there is, and accounts for every nanosecond between', async () => {
      const record = await run(...change)
      expect(record.stages.map(({ id, settlement }) => [id, settlement])).toEqual([
        ['draft', 'aborted'],
        ['refine', 'completed'],
      ])
      expect(record.output).toMatch(/^Without vinegar/)
      const [interrupt] = record.interrupts
      expect(interrupt).toMatchObject({ from: 'draft', to: 'refine', input: 'I have no vinegar.', decision: 'abort' })
      expect(sum(interrupt!.phases)).toBe(Math.round(interrupt!.toFirstTokenMs! * 1e6))
      // What could be several things is open, with their names; what nobody can name is next to nothing.
      const open = interrupt!.phases.find((phase) => phase.name === 'unattributed')
      const nameless = open?.candidates === undefined ? (open?.ms ?? 0) : 0
      expect(nameless).toBeLessThan(0.05 * interrupt!.toFirstTokenMs!)
      expect(interrupt!.phases.map((phase) => phase.name)).toContain('prefill')
    })

    it('drains by another policy: nothing is wasted', async () => {
      const record = await run('--policy', '{trigger: {tokens: 12}, response: drain}')
      expect(record.stages.map(({ settlement, tokens }) => [settlement, tokens.wasted])).toEqual([
        ['drained', 0],
        ['completed', 0],
      ])
      expect(record.cost).toMatchObject({ wastedTokens: 0, wastedSlotMs: 0 })
      expect(record.interrupts[0]!.phases.map((phase) => phase.name)).toContain('drain')
    })

    it('gives the same text for the same seed, interrupted or not', async () => {
      const [first, second] = [await run(...change), await run(...change)]
      expect(second.output).toBe(first.output)
      const whole = await run()
      expect(whole.stages[0]!.text!.startsWith(first.stages[0]!.text!)).toBe(true)
    })
  })
}
