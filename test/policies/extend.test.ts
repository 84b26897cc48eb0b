import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/catalogue.ts'
import { createEngine, definePipeline } from '../../src/app/compose.ts'
import { extendCatalogue } from '../../src/app/extend-catalogue.ts'
import type { Catalogue } from '../../src/core/catalogue.ts'
import { msToNs } from '../../src/core/clock.ts'
import { CaesuraError } from '../../src/core/errors.ts'
import { cancelCall, fireWhenSettled, type ResponseDefinition, type TriggerDefinition } from '../../src/core/policy.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

const stop: ResponseDefinition = { name: 'stop', summary: 'stops', start: () => [cancelCall, fireWhenSettled] }
const third: TriggerDefinition<undefined, number> = {
  name: 'third',
  summary: 'at the third token',
  initial: () => 0,
  step: (state, event) =>
    event.type === 'token' && event.count === 3 ? { state: state + 1, interrupt: 'third' } : { state },
}
const pipelineOf = (policy: object) => ({
  name: 'p',
  stages: [
    { id: 'a', model: 'm', prompt: 'x', policy },
    { id: 'b', model: 'm', prompt: 'y' },
  ],
})
const thrown = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    if (error instanceof CaesuraError) return { code: error.code, ...error.place }
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('an extended catalogue', () => {
  it('has what ships and what is added, and leaves the one that ships as it is', () => {
    const own = extendCatalogue({ responses: [stop] })
    expect(own.responses.map(({ name }) => name)).toEqual([...catalogue.responses.map(({ name }) => name), 'stop'])
    expect(catalogue.responses).not.toContain(stop)
  })

  it.each([
    ['alone', 'third'],
    ['in a list', { any: [{ after: '10s' }, 'third'] }],
    ['in a list of a list', { any: [{ any: ['third', 'never'] }, { after: '10s' }] }],
  ])('has an own trigger %s', async (_, trigger) => {
    const own = extendCatalogue({ triggers: [third], responses: [stop] })
    const pipeline = definePipeline(pipelineOf({ trigger, response: 'stop' }), { catalogue: own })
    const run = scriptedRun(pipeline, { settings: { catalogue: own }, script: speak('one two three four five') })
    const record = await run.finish()
    expect(record.stages[0]).toMatchObject({ settlement: 'aborted', text: 'one two three' })
    expect(msToNs(record.interrupts[0]!.at)).toBe(msToNs(70))
  })

  it('takes another catalogue as its base', () => {
    const base = extendCatalogue({ triggers: [third] })
    expect(extendCatalogue({ responses: [stop] }, base).triggers).toContain(third)
  })

  it.each<[string, () => unknown, object]>([
    [
      'a name that is taken',
      () => extendCatalogue({ responses: [{ ...stop, name: 'abort' }] }),
      { path: `catalogue.responses[${catalogue.responses.length}].name`, received: 'abort' },
    ],
    [
      'a response that cannot start',
      () => extendCatalogue({ responses: [{ name: 'stop', summary: 's' } as ResponseDefinition] }),
      { path: `catalogue.responses[${catalogue.responses.length}].start`, expected: 'a function' },
    ],
    [
      'a schema that is none',
      () => extendCatalogue({ responses: [{ ...stop, parameter: 'a number' as never }] }),
      { path: `catalogue.responses[${catalogue.responses.length}].parameter`, received: 'a number' },
    ],
    [
      'a catalogue without its lists',
      () => definePipeline(pipelineOf({}), { catalogue: { responses: [stop] } as unknown as Catalogue }),
      { path: 'catalogue.steps', hint: expect.stringContaining('extendCatalogue') },
    ],
    [
      'a catalogue that is a list',
      () => createEngine({ nodes: scriptedNodes, catalogue: [stop] as unknown as Catalogue }),
      { path: 'catalogue' },
    ],
  ])('refuses %s', (_, work, place) => {
    expect(thrown(work)).toMatchObject({ code: 'CAESURA_E_CONFIG', ...place })
  })

  it('is asked for where an engine has another one than the pipeline', async () => {
    const own = extendCatalogue({ triggers: [third], responses: [stop] })
    await using engine = createEngine({ nodes: scriptedNodes })
    for (const [policy, path, received] of [
      [{ response: 'stop' }, 'stages[0].policy.response', 'stop'],
      [{ trigger: { any: ['never', 'third'] } }, 'stages[0].policy.trigger', 'third'],
    ] as const) {
      const pipeline = definePipeline(pipelineOf(policy), { catalogue: own })
      expect(thrown(() => engine.start(pipeline, { input: 'i' }))).toMatchObject({
        code: 'CAESURA_E_PIPELINE',
        path,
        received,
        hint: expect.stringContaining('createEngine({ catalogue })'),
      })
    }
  })
})

const scriptedNodes = [
  { name: 'n', slots: 1, pool: 'default', backend: scriptedBackend(speak('one two three four five')) },
]
