import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import type { CallRequest } from '../../src/core/call.ts'
import type { CallScript } from '../../src/nodes/backends/scripted.ts'
import { readPipeline } from '../../src/pipelines/pipeline-schema.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { scriptedRun } from '../fixtures/scripted-run.ts'

const format = {
  type: 'object',
  properties: { allowed: { type: 'boolean' }, items: { type: 'array', items: { type: 'string' } } },
  required: ['allowed'],
}
const guard = (more: object = {}) => ({ id: 'a', model: 'm', prompt: 'x', format, ...more })
const asking = (prompt: string) => ({ id: 'b', model: 'm', prompt })
const pipelineOf = (...stages: object[]) => pipelineFrom({ name: 'p', stages })

/** Prefills for 20 ms, and then says a piece each 10 ms. */
const saying = (...tokens: string[]): CallScript => ({ tokens, firstTokenMs: 20, tokenMs: 10 })
const document = saying('{"allowed"', ': true, ', '"items": ["p", ', '"q"]}')

/** What stage b was asked, and the record; stage a does as scripted. */
async function run(stages: object[], script: (request: CallRequest) => CallScript, more: object = {}) {
  let asked: string | undefined
  const run = scriptedRun(pipelineOf(...stages), {
    script: (request) => {
      if (request.stage !== 'b') return script(request)
      asked = request.messages.at(-1)!.content
      return saying('ok')
    },
    ...more,
  })
  const record = await run.finish()
  return { asked, record, events: run.events }
}

describe('a stage with a format', () => {
  it('gives its document: to later prompts, in an event and in the record', async () => {
    const prompt =
      '{{ a.value | json }}|{{ a.value.items[1] }}|{{ a.value.items | join: "+" }}|{% if a.value.allowed %}yes{% endif %}|{{ a.value }}'
    const { asked, record, events } = await run([guard(), asking(prompt)], () => document)
    const json = '{"allowed":true,"items":["p","q"]}'
    expect(asked).toBe(`${json}|q|p+q|yes|${json}`)
    const value = JSON.parse(json)
    expect(record.stages[0]).toMatchObject({ settlement: 'completed', value })
    const types = events.filter((event) => 'callId' in event && event.callId === 'a.1').map(({ type }) => type)
    expect(types.slice(-3)).toEqual(['value', 'stage-settle', 'output-commit'])
    expect(events.find(({ type }) => type === 'value')).toMatchObject({ stage: 'a', callId: 'a.1', ms: 50, value })
  })

  it.each<[string, CallScript, RegExp]>([
    ['cut by its limit', { ...saying('{"allowed": true}'), finishReason: 'length' }, /was cut by its limit of tokens/],
    ['half a document', saying('{"allowed": true'), /it ends in the middle/],
    ['no JSON', saying('Yes, of course.'), /it is no JSON/],
    ['against its schema', saying('{"allowed": "MARKER"}'), /#\/properties\/allowed\/type: it must be boolean/],
    ['all thinking', { thinking: ['hm'], tokens: [] }, /it has no text, because the model thought \(1 token\)/],
  ])('fails where its answer is %s', async (_, script, why) => {
    const { record, asked, events } = await run([guard(), asking('{{ a.value }}')], () => script)
    expect(record.error).toMatchObject({ code: 'CAESURA_E_FORMAT', message: expect.stringMatching(why) })
    expect(record.error!.message).not.toContain('MARKER')
    expect(record.stages).toMatchObject([{ settlement: 'failed', tokens: { wasted: record.cost.generatedTokens } }])
    expect(record.stages[0]).not.toHaveProperty('value')
    expect([asked, events.some(({ type }) => type === 'value')]).toEqual([undefined, false])
  })

  it('is asked again where it may be, its text withdrawn, and falls back', async () => {
    const wrong = saying('{"allowed": 1}')
    const script = ({ attempt }: CallRequest) => (attempt < 3 ? wrong : document)
    const { record, events } = await run([guard({ retry: { attempts: 3, pause: 0 } })], script)
    expect(record).toMatchObject({
      outcome: 'completed',
      stages: [{ settlement: 'failed' }, {}, { value: { allowed: true } }],
    })
    expect(events.filter(({ type }) => type === 'output-withdraw')).toHaveLength(2)
    const other = ({ model }: CallRequest) => (model === 'm' ? wrong : document)
    expect((await run([guard({ fallback: ['m2'] })], other)).record.outcome).toBe('completed')
    expect((await run([guard()], script)).record.stages).toHaveLength(1)
  })

  it('hands nothing on that was cut, whatever the response, and all of what was not', async () => {
    const responses = [
      'abort',
      'drain',
      { grace: 15 },
      { grace: 90 },
      'boundary',
      'overlap',
      'adaptive',
      'race',
    ] as const
    const moments = fc.record({
      response: fc.constantFrom(...responses),
      afterMs: fc.nat(60),
      carry: fc.constantFrom(undefined, 'valid', 'none'),
    })
    await fc.assert(
      fc.asyncProperty(moments, async ({ response, afterMs, carry }) => {
        const policy = { trigger: 'signal', response, ...(carry !== undefined && { carry }) }
        const prompt = '[{{ a.output }}|{% if a.value %}{{ a.value.items | size }}{% endif %}]'
        const { asked, record } = await run([guard({ policy }), asking(prompt)], () => document, {
          slots: 2,
          signals: [{ afterMs, input: 'y' }],
        })
        const whole = `[${document.tokens.join('')}|2]`
        const [call] = record.stages
        const ofGuard = record.interrupts.filter(({ from }) => from === 'a')
        const stood = ofGuard.length === 0 || (carry !== 'none' && call!.settlement === 'drained')
        // A race hands on before it knows how the old call ends.
        if (response === 'race' && ofGuard.length > 0) expect(['[|]', whole]).toContain(asked)
        else expect(asked).toBe(stood ? whole : '[|]')
        if (call!.settlement === 'aborted') expect(call).not.toHaveProperty('value')
      }),
      { numRuns: 60 },
    )
  })

  it('has the carry valid where none is written, and takes no other than none', () => {
    expect(pipelineOf(guard()).stages[0]!.policy.carry).toBe('valid')
    expect(pipelineOf(guard({ policy: 'let-finish' })).stages[0]!.policy.carry).toBe('valid')
    expect(pipelineOf(guard({ policy: 'rollback' })).stages[0]!.policy.carry).toBe('none')
    const faults = (value: object) =>
      readPipeline(catalogue, value).errors.map(({ place }) => [place.path, place.expected, place.hint])
    expect(faults({ name: 'p', stages: [guard({ policy: { carry: 'sentences' } })] })).toEqual([
      ['stages[0].policy.carry', 'valid or none', 'Write `carry: valid`.'],
    ])
    expect(faults({ name: 'p', stages: [guard({ policy: 'cut-in' })] })).toEqual([
      ['stages[0].policy', 'valid or none', 'Write `{ preset: cut-in, carry: valid }`.'],
    ])
    const arms = (policy: object) => ({
      ...{ name: 'p', stages: [guard()] },
      experiment: { name: 'e', arms: [{ name: 'x' }, { name: 'y', policy }] },
    })
    expect(faults(arms({ carry: 'delivered' })).map(([path]) => path)).toEqual(['experiment.arms[1].policy.carry'])
    const ofArms = pipelineFrom(arms({ response: 'drain' })).experiment!.arms
    expect(ofArms.map(({ policies }) => policies.a!.carry)).toEqual(['valid', 'valid'])
  })

  it('counts thinking before it, and says who counted: a server may count its second pass alone', async () => {
    const thinker: CallScript = { ...document, thinking: Array(16).fill('hm '), generatedTokens: 5 }
    const { record } = await run([guard({ think: true })], () => thinker)
    expect(record.stages[0]!.tokens).toMatchObject({ generated: 20, thinking: 16, wasted: 0, counted: 'pieces' })
    expect(record.stages[0]).toMatchObject({ firstPieceMs: 20, firstTokenMs: 180, value: { allowed: true } })
  })

  it('takes json, which is any document', async () => {
    const { asked } = await run([guard({ format: 'json' }), asking('{{ a.value[1] }}')], () => saying('[1,', '2]'))
    expect(asked).toBe('2')
  })

  it('has no value before it, and after it was cut: nothing is printed of it, and an empty prompt says why', async () => {
    const policy = { trigger: { tokens: 2 }, response: 'abort' }
    const { record } = await run([guard({ policy }), asking('{{ a.value.allowed }}')], () => document)
    expect(record.error).toMatchObject({
      code: 'CAESURA_E_PROMPT_EMPTY',
      message: expect.stringMatching(/: a\.value is empty, because its call was cut$/),
    })
    const { asked } = await run(
      [guard({ policy }), asking('{{ a.value | json }}{{ a.value.x | default: "?" }}')],
      () => document,
    )
    expect(asked).toBe('null?')
  })

  it('lets a prompt fail by name that asks for what is not in it', async () => {
    const { record } = await run([guard(), asking('{{ a.value.alowed }}')], () => document)
    expect(record.error).toMatchObject({
      code: 'CAESURA_E_TEMPLATE',
      message: expect.stringContaining('a.value.alowed'),
    })
  })

  it.each<[string, object, string, RegExp]>([
    ['a format that is none', { format: 'yaml' }, 'stages[0].format', /json, or a JSON Schema/],
    ['a format that is no mapping', { format: [1] }, 'stages[0].format', /json, or a JSON Schema/],
    ['a schema of 1 MB', { format: { enum: ['x'.repeat(1_000_000)] } }, 'stages[0].format', /at most 65,536/],
    ['a recursive schema', { format: { items: { $ref: '#' } } }, 'stages[0].format.items["$ref"]', /without recursion/],
    ['tools beside it', { tools: [{ name: 'f', parameters: {} }] }, 'stages[0].tools', /one of the two/],
  ])('is refused for %s', (_, more, path, expected) => {
    const { errors } = readPipeline(catalogue, { name: 'p', stages: [guard(more)] })
    expect(errors.map(({ place }) => place.path)).toEqual([path])
    expect(errors[0]!.place.expected).toMatch(expected)
  })

  it('only such a stage, or one with tools, has a value to ask for', () => {
    const errors = (stage: object) =>
      readPipeline(catalogue, { name: 'p', stages: [stage, asking('{{ a.value.x }}')] }).errors
    expect(errors({ id: 'a', model: 'm', prompt: 'x' })).toMatchObject([
      { code: 'CAESURA_E_TEMPLATE', place: { received: 'a.value.x' } },
    ])
    expect(errors(guard())).toEqual([])
  })
})
