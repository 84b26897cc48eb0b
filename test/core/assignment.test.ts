import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { assign } from '../../src/core/assignment.ts'

const pipelineWith = (experiment: Record<string, unknown> = {}) =>
  definePipeline({
    name: 'p',
    stages: [
      { id: 'a', model: 'm', prompt: '{{ input }}', policy: { response: 'drain' } },
      { id: 'b', model: 'm', prompt: '{{ a.output }}' },
    ],
    experiment: {
      name: 'x',
      arms: [{ name: 'drain' }, { name: 'abort', policy: { response: 'abort' } }],
      ...experiment,
    },
  })

type Asked = ReturnType<typeof pipelineWith>
const armOf = (pipeline: Asked, session: string, vars: Record<string, string> = {}) =>
  assign(pipeline, { runId: 'r', session, vars }).experiment?.arm
const sessions = (count: number) => Array.from({ length: count }, (_, index) => `session-${index}`)

function countsOf(values: readonly (string | undefined)[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const value of values) counts[value ?? 'out'] = (counts[value ?? 'out'] ?? 0) + 1
  return counts
}

const chiSquare = (observed: readonly number[], expected: readonly number[]) =>
  observed.reduce((sum, count, index) => sum + (count - expected[index]!) ** 2 / expected[index]!, 0)

/** χ² that chance exceeds once in a thousand times, by degrees of freedom (any table of the distribution). */
const ONCE_IN_A_THOUSAND = { 1: 10.83, 2: 13.82 } as const

afterEach(() => vi.unstubAllEnvs())

describe('the arm of a session', () => {
  it('is the same in every run of it, whatever the run, and runs with the policies of the arm', () => {
    const pipeline = pipelineWith()
    fc.assert(
      fc.property(fc.stringMatching(/^\S{1,40}$/), fc.uuid(), fc.uuid(), (session, first, second) => {
        const [one, two] = [first, second].map((runId) => assign(pipelineWith(), { runId, session }))
        expect(one!.experiment).toEqual(two!.experiment)
        expect(one!.experiment).toMatchObject({ name: 'x', session })
        expect(one!.pipeline.stages[0]!.policy.response.name).toBe(one!.experiment!.arm)
        expect(one!.pipeline.stages[1]).toEqual(pipeline.stages[1])
      }),
    )
  })

  it('is that of the run’s id where no session is given', () => {
    const pipeline = pipelineWith()
    for (const runId of sessions(50)) {
      const { experiment } = assign(pipeline, { runId })
      expect(experiment).toEqual({ name: 'x', arm: armOf(pipeline, runId), session: runId })
    }
  })

  it('is the one that GrowthBook gives in any other language', () => {
    // hash(seed 'x', 'session-N', version 2) of the library's specification, computed by hand: fnv32a(fnv32a(seed + value) + '') % 10000.
    const fnv32a = (text: string) => {
      let value = 0x811c9dc5
      for (const unit of text) value = Math.imul(value ^ unit.charCodeAt(0), 0x01000193) >>> 0
      return value
    }
    const pipeline = pipelineWith()
    for (const session of sessions(200)) {
      const bucket = (fnv32a(String(fnv32a(`x${session}`))) % 10_000) / 10_000
      expect(armOf(pipeline, session)).toBe(bucket < 0.5 ? 'drain' : 'abort')
    }
  })

  it('is drawn by the weights: χ² over 100,000 sessions', () => {
    const arms = [
      { name: 'one' },
      { name: 'two', weight: 2, policy: { response: 'abort' } },
      { name: 'half', weight: 0.5, policy: { response: 'overlap' } },
    ]
    const pipeline = pipelineWith({ arms })
    const { one = 0, two = 0, half = 0, out } = countsOf(sessions(100_000).map((session) => armOf(pipeline, session)))
    expect(out).toBeUndefined()
    const expected = [1, 2, 0.5].map((weight) => (weight / 3.5) * 100_000)
    expect(chiSquare([one, two, half], expected)).toBeLessThan(ONCE_IN_A_THOUSAND[2])
  })

  it('does not depend on the arm of another experiment', () => {
    const [first, second] = [pipelineWith({ name: 'first' }), pipelineWith({ name: 'second' })]
    const pairs = countsOf(sessions(10_000).map((each) => `${armOf(first, each)} ${armOf(second, each)}`))
    expect(Object.keys(pairs)).toHaveLength(4)
    expect(chiSquare(Object.values(pairs), [2500, 2500, 2500, 2500])).toBeLessThan(16.27) // df 3
  })

  it('stays when more take part', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^\S{1,40}$/),
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 0, max: 100 }),
        (session, a, b) => {
          const [low, high] = [Math.min(a, b), Math.max(a, b)].map((percent) =>
            armOf(pipelineWith({ coverage: `${percent} %` }), session),
          )
          if (low !== undefined) expect(high).toBe(low)
        },
      ),
    )
  })

  it('exists for the share of sessions that is to take part', () => {
    for (const coverage of [0, 0.2, '20 %', 1]) {
      const share = coverage === '20 %' ? 0.2 : (coverage as number)
      const pipeline = pipelineWith({ coverage })
      const arms = sessions(10_000).map((session) => armOf(pipeline, session))
      const { out = 0 } = countsOf(arms)
      if (share === 0 || share === 1) expect(out).toBe((1 - share) * 10_000)
      else expect(chiSquare([10_000 - out, out], [2000, 8000])).toBeLessThan(ONCE_IN_A_THOUSAND[1])
    }
  })
})

describe('who takes no part', () => {
  it('runs the pipeline as it is written, and its record names no experiment', () => {
    const assigned = assign(pipelineWith({ coverage: 0 }), { runId: 'r', session: 's' })
    expect(assigned.experiment).toBeUndefined()
    expect(assigned.pipeline.experiment).toBeUndefined()
    expect(assigned.pipeline.stages[0]!.policy.response.name).toBe('drain')
  })

  it('are sessions that are excluded by name, and runs by a variable', () => {
    const pipeline = pipelineWith({ exclude: { sessions: ['robot'], vars: { plan: 'internal', region: ['a', 'b'] } } })
    expect(armOf(pipeline, 'robot')).toBeUndefined()
    expect(armOf(pipeline, 'person')).toBeDefined()
    expect(armOf(pipeline, 'person', { plan: 'internal' })).toBeUndefined()
    expect(armOf(pipeline, 'person', { region: 'b' })).toBeUndefined()
    expect(armOf(pipeline, 'person', { plan: 'paid', region: 'c' })).toBe(armOf(pipeline, 'person'))
  })

  it('is half of the sessions for each of two experiments that exclude each other, and never both', () => {
    const of = (name: string, range: number[]) => pipelineWith({ name, namespace: { name: 'policies', range } })
    const [first, second] = [of('first', [0, 0.5]), of('second', [0.5, 1])]
    const both = countsOf(
      sessions(10_000).map((each) => {
        const [one, two] = [armOf(first, each), armOf(second, each)]
        expect(one === undefined).not.toBe(two === undefined)
        return one === undefined ? 'second' : 'first'
      }),
    )
    // The hash of namespaces is GrowthBook's first one, which is coarser.
    expect(both.first! / 10_000).toBeCloseTo(0.5, 1)
    const arms = countsOf(sessions(10_000).flatMap((each) => armOf(first, each) ?? []))
    expect(chiSquare(Object.values(arms), [both.first! / 2, both.first! / 2])).toBeLessThan(ONCE_IN_A_THOUSAND[1])
  })

  it.each([
    ['enabled: false', () => assign(pipelineWith({ enabled: false }), { runId: 'r' })],
    [
      'CAESURA_EXPERIMENTS=off',
      () => {
        vi.stubEnv('CAESURA_EXPERIMENTS', 'off')
        return assign(pipelineWith(), { runId: 'r' })
      },
    ],
    ['a stop from outside', () => assign(pipelineWith(), { runId: 'r', isStopped: true })],
    [
      'a stop, also for an arm that was chosen',
      () => assign(pipelineWith({ enabled: false }), { runId: 'r', experiment: { name: 'x', arm: 'abort' } }),
    ],
  ])('is everybody after %s', (_, assigned) => {
    expect(assigned().experiment).toBeUndefined()
    expect(assigned().pipeline.experiment).toBeUndefined()
  })
})

describe('an arm that somebody else chose', () => {
  it('wins over the hash: of the own experiment with the policies of the arm', () => {
    for (const arm of ['drain', 'abort']) {
      const chosen = { name: 'x', arm, session: 's' }
      const { pipeline, experiment } = assign(pipelineWith({ coverage: 0 }), { runId: 'r', experiment: chosen })
      expect(experiment).toEqual(chosen)
      expect(pipeline.stages[0]!.policy.response.name).toBe(arm)
    }
  })

  it('of another experiment, or of an execution, leaves the policies alone', () => {
    for (const chosen of [
      { name: 'other', arm: 'z' },
      { name: 'x', arm: 'abort', execution: 'e' },
    ]) {
      const { pipeline, experiment } = assign(pipelineWith(), { runId: 'r', experiment: chosen })
      expect(experiment).toEqual(chosen)
      expect(pipeline.experiment).toBeUndefined()
      expect(pipeline.stages[0]!.policy.response.name).toBe('drain')
    }
  })

  it('has the session of the run where it names none', () => {
    const chosen = { name: 'other', arm: 'z' }
    expect(assign(pipelineWith(), { runId: 'r', session: 's', experiment: chosen }).experiment).toEqual({
      ...chosen,
      session: 's',
    })
  })

  it('that the experiment does not have is refused', () => {
    expect(() => assign(pipelineWith(), { runId: 'r', experiment: { name: 'x', arm: 'nope' } })).toThrow(
      expect.objectContaining({ code: 'CAESURA_E_EXPERIMENT', place: expect.objectContaining({ received: 'nope' }) }),
    )
  })
})

it('refuses a session that is none', () => {
  for (const session of ['', '  ', 'x'.repeat(201)])
    expect(() => assign(pipelineWith(), { runId: 'r', session })).toThrow(
      expect.objectContaining({ code: 'CAESURA_E_USAGE' }),
    )
})

it('leaves a pipeline without an experiment as it is', () => {
  const pipeline = definePipeline({ name: 'p', stages: [{ id: 'a', model: 'm', prompt: '{{ input }}' }] })
  expect(assign(pipeline, { runId: 'r', session: 's' })).toEqual({ pipeline })
  expect(assign(pipeline, { runId: 'r', session: 's' }).pipeline).toBe(pipeline)
})
