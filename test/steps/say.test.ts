import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'

const script = () => speak('one two three four five six')
const guarded = (policy: object) =>
  definePipeline({
    name: 'guarded',
    stages: [
      { id: 'draft', model: 'm', prompt: '{{ input }}', policy },
      { id: 'more', model: 'm', prompt: 'more {{ draft.output }}', policy: { trigger: 'never' } },
      { id: 'refuse', say: 'I cannot help with {{ input }}: {{ interrupt.input }}.', policy: { trigger: 'never' } },
    ],
  })
const stop = { trigger: 'signal', response: 'abort', carry: 'none', then: 'refuse' }

describe('a stage that says a fixed text', () => {
  it('is the answer, in one piece, and asks no model', async () => {
    const run = scriptedRun(guarded(stop), { input: 'that', script, signals: [{ afterMs: 75, input: 'unsafe' }] })
    const record = await run.finish()
    expect(record).toMatchObject({ outcome: 'completed', output: 'I cannot help with that: unsafe.' })
    expect([...run.prompts.keys()]).toEqual(['draft.1'])
    const [draft, refuse] = record.stages
    expect(draft).toMatchObject({ kind: 'model', model: 'm', settlement: 'aborted' })
    expect(refuse).toMatchObject({
      callId: 'refuse.1',
      kind: 'say',
      settlement: 'completed',
      text: 'I cannot help with that: unsafe.',
      tokens: { generated: 0, delivered: 0, wasted: 0 },
      slotMs: 0,
      wastedSlotMs: 0,
    })
    for (const key of ['model', 'node', 'backend']) expect(refuse).not.toHaveProperty(key)
    expect(record.cost.generatedTokens).toBe(draft!.tokens.generated)
    expect(record.visits?.at(-1)).toEqual({ stage: 'refuse', visit: 1, from: 'then', calls: ['refuse.1'] })
    const told = run.events.filter((event) => 'callId' in event && event.callId === 'refuse.1')
    expect(told.map(({ type }) => type)).toEqual(['stage-start', 'token', 'stage-settle', 'output-commit'])
    expect(told[0]).not.toHaveProperty('model')
  })

  it('is what an interrupt was waiting for: its first text ends the phases, and none of them is a server’s', async () => {
    const run = scriptedRun(guarded(stop), { input: 'that', script, signals: [{ afterMs: 75, input: 'unsafe' }] })
    const { interrupts } = await run.finish()
    const [{ toCall, toFirstTokenMs, phases }] = interrupts as [(typeof interrupts)[0]]
    expect(toCall).toBe('refuse.1')
    expect(phases.reduce((sum, { ms }) => sum + Math.round(ms * 1e6), 0)).toBe(Math.round(toFirstTokenMs! * 1e6))
    for (const { name } of phases) expect(['decide', 'settle']).toContain(name)
  })

  it('goes on to the next stage with its text, which may ask for the node of the model call before it', async () => {
    const pipeline = definePipeline({
      name: 'filler',
      stages: [
        { id: 'draft', model: 'm', prompt: '{{ input }}', policy: { trigger: 'never' } },
        { id: 'filler', say: 'One moment.', policy: { trigger: 'never', placement: 'same' } },
        { id: 'answer', model: 'm', prompt: '{{ draft.output }} {{ filler.output }}' },
      ],
    })
    const run = scriptedRun(pipeline, { input: 'q', script: () => speak('a b') })
    const record = await run.finish()
    expect(record.stages.map(({ id, settlement }) => [id, settlement])).toEqual([
      ['draft', 'completed'],
      ['filler', 'completed'],
      ['answer', 'completed'],
    ])
    expect(run.prompts.get('answer.1')).toBe('a b One moment.')
    expect(record.stages[2]!.node).toBe(record.stages[0]!.node)
  })

  it('may be the whole pipeline, and says nothing where its template comes to nothing', async () => {
    const only = (say: string) => definePipeline({ name: 'only', stages: [{ id: 'a', say }] })
    expect(await scriptedRun(only('hello {{ input }}'), { input: 'you' }).finish()).toMatchObject({
      output: 'hello you',
    })
    const record = await scriptedRun(only('{{ vars.none | default: "" }}'), { input: 'x', vars: { none: '' } }).finish()
    expect(record).toMatchObject({ outcome: 'completed', output: '' })
  })
})
