import fc from 'fast-check'
import stringWidth from 'string-width'
import { describe, expect, it } from 'vitest'
import { plain } from '../../src/cli/screen.ts'
import { interruptWaterfall, runWaterfall } from '../../src/cli/waterfall.ts'
import { phaseNames } from '../../src/core/record.ts'
import { abortInterrupt, draftAborted, interruptedRun, refineCompleted } from '../records.ts'

const canvas = { width: 80, paint: plain }
const drawn = (lines: string[]) => `\n${lines.map((line) => line.trimEnd()).join('\n')}\n`

describe('interruptWaterfall', () => {
  it('draws the phases one after the other along one axis, what is inferred and what is not explained too', () => {
    expect(drawn(interruptWaterfall(abortInterrupt, canvas))).toBe(`
  decide         0.10 ms  ▏                                                 <1 %
  settle          9.9 ms  █████                                             10 %
  slot            1.0 ms       ▏                                             1 %
  prefill          87 ms       ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒   87 %
  unattributed    2.0 ms                                                 ?   2 %
  total           100 ms  to the first token of refine
  ▒ inferred from what the server reported; the rest was observed
`)
  })

  it('says below what it could be, and how long whoever sent the signal waited', () => {
    const phases = abortInterrupt.phases.map((phase) =>
      phase.name === 'unattributed' ? { ...phase, candidates: ['server-queue' as const, 'transport' as const] } : phase,
    )
    const lines = interruptWaterfall(
      { ...abortInterrupt, phases, firstSignalAt: 20, toFirstTokenFromSignalMs: 140 },
      canvas,
    )
    expect(drawn(lines.slice(6))).toBe(`
  ? server-queue or transport: no observation tells which
  ▒ inferred from what the server reported; the rest was observed
  140 ms from the first signal, which came 40 ms before the interrupt
`)
  })

  it('draws nothing where no first token came', () => {
    const { toFirstTokenMs: _, ...interrupt } = abortInterrupt
    expect(interruptWaterfall({ ...interrupt, phases: [] }, canvas)).toEqual([])
  })

  it('is never wider than the screen', () => {
    const phase = fc.record({
      name: fc.constantFrom(...phaseNames),
      ms: fc.double({ min: 0, max: 1e7, noNaN: true }),
      source: fc.constantFrom('observed' as const, 'inferred' as const),
    })
    fc.assert(
      fc.property(fc.array(phase), fc.integer({ min: 40, max: 200 }), (phases, width) => {
        const toFirstTokenMs = phases.reduce((sum, { ms }) => sum + ms, 0)
        for (const line of interruptWaterfall({ ...abortInterrupt, phases, toFirstTokenMs }, { width, paint: plain }))
          expect(stringWidth(line)).toBeLessThanOrEqual(width)
      }),
    )
  })
})

describe('runWaterfall', () => {
  it('draws each call: waiting, before the first token, decode, cut', () => {
    expect(drawn(runWaterfall(interruptedRun, canvas))).toBe(
      `
          0                                         400 ms
  draft   ░░█████ ✂                                         aborted, 12 tokens
  refine          ·░░░░░░░░░░████████████████████████████   completed, 60 tokens
  · waiting   ░ before the first token   █ decode   ✂ cut
`,
    )
  })

  it('shows a call that never had a slot as waiting, and a failed one as failed', () => {
    const { firstTokenMs: _, lastTokenMs: __, ...waiting } = draftAborted
    const record = {
      ...interruptedRun,
      stages: [
        { ...waiting, settlement: 'failed' as const, settledMs: 200, marks: [{ name: 'call-start', ms: 0.2 }] },
        { ...refineCompleted, attempt: 2 },
      ],
    }
    const [, failed = '', , legend = ''] = runWaterfall(record, canvas)
    expect(failed).toMatch(/^ {2}draft {3}·+✗ +failed, 12 tokens$/)
    expect(legend).toContain('✗ failed')
    expect(legend).not.toContain('✂')
  })

  it('is never wider than the screen, whatever the stages are called', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.integer({ min: 40, max: 200 }), (id, width) => {
        const record = { ...interruptedRun, stages: [{ ...draftAborted, id }, refineCompleted] }
        for (const line of runWaterfall(record, { width, paint: plain }))
          expect(stringWidth(line)).toBeLessThanOrEqual(width)
      }),
    )
  })
})
