import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  type Catalogue,
  createEngine,
  definePipeline,
  extendCatalogue,
  type OwnWork,
  type Step,
  type StepKind,
  scripted,
  stepKind,
} from '../../src/index.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

interface CountStep extends Step {
  readonly count: number
  readonly word: string
}
interface CountWork extends OwnWork {
  readonly words: readonly string[]
}

/** Says a word so many times, one each 10 ms. */
const count = stepKind<{ count: number; word: string }, CountStep, CountWork>({
  name: 'count',
  summary: 'Counts.',
  shape: { count: z.int().min(1), word: z.string() },
  takesTime: true,
  read: (parsed) => ({ step: { kind: 'count', ...parsed } }),
  templates: ({ word }) => [{ path: ['word'], source: word, emptyHint: 'Write a word.' }],
  open: (step, { render }) => ({ work: { kind: 'count', words: Array(step.count).fill(`${render(step.word)} `) } }),
  perform: ({ words }, { clock, signal, token }) =>
    new Promise((resolve) => {
      let withdraw: () => void = () => undefined
      signal.addEventListener('abort', () => {
        withdraw()
        resolve({ end: 'cancelled' })
      })
      const say = (index: number) => {
        const word = words[index]
        if (word === undefined) return resolve({ end: 'completed' })
        token(word)
        if (!signal.aborted) withdraw = clock.schedule(clock.now() + 10_000_000, () => say(index + 1))
      }
      withdraw = clock.schedule(clock.now() + 10_000_000, () => say(0))
    }),
})
const catalogue = extendCatalogue({ steps: [count] })
const counting = (more: object = {}) =>
  definePipeline(
    {
      name: 'p',
      stages: [
        { id: 'draft', model: 'm', prompt: '{{ input }}', policy: { response: 'abort', carry: 'all' } },
        { id: 'repeat', count: 5, word: '{{ draft.output }}', ...more },
        { id: 'last', say: '{{ repeat.output }}' },
      ],
    },
    { catalogue },
  )
const script = () => speak('yes no maybe')
const settings = { catalogue }

const thrown = (work: () => unknown): unknown => {
  try {
    return work()
  } catch (error) {
    return error
  }
}

describe('a kind of step of one’s own', () => {
  it('works in a stage as any other does, and costs no token and no slot', async () => {
    const record = await scriptedRun(counting(), { settings, script: () => speak('yes') }).finish()
    expect(record).toMatchObject({ outcome: 'completed', output: 'yes yes yes yes yes ' })
    expect(record.stages[1]).toMatchObject({
      kind: 'count',
      settlement: 'completed',
      tokens: { generated: 0 },
      slotMs: 0,
    })
    expect(record.stages[1]).not.toHaveProperty('model')
  })

  it('is interrupted by the policy of its stage', async () => {
    const policy = { trigger: { tokens: 2 }, response: 'abort', carry: 'all', then: 'last' }
    const record = await scriptedRun(counting({ policy }), { settings, script: () => speak('yes') }).finish()
    expect(record.stages[1]).toMatchObject({ settlement: 'aborted', text: 'yes yes ' })
    expect(record).toMatchObject({ outcome: 'completed', output: 'yes yes ' })
  })

  it('is what an interrupt waits for: its time is the phase `tool`', async () => {
    const signals = [{ afterMs: 65, input: 'x' }]
    const { interrupts } = await scriptedRun(counting(), { settings, script, signals }).finish()
    expect(interrupts[0]).toMatchObject({ to: 'repeat', toFirstTokenMs: 10, phases: [{ name: 'tool', ms: 10 }] })
  })

  it('has the limits of its stage', async () => {
    const record = await scriptedRun(counting({ timeout: { total: '25ms' } }), { settings, script }).finish()
    expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_TIMEOUT_TOTAL' } })
  })

  const broken = (perform: unknown) => {
    const own = extendCatalogue({ steps: [{ ...count, perform } as StepKind] })
    const pipeline = definePipeline({ name: 'p', stages: [{ id: 'a', count: 1, word: 'x' }] }, { catalogue: own })
    return scriptedRun(pipeline, { settings: { catalogue: own } }).finish()
  }
  it.each<[string, unknown, RegExp]>([
    ['throws', () => JSON.parse('{'), /^the step count has thrown: /],
    ['rejects', () => Promise.reject(new Error('no')), /^the step count has thrown: no$/],
    ['ends as nothing does', async () => ({ end: 'banana' }), /^the step count ends a call with /],
    ['says what is no text', async (_: unknown, { token }: { token(piece: unknown): void }) => token(5), /no text: 5/],
  ])('fails its call where it %s', async (_, perform, message) => {
    const error = { code: 'CAESURA_E_BACKEND', message: expect.stringMatching(message) }
    expect(await broken(perform)).toMatchObject({ outcome: 'failed', error })
  })

  it.each<[string, object, string]>([
    ['has no shape', { shape: undefined }, 'shape'],
    ['lacks its key', { shape: { word: z.string() } }, 'shape'],
    ['has a key of every stage', { shape: { count: z.int(), policy: z.any() } }, 'shape.policy'],
    ['has what is no schema', { shape: { count: 5 } }, 'shape.count'],
    ['cannot be opened', { open: undefined }, 'open'],
    ['has a name that is taken', { name: 'say' }, 'name'],
  ])('is refused where it %s', (_, more, key) => {
    const error = thrown(() => extendCatalogue({ steps: [{ ...count, ...more } as StepKind] }))
    const path = `catalogue.steps[${catalogue.steps.length - 1}].${key}`
    expect(error).toMatchObject({ code: 'CAESURA_E_CONFIG', place: { path } })
  })

  it('is asked for where an engine has another catalogue than the pipeline', async () => {
    await using engine = createEngine({ nodes: [scripted({ name: 'n', script: { tokens: ['x'] } })] })
    const error = thrown(() => engine.start(counting(), { input: 'x' }))
    expect(error).toMatchObject({ code: 'CAESURA_E_PIPELINE', place: { path: 'stages[1]', received: 'count' } })
  })

  it('is checked as it is written, like the others', () => {
    expect(() => counting({ word: '{{ nothing }}' })).toThrow(/stages\[1\]\.word names something that is not there/)
    expect(() => counting({ word: ' ' })).toThrow(/stages\[1\]\.word is empty/)
    expect(() => counting({ count: 0 })).toThrow(/stages\[1\]\.count/)
    expect(() => counting({ wrod: 'x' })).toThrow(/stages\[1\]\.wrod is not a known key.*`word`/s)
    expect(() => definePipeline({ name: 'p', stages: [] }, { catalogue: {} as Catalogue })).toThrow(/catalogue/)
  })
})
