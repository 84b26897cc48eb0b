import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readDocument } from '../../src/core/document.ts'
import { CaesuraError, CaesuraErrors } from '../../src/core/errors.ts'
import { definePipelineWith, pipelineSchema, readPipeline } from '../../src/pipelines/pipeline-schema.ts'
import { catalogue } from '../core/catalogue.ts'

const good = {
  name: 'p',
  stages: [
    {
      id: 'draft',
      model: 'fast',
      system: 'Be short.',
      prompt: '{{ input }}',
      options: { temperature: 0, maxTokens: 64, seed: 1, topK: 40, topP: 0.9, stop: ['END'], contextTokens: 1024 },
      timeout: { firstToken: '10s', stall: 500, total: '1m' },
      retry: { attempts: 2 },
      policy: {
        trigger: { any: [{ tokens: 12 }, { after: '1s' }] },
        response: 'abort',
        carry: 'sentences',
        then: 'refine',
      },
    },
    {
      id: 'refine',
      model: 'fast',
      prompt: 'Q: {{ input }} D: {{ draft.output }}{% if interrupt.input %}{{ interrupt.input }}{% endif %}',
      policy: { then: 'again' },
    },
  ],
}
/** The good pipeline with its first stage changed. */
const withStage = (change: object) => ({ ...good, stages: [{ ...good.stages[0], ...change }, good.stages[1]] })
const errorsOf = (value: unknown) => readPipeline(catalogue, value).errors

describe('the schema of a pipeline', () => {
  it('is made once for each catalogue', () => {
    expect(pipelineSchema(catalogue)).toBe(pipelineSchema(catalogue))
    const other = { ...catalogue, presets: [] }
    expect(pipelineSchema(other)).not.toBe(pipelineSchema(catalogue))
    expect(pipelineSchema(other)).toBe(pipelineSchema(other))
  })
})

describe('a pipeline', () => {
  it('is plain JSON with every default filled in', () => {
    const pipeline = definePipelineWith(catalogue, good)
    expect(JSON.parse(JSON.stringify(pipeline))).toEqual({
      name: 'p',
      maxInterrupts: 16,
      stages: [
        {
          id: 'draft',
          step: { kind: 'model', system: 'Be short.', prompt: '{{ input }}' },
          asks: { model: 'fast', options: good.stages[0]!.options },
          timeouts: { firstTokenMs: 10_000, stallMs: 500, totalMs: 60_000 },
          retry: { attempts: 2, pauseMs: 200, afterFirstToken: 'fail' },
          fallback: [],
          policy: {
            trigger: {
              name: 'any',
              parameter: [
                { name: 'tokens', parameter: 12 },
                { name: 'after', parameter: 1000 },
              ],
              signals: 'heed',
            },
            response: { name: 'abort' },
            carry: 'sentences',
            warm: 'off',
            placement: 'any',
            then: 'refine',
          },
        },
        {
          id: 'refine',
          step: { kind: 'model', prompt: good.stages[1]!.prompt },
          asks: { model: 'fast', options: {} },
          timeouts: {},
          retry: { attempts: 1, pauseMs: 200, afterFirstToken: 'fail' },
          fallback: [],
          policy: {
            trigger: { name: 'signal', signals: 'heed' },
            response: { name: 'abort' },
            carry: 'all',
            warm: 'off',
            placement: 'any',
            then: 'again',
          },
        },
      ],
    })
  })

  it('is frozen to its depth, and what it was made of is not', () => {
    const pipeline = definePipelineWith(catalogue, good)
    expect(
      [pipeline, pipeline.stages, pipeline.stages[0], pipeline.stages[0]!.policy.trigger].every(Object.isFrozen),
    ).toBe(true)
    expect([good, good.stages, good.stages[0]!.options].some(Object.isFrozen)).toBe(false)
  })

  it('may leave keys undefined that it may leave out', () => {
    const pipeline = definePipelineWith(
      catalogue,
      withStage({ system: undefined, options: { seed: undefined }, timeout: undefined, policy: undefined }),
    )
    expect(pipeline.stages[0]!.step).not.toHaveProperty('system')
    expect(pipeline.stages[0]).toMatchObject({ asks: { options: {} } })
  })

  it.each<[string, object, [string, string][]]>([
    ['a text of a wrong type', { id: 'a', say: 5 }, [['stages[0].say', 'stages[0].say must be a text.']]],
    ['a text that is empty', { id: 'a', say: ' ' }, [['stages[0].say', 'stages[0].say is empty']]],
    [
      'a key of a model call',
      { id: 'a', say: 'x', prompt: 'p', options: {} },
      [
        ['stages[0].prompt', 'is not a known key'],
        ['stages[0].options', 'is not a known key'],
      ],
    ],
    [
      'a name that no template knows',
      { id: 'a', say: '{{ nobody }}' },
      [['stages[0].say', 'names something that is not there']],
    ],
    [
      'neither a model nor a text',
      { id: 'a' },
      [
        ['stages[0].model', 'is missing'],
        ['stages[0].prompt', 'is missing'],
      ],
    ],
  ])('refuses a stage that says a fixed text with %s', (_, stage, wanted) => {
    const { errors } = readPipeline(catalogue, { name: 'p', stages: [stage] })
    expect(errors.map(({ place }) => place.path)).toEqual(wanted.map(([path]) => path))
    for (const [index, [, message]] of wanted.entries()) expect(errors[index]!.message).toContain(message)
  })

  it.each([
    ['an unknown key', { ...good, stagse: [] }, 'stagse', 'stagse', /stages/, 'Did you mean `stages`?'],
    [
      'an unknown key of a stage',
      withStage({ prmpt: 'x' }),
      'stages[0].prmpt',
      'prmpt',
      /prompt/,
      'Did you mean `prompt`?',
    ],
    [
      'an unknown option',
      withStage({ options: { temprature: 0 } }),
      'stages[0].options.temprature',
      'temprature',
      /temperature/,
      'Did you mean `temperature`?',
    ],
    ['a wrong type', withStage({ prompt: 3 }), 'stages[0].prompt', '3', /a text/, undefined],
    [
      'a missing key',
      { ...good, stages: [{ id: 'a', prompt: 'x' }] },
      'stages[0].model',
      undefined,
      /a text/,
      undefined,
    ],
    ['stages that are no list', { name: 'p', stages: {} }, 'stages', '{}', /a list/, undefined],
    ['no stages', { name: 'p', stages: [] }, 'stages', '[]', /1 to 100 stages/, undefined],
    [
      'too many stages',
      { name: 'p', stages: Array.from({ length: 101 }, (_, i) => ({ id: `s${i}`, model: 'm', prompt: 'x' })) },
      'stages',
      /^\[\{/,
      /1 to 100 stages/,
      undefined,
    ],
    [
      'a temperature out of range',
      withStage({ options: { temperature: 3 } }),
      'stages[0].options.temperature',
      '3',
      /from 0 to 2/,
      undefined,
    ],
    [
      'a fraction of a token',
      withStage({ options: { maxTokens: 1.5 } }),
      'stages[0].options.maxTokens',
      '1.5',
      /a whole number/,
      undefined,
    ],
    [
      'too many attempts',
      withStage({ retry: { attempts: 11 } }),
      'stages[0].retry.attempts',
      '11',
      /from 1 to 10/,
      undefined,
    ],
    [
      'a pause that is too long',
      withStage({ retry: { pause: '31s' } }),
      'stages[0].retry.pause',
      '31000',
      /0 to 30 s/,
      undefined,
    ],
    [
      'an unknown wish after the first token',
      withStage({ retry: { afterFirstToken: 'again' } }),
      'stages[0].retry.afterFirstToken',
      'again',
      /fail or restart/,
      undefined,
    ],
    ['a fallback to nothing', withStage({ fallback: [] }), 'stages[0].fallback', '[]', /1 to 8 models/, undefined],
    [
      'a fallback that is no list',
      withStage({ fallback: 'slow' }),
      'stages[0].fallback',
      'slow',
      /1 to 8 models/,
      undefined,
    ],
    [
      'too many fallbacks',
      withStage({ fallback: Array(9).fill('slow') }),
      'stages[0].fallback',
      /^\[/,
      /1 to 8 models/,
      undefined,
    ],
    ['a fallback that is no text', withStage({ fallback: [1] }), 'stages[0].fallback[0]', '1', /a text/, undefined],
    ['a blank fallback', withStage({ fallback: [' '] }), 'stages[0].fallback[0]', /./, /1 to 500/, undefined],
    ['too many interrupts', { ...good, maxInterrupts: 1001 }, 'maxInterrupts', '1001', /from 1 to 1,000/, undefined],
    [
      'a negative duration',
      withStage({ timeout: { stall: -1 } }),
      'stages[0].timeout.stall',
      '-1',
      /0 to 24 h/,
      undefined,
    ],
    [
      'NaN as a duration',
      withStage({ timeout: { stall: Number.NaN } }),
      'stages[0].timeout.stall',
      'NaN',
      /0 to 24 h/,
      undefined,
    ],
    [
      'a huge duration',
      withStage({ timeout: { total: '99999m' } }),
      'stages[0].timeout.total',
      '99999m',
      /0 to 24 h/,
      undefined,
    ],
    [
      'a timeout of nothing',
      withStage({ timeout: { total: 0 } }),
      'stages[0].timeout.total',
      '0',
      /above 0/,
      'Leave it out for no limit.',
    ],
    ['a stage id twice', withStage({ id: 'refine' }), 'stages[1].id', 'refine', /no other stage/, undefined],
    [
      'a reserved id',
      { ...good, stages: [{ id: 'next', model: 'm', prompt: 'x' }] },
      'stages[0].id',
      'next',
      /another id/,
      undefined,
    ],
    [
      'an id with a blank',
      { ...good, stages: [{ id: 'a b', model: 'm', prompt: 'x' }] },
      'stages[0].id',
      'a b',
      /letters, digits/,
      undefined,
    ],
    [
      'then to nowhere',
      withStage({ policy: { then: 'refin' } }),
      'stages[0].policy.then',
      'refin',
      /next, again, start, end, draft or refine/,
      'Did you mean `refine`?',
    ],
    [
      'an unknown policy',
      withStage({ policy: 'cutin' }),
      'stages[0].policy',
      'cutin',
      /cut-in/,
      'Did you mean `cut-in`?',
    ],
    [
      'an unknown response',
      withStage({ policy: { response: 'abrot' } }),
      'stages[0].policy.response',
      'abrot',
      /abort/,
      'Did you mean `abort`?',
    ],
    ['null', null, undefined, 'null', /a mapping/, undefined],
  ])('is refused for %s', (_, value, path, received, expected, hint) => {
    const [error, ...others] = errorsOf(value)
    expect(others.filter((other) => other.code !== 'CAESURA_E_TEMPLATE')).toEqual([])
    expect(error).toMatchObject({
      code: 'CAESURA_E_PIPELINE',
      exitCode: 2,
      message: expect.stringMatching(/^[^\n]+\.$/),
    })
    expect(error!.place.path).toBe(path)
    expect(error!.place.expected).toMatch(expected)
    expect(error!.place.hint).toBe(hint)
    if (received instanceof RegExp) expect(error!.place.received).toMatch(received)
    else expect(error!.place.received).toBe(received)
  })

  it.each([
    ['an empty prompt', { prompt: ' \n' }, 'CAESURA_E_PROMPT_EMPTY', 'stages[0].prompt', '" \\n"'],
    ['an unknown name in a prompt', { prompt: '{{ inptu }}' }, 'CAESURA_E_TEMPLATE', 'stages[0].prompt', 'inptu'],
    [
      'an unknown name in a system prompt',
      { system: '{{ refin.output }}' },
      'CAESURA_E_TEMPLATE',
      'stages[0].system',
      'refin.output',
    ],
    ['a broken template', { prompt: '{% if input %}' }, 'CAESURA_E_TEMPLATE', 'stages[0].prompt', '{% if input %}'],
  ])('is refused for %s, with a code of its own', (_, change, code, path, received) => {
    expect(errorsOf(withStage(change))).toEqual([
      expect.objectContaining({
        code,
        place: expect.objectContaining({ path, received, expected: expect.any(String) }),
      }),
    ])
  })

  it('tells everything at once, in the order of the file, with line and column', () => {
    const document = readDocument(
      [
        'name: p',
        'stages:',
        '  - id: a',
        '    modle: fast',
        '    prompt: |',
        '      Hello',
        '      {{ inptu }}',
        '    policy: { response: abrot }',
        '  - { id: a, model: m, prompt: "" }',
      ].join('\n'),
      'p.yaml',
    )
    const found = readPipeline(catalogue, document.value, document).errors
    expect(
      found.map(({ code, place: { file, line, column, path } }) => [code, `${file}:${line}:${column}`, path]),
    ).toEqual([
      ['CAESURA_E_PIPELINE', 'p.yaml:3:5', 'stages[0].model'],
      ['CAESURA_E_PIPELINE', 'p.yaml:4:5', 'stages[0].modle'],
      ['CAESURA_E_TEMPLATE', 'p.yaml:7:10', 'stages[0].prompt'],
      ['CAESURA_E_PIPELINE', 'p.yaml:8:25', 'stages[0].policy.response'],
      ['CAESURA_E_PIPELINE', 'p.yaml:9:11', 'stages[1].id'],
      ['CAESURA_E_PROMPT_EMPTY', 'p.yaml:9:32', 'stages[1].prompt'],
    ])
    expect(() => definePipelineWith(catalogue, document.value, document)).toThrow(CaesuraErrors)
    expect(() => definePipelineWith(catalogue, withStage({ prompt: '' }))).toThrow(CaesuraError)
  })

  it('shows at most 100 problems, cut values, and nothing that a terminal obeys', () => {
    const many = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`x${index}`, 1]))
    expect(errorsOf({ ...good, ...many })).toHaveLength(101)
    expect(errorsOf({ ...good, ...many }).at(-1)!.message).toBe('50 more problems are not shown.')
    const [error] = errorsOf(withStage({ id: `\u001b[31m${'x'.repeat(90)}\u202e` }))
    expect(error!.place.received).toMatch(/^\\u001b\[31mx+…$/)
    expect([...error!.place.received!].length).toBeLessThanOrEqual(85)
    expect(errorsOf({ ...good, '\u009b2J': 1 })[0]!.message).toBe('["\\u009b2J"] is not a known key.')
  })

  it('warns of a stage that starts again without asking for the change', () => {
    const silent = { ...good, stages: [good.stages[0], { ...good.stages[1], prompt: 'x' }] }
    expect(readPipeline(catalogue, good).warnings).toEqual([])
    expect(readPipeline(catalogue, silent).warnings).toEqual([
      expect.objectContaining({ path: 'stages[1].prompt', hint: expect.stringContaining('interrupt.input') }),
    ])
    expect(
      readPipeline(catalogue, { ...good, stages: [{ id: 'a', model: 'm', prompt: 'x', policy: 'start-over' }] })
        .warnings,
    ).toHaveLength(1)
  })

  it('is either a pipeline or coded errors, whatever is changed in a good one', () => {
    type Place = { holder: Record<string | number, unknown>; key: string | number }
    const placesIn = (holder: object): Place[] =>
      Object.entries(holder).flatMap(([key, value]) => [
        { holder: holder as Record<string, unknown>, key },
        ...(typeof value === 'object' && value !== null ? placesIn(value) : []),
      ])
    const count = placesIn(structuredClone(good)).length
    const value = fc.oneof(
      fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true, withMap: true }),
      fc.constantFrom('{{', '{{ x }}', '-1s', '__proto__', 'again', 'draft'),
    )
    fc.assert(
      fc.property(
        fc.nat(count - 1),
        fc.constantFrom('set', 'delete', 'rename'),
        value,
        (index, change, replacement) => {
          const pipeline = structuredClone(good)
          const { holder, key } = placesIn(pipeline)[index]!
          if (change === 'set') holder[key] = replacement
          if (change === 'rename') holder[`${key}x`] = holder[key]
          if (change !== 'set') delete holder[key]
          const read = readPipeline(catalogue, pipeline)
          expect(read.value === undefined).toBe(read.errors.length > 0)
          for (const error of read.errors)
            expect(error).toMatchObject({ exitCode: 2, message: expect.stringMatching(/\.$/) })
        },
      ),
      { numRuns: 1000 },
    )
  })
})
