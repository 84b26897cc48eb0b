import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Overhead } from '../../../src/lab/overhead/result.ts'
import { overheadPage } from '../../../src/lab/report/overhead-page.ts'
import { overhead } from './overhead-fixture.ts'
import { expectSound } from './sound.ts'

const page = overheadPage(overhead)

/** Anything that a result may lack is taken out here and there, and lengths are made larger or smaller. */
const worn: fc.Arbitrary<Overhead> = fc
  .tuple(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
    fc.constantFrom(0, 1e-6, 1, -1, 1e7),
  )
  .map(([lost, chances, factor]) => {
    const lists = /^(?:parts|contrasts|slopes|cells|servers|cautions)$/
    const gone = () => chances.next().value! < lost
    const optional =
      /^(?:ms|interval|p50Ms|p95Ms|phases|value|at100Ms|at500Ms|differenceMs|abortAt100Ms|points|replicationInProcess|promptTokens|version|parts|contrasts|slopes|cells|servers|cautions)$/
    const text = JSON.stringify(overhead, function (this: object, key, value) {
      if (key === 'maxTokens' || key === 'n' || key === 'slots' || key === 'durationMs') return value
      const needed = key === 'ms' && !('is' in this)
      if (optional.test(key) && !needed && gone()) return lists.test(key) ? [] : undefined
      return typeof value === 'number' ? value * factor : value
    })
    const result: Overhead = JSON.parse(text)
    return result
  })

describe('the page of overhead', () => {
  it('answers first, then shows each contrast, the slopes and the cells', () => {
    expect(page.indexOf(overhead.answer)).toBeLessThan(page.indexOf('<main>'))
    for (const { name, is } of overhead.contrasts) for (const text of [name, is]) expect(page).toContain(text)
    expect(page).toContain('slope −0.99 (−1.03 to −0.95) ms a ms')
    expect(page).toContain('no Ollama answered')
    expectSound(page)
  })

  it('puts what was measured beside what was once guessed', () => {
    expect(page).toContain('the original (guessed)')
    expect(page).toContain('here, over HTTP (measured): 100 %, of it drain 98.8 %')
    expect(page).toContain('+68 ms')
  })

  it('escapes what servers and models are named', () => {
    const named = overheadPage({
      ...overhead,
      setting: { ...overhead.setting, model: '<script>' },
      contrasts: overhead.contrasts.map((each) => ({ ...each, server: '"><img src=x>' })),
    })
    expectSound(named)
  })

  it('is sound whatever was not measured', () => {
    fc.assert(
      fc.property(worn, (any) => expectSound(overheadPage(any))),
      { numRuns: 25 },
    )
  })
})
