import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/compose.ts'
import { loopProblems } from '../../src/pipelines/pipeline-checks.ts'
import { readPolicy } from '../../src/policies/reading/policy-schema.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { combinations, isEndless, mayIgnore, nameOf, writePolicy } from './combinations.ts'

const parameters: Readonly<Record<string, unknown>> = {
  after: 1,
  tokens: 1,
  sentence: 1,
  stall: 1,
  any: [{ after: 1 }],
}

describe('hold, where signals are ignored', () => {
  const read = (trigger: object, otherwise: string) =>
    readPolicy(catalogue, { trigger: { ...trigger, signals: 'ignore' }, response: { hold: { otherwise } } })

  it('goes with a trigger that fires by itself, also one of any', () => {
    for (const otherwise of ['resume', 'abort']) {
      expect(read({ after: 100 }, otherwise)).toHaveProperty('value')
      expect(read({ any: ['signal', { any: [{ tokens: 3 }] }] }, otherwise)).toHaveProperty('value')
    }
  })

  it('is refused where nothing could interrupt', () => {
    for (const trigger of [{ never: null }, { any: ['signal', 'never'] }])
      expect(read(trigger, 'abort')).toMatchObject({
        problems: [{ path: ['response'], message: 'waits for signals, and they are ignored' }],
      })
  })
})

describe('of all combinations, with signals heeded and ignored, with a limit and without', () => {
  it('those that contradict themselves are refused, and no others', () => {
    const refused = { contradictions: 0, loops: 0 }
    const cases = combinations.flatMap((combination) =>
      ['heed', 'ignore'].flatMap((signals) => [undefined, 2].map((limit) => ({ combination, signals, limit }))),
    )
    for (const [index, { combination, signals, limit }] of cases.entries()) {
      const { trigger, response } = combination
      const policy = writePolicy(combination, {
        trigger: { [trigger]: parameters[trigger] ?? null, signals },
        response: response === 'grace' ? { grace: 1 } : response,
        target: 'a',
        limit,
      })
      const read = readPolicy(catalogue, policy)
      const isContradiction = 'problems' in read
      const isLoop = 'value' in read && loopProblems([{ id: 'a', policy: read.value }]).length > 0
      const name = `${nameOf(combination)}, signals: ${signals}, limit: ${limit}`
      expect(isContradiction, name).toBe(signals === 'ignore' && !mayIgnore(combination))
      expect(isLoop, name).toBe(!isContradiction && limit === undefined && isEndless(combination, 0, 0))
      if (isContradiction) refused.contradictions += 1
      if (isLoop) refused.loops += 1
      // To read a whole pipeline takes longer: a stride through all of them.
      if (index % 101 > 0) continue
      const define = () => pipelineFrom({ name: 'p', stages: [{ id: 'a', model: 'm', prompt: 'x', policy }] })
      if (isContradiction || isLoop) {
        expect(define, name).toThrow(expect.objectContaining({ code: 'CAESURA_E_PIPELINE' }))
      } else expect(define, name).not.toThrow()
    }
    // Ignored: all with `signal` (8 × 4 × 3 × 5), and `hold` with `never` (4 × 3 × 5); with a limit and without.
    // Loops: 6 triggers that fire by themselves, 2 ways back, 4 × 3, 8 responses; signals heeded or ignored.
    expect(refused).toEqual({ contradictions: (480 + 60) * 2, loops: 6 * 2 * 12 * 8 * 2 })
  })
})
