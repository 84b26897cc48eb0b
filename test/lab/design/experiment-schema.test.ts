import { describe, expect, it } from 'vitest'
import { catalogue } from '../../../src/app/catalogue.ts'
import { readDocument } from '../../../src/core/document.ts'
import { CaesuraError } from '../../../src/core/errors.ts'
import { digestOf, keptDesign, planOf } from '../../../src/lab/design/experiment-design.ts'
import { readExperiment } from '../../../src/lab/design/experiment-schema.ts'

const PIPELINE = `name: two
stages:
  - { id: first, model: m, prompt: "{{ input }}", options: { maxTokens: 50 } }
  - { id: second, model: m, prompt: "{{ first.output }}", options: { maxTokens: 30 } }
`
const contents: Record<string, string> = {
  'two.yaml': PIPELINE,
  'broken.yaml': 'name: b\nstages:\n  - { id: first, model: m, prompt: "" }\n',
  'prompts.txt': 'one\n\n  two  \r\nthree\n',
  'prompts.jsonl': '"one"\n{"prompt": "two", "more": 1}\n{"input": "three"}\n',
  'prompts.yaml': '- one\n- prompt: two\n',
  'bad.jsonl': '"one"\n{"text": "two"}\n',
  'empty.txt': '\n \n',
}
const textOf = async (path: string): Promise<string> => {
  const text = contents[path]
  if (text !== undefined) return text
  throw new CaesuraError('CAESURA_E_FILE', `${path} does not exist.`, { file: path, expected: 'a file that exists' })
}
const files = { text: textOf, document: async (path: string) => readDocument(await textOf(path), path) }

const read = (yaml: string) => {
  const document = readDocument(yaml, 'e.yaml')
  return readExperiment(catalogue, document.value, document, files)
}
const LEAST = `name: e
pipeline: two.yaml
arms:
  - { name: drain, policy: let-finish }
  - { name: abort, policy: cut-in }
workload: { prompts: [one] }
`
/** The smallest file with some lines more; a key of it that stands there too is replaced. */
const withLines = (lines: string) => {
  const keys = lines.split('\n').map((line) => /^\w+:/.exec(line)?.[0])
  const kept = LEAST.split('\n').filter((line) => !keys.some((key) => key !== undefined && line.startsWith(key)))
  const arms = keys.includes('arms:') ? kept.filter((line) => !line.startsWith('  -')) : kept
  return `${arms.join('\n')}${lines}\n`
}
const experimentOf = async (lines = '') => {
  const { value, errors } = await read(lines === '' ? LEAST : withLines(lines))
  if (value === undefined) throw new Error(errors.map(({ message }) => message).join('\n'))
  return value
}

describe('an experiment file', () => {
  it('needs a name, a pipeline, arms and prompts; the rest has defaults', async () => {
    const { arms, ...rest } = await experimentOf()
    expect(arms.map(({ name, policy }) => [name, policy])).toEqual([
      ['drain', 'let-finish'],
      ['abort', 'cut-in'],
    ])
    expect(arms.map(({ pipeline }) => pipeline.stages[0]?.policy.response.name)).toEqual(['drain', 'abort'])
    expect(rest).toEqual({
      name: 'e',
      baseline: 'drain',
      aa: false,
      workload: { prompts: ['one'], interrupts: { kind: 'none' }, vars: {} },
      sessions: 40,
      turns: 1,
      blocks: 40,
      seed: 1,
      warmUp: 2,
      washoutMs: 0,
      nonce: false,
      load: { kind: 'closed', users: 1, thinkMs: 0 },
      metrics: [
        { metric: 'interruptToFirstTokenMs', statistics: ['p50', 'p95'] },
        { metric: 'wastedTokens', statistics: ['mean'] },
        { metric: 'wastedSlotMs', statistics: ['mean'] },
        { metric: 'keptTokens', statistics: ['mean'] },
      ],
      budget: {},
    })
  })

  it.each([
    ['none', { kind: 'none' }],
    ['{ after: 100ms }', { kind: 'list', atMs: [100] }],
    ['{ list: [50, 0.1s] }', { kind: 'list', atMs: [50, 100] }],
    ['{ uniform: [20ms, 200ms] }', { kind: 'uniform', fromMs: 20, toMs: 200 }],
    ['{ poisson: { mean: 1.5s } }', { kind: 'poisson', meanMs: 1500 }],
    ['{ share: 0.5 }', { kind: 'share', of: [0.5] }],
    ['{ share: [0.25, 0.5] }', { kind: 'share', of: [0.25, 0.5] }],
    ['{ recorded: { pipeline: chat } }', { kind: 'recorded', pipeline: 'chat' }],
    ['{ recorded: { experiment: old } }', { kind: 'recorded', experiment: 'old' }],
  ])('takes interrupts: %s', async (written, interrupts) => {
    const experiment = await experimentOf(`workload: { prompts: [a], input: change, interrupts: ${written} }`)
    expect(experiment.workload).toMatchObject({ interrupts, interruptInput: 'change' })
  })

  it.each([
    ['{ file: prompts.txt }', ['one', '  two  ', 'three']],
    ['{ file: prompts.jsonl }', ['one', 'two', 'three']],
    ['{ file: prompts.yaml }', ['one', 'two']],
    ['[first, second]', ['first', 'second']],
  ])('takes prompts: %s', async (written, prompts) => {
    expect((await experimentOf(`workload: { prompts: ${written} }`)).workload.prompts).toEqual(prompts)
  })

  it('makes prompts of so many words, the same for the same seed', async () => {
    const made = async (more: string) =>
      (await experimentOf(`workload: { prompts: { words: 7, count: 5${more} } }`)).workload.prompts
    const prompts = await made(', seed: 3')
    expect(prompts.map((prompt) => prompt.split(' ').length)).toEqual([7, 7, 7, 7, 7])
    expect(new Set(prompts).size).toBe(5)
    expect(await made(', seed: 3')).toEqual(prompts)
    expect(await made('')).not.toEqual(prompts)
  })

  it('takes loads, metrics, effects and budgets in their short forms', async () => {
    expect((await experimentOf('load: { users: 4, think: 1s }')).load).toEqual({
      kind: 'closed',
      users: 4,
      thinkMs: 1000,
    })
    expect((await experimentOf('load: { rate: 2.5 }')).load).toEqual({ kind: 'open', perSecond: 2.5 })
    const { metrics, budget } = await experimentOf(
      'metrics: [answerMs, { metric: failed, statistics: [mean], margin: 0.01 }, { metric: runMs, minimumEffect: 20ms }]\n' +
        'minimumEffect: 10%\nmargin: 5 %\nbudget: { time: 2m, tokens: 5000 }',
    )
    expect(metrics).toEqual([
      { metric: 'answerMs', statistics: ['p50', 'p95'], minimumEffect: { share: 0.1 }, margin: { share: 0.05 } },
      { metric: 'failed', statistics: ['mean'], minimumEffect: { share: 0.1 }, margin: { absolute: 0.01 } },
      { metric: 'runMs', statistics: ['p50', 'p95'], minimumEffect: { absolute: 20 }, margin: { share: 0.05 } },
    ])
    expect(budget).toEqual({ timeMs: 120_000, tokens: 5000 })
  })

  it('compares whole pipelines, from a file or in place', async () => {
    const { arms } = await experimentOf(
      'arms:\n  - { name: a, pipeline: two.yaml, policy: { response: { grace: 200ms } } }\n' +
        '  - { name: b, pipeline: { name: one, stages: [{ id: only, model: m, prompt: x }] } }',
    )
    expect(arms.map(({ policy, pipeline }) => [policy, pipeline.stages.length])).toEqual([
      ['two: signal, grace 200, all', 2],
      ['one: signal, abort, all', 1],
    ])
  })

  it.each([
    ['pipeline: tow.yaml', 'CAESURA_E_FILE', 'pipeline', /does not exist/],
    ['arms: []', 'CAESURA_E_EXPERIMENT', 'arms', /1 to 20 arms/],
    ['arms: [{ name: a }, { name: a, policy: cut-in }]', 'CAESURA_E_EXPERIMENT', 'arms[1].name', /name of arms\[0\]/],
    ['arms: [{ name: a, policy: cut-im }]', 'CAESURA_E_EXPERIMENT', 'arms[0].policy', /not a known policy/, 'cut-in'],
    ['arms: [{ name: a, policy: { then: third } }]', 'CAESURA_E_EXPERIMENT', 'arms[0].policy.then', /does not exist/],
    [
      'arms: [{ name: a, policy: { trigger: { after: 5 }, then: again } }]',
      'CAESURA_E_EXPERIMENT',
      'arms[0].policy.then',
      /loop that nothing can end/,
    ],
    ['arms: [{ name: a, pipeline: broken.yaml }]', 'CAESURA_E_PROMPT_EMPTY', 'stages[0].prompt', /is empty/],
    [
      'arms: [{ name: a, pipeline: { name: x, stages: [{ id: end, model: m, prompt: x }] } }]',
      'CAESURA_E_PIPELINE',
      'arms[0].pipeline.stages[0].id',
      /arms\[0\].pipeline.stages\[0\].id is a reserved name/,
    ],
    ['arms: [{ name: a, pipeline: 3 }]', 'CAESURA_E_EXPERIMENT', 'arms[0].pipeline', /is no pipeline/],
    ['baseline: abrot', 'CAESURA_E_EXPERIMENT', 'baseline', /names no arm/, 'abort'],
    ['aa: true\narms: [{ name: a }, { name: a-again }]', 'CAESURA_E_EXPERIMENT', 'arms[1].name', /`aa` calls its arm/],
    ['workload: { prompts: [] }', 'CAESURA_E_EXPERIMENT', 'workload.prompts', /1 or more prompts/],
    ['workload: { prompts: [" "] }', 'CAESURA_E_EXPERIMENT', 'workload.prompts[0]', /not empty/],
    ['workload: { prompts: { file: no.txt } }', 'CAESURA_E_FILE', 'workload.prompts.file', /does not exist/],
    ['workload: { prompts: { file: bad.jsonl } }', 'CAESURA_E_EXPERIMENT', 'workload.prompts.file', /entry 2/],
    ['workload: { prompts: { file: empty.txt } }', 'CAESURA_E_EXPERIMENT', 'workload.prompts.file', /no prompt/],
    ['workload: { prompts: { file: a, words: 3 } }', 'CAESURA_E_EXPERIMENT', 'workload.prompts', /one of its keys/],
    [
      'workload: { prompts: [a], interrupts: { after: 5, share: 0.5 } }',
      'CAESURA_E_EXPERIMENT',
      'workload.interrupts',
      /one of its keys/,
    ],
    [
      'workload: { prompts: [a], interrupts: { uniform: [9, 5] } }',
      'CAESURA_E_EXPERIMENT',
      'workload.interrupts.uniform',
      /begins after it ends/,
    ],
    [
      'warmUp: 0\nworkload: { prompts: [a], interrupts: { share: 0.5 } }',
      'CAESURA_E_EXPERIMENT',
      'workload.interrupts.share',
      /without a warm-up/,
    ],
    ['sessions: 0', 'CAESURA_E_EXPERIMENT', 'sessions', /1 to 1,000,000/],
    ['sessions: 40\nblocks: 7', 'CAESURA_E_EXPERIMENT', 'blocks', /does not divide sessions/],
    ['blocks: 80', 'CAESURA_E_EXPERIMENT', 'blocks', /does not divide sessions/],
    ['metrics: [wastedToken]', 'CAESURA_E_EXPERIMENT', 'metrics[0]', /must be interruptToFirst/, 'wastedTokens'],
    ['metrics: [{ metric: waste }]', 'CAESURA_E_EXPERIMENT', 'metrics[0].metric', /must be/],
    ['metrics: []', 'CAESURA_E_EXPERIMENT', 'metrics', /1 or more/],
    ['minimumEffect: 0%', 'CAESURA_E_EXPERIMENT', 'minimumEffect', /is no difference/],
    ['margin: -5', 'CAESURA_E_EXPERIMENT', 'margin', /is no difference/],
    ['load: { users: 0 }', 'CAESURA_E_EXPERIMENT', 'load.users', /1 to 10,000/],
    ['load: { rate: 2, think: 5 }', 'CAESURA_E_EXPERIMENT', 'load', /no users/],
    ['budget: { time: 0 }', 'CAESURA_E_EXPERIMENT', 'budget.time', /is zero/],
    ['budget: { tokens: 79 }', 'CAESURA_E_EXPERIMENT', 'budget.tokens', /too little for one trial/],
    ['budget: { time: 1s }\nwashout: 600ms', 'CAESURA_E_EXPERIMENT', 'budget.time', /too little for one block/],
    [
      'budget: { time: 1s }\nworkload: { prompts: [a], interrupts: { uniform: [600ms, 2s] } }',
      'CAESURA_E_EXPERIMENT',
      'budget.time',
      /too little for one block/,
    ],
    ['seeds: 3', 'CAESURA_E_EXPERIMENT', 'seeds', /not a known key/, 'seed'],
  ])('refuses %s', async (lines, code, path, message, hint?: string) => {
    const { value, errors } = await read(withLines(lines))
    expect(value).toBeUndefined()
    expect(errors).toHaveLength(1)
    const [error] = errors
    expect(error).toMatchObject({ code, message: expect.stringMatching(message), exitCode: 2, place: { path } })
    expect(error?.place.line).toBeGreaterThan(0)
    if (hint !== undefined) expect(error?.place.hint).toBe(`Did you mean \`${hint}\`?`)
  })

  it('tells everything at once, in the order of the file', async () => {
    const { errors } = await read(withLines('sessions: -1\nblocks: x\npipeline: no.yaml\nmetrics: [nope]\nbudget: 3'))
    const lines = errors.map(({ place }) => place.line ?? 0)
    expect(errors.map(({ place }) => place.path)).toEqual(['sessions', 'blocks', 'pipeline', 'metrics[0]', 'budget'])
    expect(lines).toEqual(lines.toSorted((a, b) => a - b))
  })

  it.each(['[]', '3', 'null', '"text"', '{}'])('refuses %s with errors, not a fault', async (text) => {
    expect((await read(text)).errors.length).toBeGreaterThan(0)
  })

  it.each([
    ['arms: [{ name: a, policy: cut-in }, { name: b, policy: cut-in }]', /arms\[1\] does the same as a/],
    ['sessions: 4', /4 blocks are too few/],
    ['sessions: 40\nblocks: 5', /5 blocks are too few/],
    ['arms: [{ name: a }]', /nothing to compare/],
  ])('warns of %s', async (lines, message) => {
    const { value, warnings } = await read(withLines(lines))
    expect(value).toBeDefined()
    expect(warnings).toEqual([expect.objectContaining({ message: expect.stringMatching(message), file: 'e.yaml' })])
  })
})

describe('the design that is kept', () => {
  it('is read back as the plan of its analysis', async () => {
    const experiment = await experimentOf('aa: true\nload: { users: 2 }\nblocks: 20\nminimumEffect: 10%')
    const plan = planOf(experiment)
    expect(keptDesign(JSON.parse(JSON.stringify(experiment)))).toEqual(plan)
    expect(plan).toMatchObject({
      experiment: 'e',
      kind: 'offline',
      arms: [
        { name: 'drain', policy: 'let-finish', weight: 1 },
        { name: 'abort', policy: 'cut-in', weight: 1 },
        { name: 'drain-again', policy: 'let-finish', weight: 1 },
      ],
      baseline: 'drain',
      aaArm: 'drain-again',
      unit: 'cell',
      blocks: 20,
    })
    expect(planOf(await experimentOf()).unit).toBe('session')
  })

  it.each([undefined, null, {}, { name: 'e', arms: [] }, []])('is none: %j', (design) => {
    expect(keptDesign(design)).toBeUndefined()
  })

  it('has a digest that the budget does not change, and everything else does', async () => {
    const digest = async (lines: string, place: unknown = 'here') => digestOf(await experimentOf(lines), place)
    const own = await digest('')
    expect(own).toMatch(/^[0-9a-f]{16}$/)
    expect(await digest('budget: { time: 5m }')).toBe(own)
    const others = ['seed: 2', 'sessions: 41', 'aa: true', 'metrics: [runMs]', 'load: { users: 2 }', 'washout: 1s']
    const digests = await Promise.all(others.map((lines) => digest(lines)))
    expect(new Set([own, ...digests, await digest('', 'elsewhere')]).size).toBe(others.length + 2)
  })
})
