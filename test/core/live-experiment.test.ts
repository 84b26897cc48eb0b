import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/compose.ts'
import { readDocument } from '../../src/core/document.ts'
import { readPipeline } from '../../src/pipelines/pipeline-schema.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'

const stages = `name: p
stages:
  - { id: a, model: m, prompt: "{{ input }}", policy: { response: drain } }
  - { id: b, model: m, prompt: "{{ a.output }}" }
`
const read = (experiment: string) => {
  const document = readDocument(`${stages}experiment:\n${experiment.replaceAll(/^/gm, '  ')}\n`, 'p.yaml')
  return readPipeline(catalogue, document.value, document)
}
const two = 'name: x\narms: [{ name: one }, { name: two, policy: { response: abort } }]'

describe('an experiment of a pipeline', () => {
  it('has every default filled in, and is frozen', () => {
    const { experiment } = read(two).value!
    expect(experiment).toMatchObject({
      name: 'x',
      seed: 'x',
      enabled: true,
      coverage: 1,
      exclude: { sessions: [], vars: {} },
      arms: [
        { name: 'one', policy: 'signal drain all', weight: 1, policies: { a: { response: { name: 'drain' } } } },
        { name: 'two', policy: 'signal abort all', weight: 1, policies: { a: { response: { name: 'abort' } } } },
      ],
      boundaries: [{ stage: 'a', from: 'interrupt' }],
    })
    expect(experiment!.metrics[0]).toEqual({ metric: 'interruptToFirstTokenMs', statistics: ['p50', 'p95'] })
    expect(Object.isFrozen(experiment!.arms[1]!.policies)).toBe(true)
  })

  it('takes shares, metrics in both forms, a stage, a namespace', () => {
    const { value, errors } = read(`name: x
seed: s
coverage: 7 %
arms: [{ name: one }, { name: two, stage: b, weight: 0.5, policy: cut-in }]
exclude: { sessions: [robot], vars: { plan: internal, region: [a, b] } }
namespace: { name: n, range: [0, 0.5] }
metrics:
  - wastedTokens
  - { metric: interruptToFirstTokenMs, statistics: [p99], minimumEffect: 20 %, margin: 5ms }`)
    expect(errors).toEqual([])
    expect(value!.experiment).toMatchObject({
      seed: 's',
      coverage: 0.07,
      exclude: { sessions: ['robot'], vars: { plan: ['internal'], region: ['a', 'b'] } },
      namespace: { name: 'n', range: [0, 0.5] },
      metrics: [
        { metric: 'wastedTokens', statistics: ['mean'] },
        {
          metric: 'interruptToFirstTokenMs',
          statistics: ['p99'],
          minimumEffect: { share: 0.2 },
          margin: { absolute: 5 },
        },
      ],
    })
    expect(value!.experiment!.arms[1]).toMatchObject({ policy: 'cut-in', policies: { b: { preset: 'cut-in' } } })
  })

  it.each([
    ['one arm', 'name: x\narms: [{ name: one }]', 'experiment.arms'],
    ['no arms', 'name: x', 'experiment.arms'],
    ['a name twice', 'name: x\narms: [{ name: one }, { name: one, policy: cut-in }]', 'experiment.arms[1].name'],
    ['an unknown preset', 'name: x\narms: [{ name: one }, { name: two, policy: cutin }]', 'experiment.arms[1].policy'],
    [
      'a policy that contradicts itself',
      'name: x\narms: [{ name: one }, { name: two, policy: { trigger: { signal: null, signals: ignore } } }]',
      'experiment.arms[1].policy.trigger.signals',
    ],
    [
      'a stage that does not exist',
      'name: x\narms: [{ name: one }, { name: two, stage: c, policy: cut-in }]',
      'experiment.arms[1].stage',
    ],
    [
      'a way to nowhere',
      'name: x\narms: [{ name: one }, { name: two, policy: { then: c } }]',
      'experiment.arms[1].policy.then',
    ],
    [
      'a loop that nothing ends',
      'name: x\narms: [{ name: one }, { name: two, policy: { trigger: { after: 10 }, then: again } }]',
      'experiment.arms[1].policy.then',
    ],
    ['a weight of nothing', 'name: x\narms: [{ name: one, weight: 0 }, { name: two }]', 'experiment.arms[0].weight'],
    ['a share above all', `${two}\ncoverage: 120 %`, 'experiment.coverage'],
    ['a share that is none', `${two}\ncoverage: a lot`, 'experiment.coverage'],
    ['an empty range', `${two}\nnamespace: { name: n, range: [0.5, 0.5] }`, 'experiment.namespace.range'],
    ['an unknown metric', `${two}\nmetrics: [wastedToken]`, 'experiment.metrics[0]'],
    [
      'an unknown statistic',
      `${two}\nmetrics: [{ metric: runMs, statistics: [p42] }]`,
      'experiment.metrics[0].statistics[0]',
    ],
    ['an effect of nothing', `${two}\nmetrics: [{ metric: runMs, margin: 0 }]`, 'experiment.metrics[0].margin'],
    ['an unknown key', `${two}\ncoverge: 1`, 'experiment.coverge'],
  ])('is refused with its place: %s', (_, text, path) => {
    const { value, errors } = read(text)
    expect(value).toBeUndefined()
    expect(errors.map(({ code, place }) => [code, place.path])).toEqual([['CAESURA_E_EXPERIMENT', path]])
    expect(errors[0]!.place.line).toBeGreaterThan(4)
  })

  it('is told about beside what is wrong with the stages', () => {
    const { errors } = readPipeline(catalogue, {
      name: 'p',
      stages: [{ id: 'a', model: 'm', prompt: '' }],
      experiment: { name: 'x', arms: [{ name: 'one' }, { name: 'one' }] },
    })
    expect(errors.map(({ code }) => code).sort()).toEqual(['CAESURA_E_EXPERIMENT', 'CAESURA_E_PROMPT_EMPTY'])
  })
})

describe('where arms differ', () => {
  const boundaries = (...policies: unknown[]) =>
    pipelineFrom({
      name: 'p',
      stages: [
        { id: 'a', model: 'm', prompt: '{{ input }}', policy: 'cut-in' },
        { id: 'b', model: 'm', prompt: '{{ a.output }}' },
      ],
      experiment: {
        name: 'x',
        arms: policies.map((policy, index) => ({ name: `arm ${index}`, ...(policy as object) })),
      },
    }).experiment!.boundaries
  const { trigger, response, carry } = catalogue.presets.find(({ name }) => name === 'cut-in')!.policy

  it('is nowhere for arms that do the same under other names', () => {
    expect(boundaries({}, {})).toEqual([])
    expect(boundaries({}, { policy: { preset: 'cut-in' } })).toEqual([])
    expect(boundaries({ policy: { trigger, response, carry } }, { policy: { trigger, response, carry } })).toEqual([])
  })

  it('is at an interrupt for responses, carries and ways', () => {
    for (const own of [{ response: 'drain' }, { response: { grace: 20 } }, { carry: 'none' }, { then: 'end' }])
      expect(boundaries({}, { policy: { preset: 'cut-in', ...own } })).toEqual([{ stage: 'a', from: 'interrupt' }])
  })

  it('is from the start of the stage for triggers, warming and placement', () => {
    for (const own of [{ trigger: { after: 10 } }, { warm: 'prefix' }, { placement: 'same' }])
      expect(boundaries({}, { policy: { preset: 'cut-in', ...own } })).toEqual([{ stage: 'a', from: 'start' }])
  })

  it('is at each stage that an arm changes', () => {
    expect(
      boundaries({}, { policy: { preset: 'cut-in', response: 'drain' } }, { stage: 'b', policy: 'let-finish' }),
    ).toEqual([
      { stage: 'a', from: 'interrupt' },
      { stage: 'b', from: 'interrupt' },
    ])
  })
})

it('of examples/chat-experiment.yaml differs in what an interrupt of the answer does, and in nothing else', () => {
  const file = new URL('../../examples/chat-experiment.yaml', import.meta.url)
  const { stages, experiment } = pipelineFrom(readDocument(readFileSync(file)).value)
  const id = stages[0]!.id
  expect(experiment!.boundaries).toEqual([{ stage: id, from: 'interrupt' }])
  expect(experiment!.arms.map(({ name, policies }) => [name, Object.keys(policies)])).toEqual([
    ['drain', [id]],
    ['abort', [id]],
  ])
  expect(experiment!.arms[0]!.policies).toEqual({ [id]: stages[0]!.policy })
})
