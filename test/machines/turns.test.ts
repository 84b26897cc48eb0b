import { describe, expect, it } from 'vitest'
import { createEngine } from '../../src/app/compose.ts'
import type { CallRequest, ChatMessage } from '../../src/core/call.ts'
import type { StartOptions } from '../../src/core/engine.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { speak } from '../fixtures/scripted-run.ts'

/** What is asked of the model is `ask …`; it answers with ten words, one each 10 ms, after 50 ms. */
const answer = 'one two three four five six seven eight nine ten'
const stage = (more: object = {}) => ({ id: 'answer', model: 'm', system: 'Be brief.', prompt: '{{ input }}', ...more })
const chat = (more: object = {}, ofStage: object = {}) =>
  pipelineFrom({ name: 'chat', history: { turns: 20 }, stages: [stage(ofStage)], ...more })

/** Runs it, and gives what each call was asked. */
async function asked(pipeline: ReturnType<typeof chat>, options: Partial<StartOptions> = {}) {
  const clock = new VirtualClock()
  const requests: CallRequest[] = []
  const backend = scriptedBackend((request) => {
    requests.push(request)
    return speak(answer)
  })
  const engine = createEngine({ nodes: [{ name: 'n', backend, slots: 2, pool: 'default' }], clock })
  const run = engine.start(pipeline, { input: 'first', ...options })
  const reading = (async () => {
    for await (const _ of run.events);
  })()
  const record = await clock.until(run.result)
  await reading
  return { record, messages: requests.map(({ messages }) => messages), requests }
}
const at = (afterMs: number, input?: string) => ({ afterMs, ...(input !== undefined && { input }) })
const user = (content: string): ChatMessage => ({ role: 'user', content })
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content })
const system: ChatMessage = { role: 'system', content: 'Be brief.' }

describe('a signal with an input, in a pipeline with a history', () => {
  it('begins a turn at the first stage, whose prompt has what was said before', async () => {
    const { messages } = await asked(chat(), { interrupts: [at(85, 'second'), at(200, 'third')] })
    expect(messages).toEqual([
      [system, user('first')],
      [system, user('first'), assistant('one two three four…'), user('second')],
      [
        system,
        user('first'),
        assistant('one two three four…'),
        user('second'),
        assistant(expect.stringMatching(/^one two.*…$/) as unknown as string),
        user('third'),
      ],
    ])
  })

  it('is one message with an input before it that was not answered', async () => {
    const { messages } = await asked(chat(), { interrupts: [at(20, 'second'), at(40, 'third')] })
    expect(messages.at(-1)).toEqual([system, user('first\n\nsecond\n\nthird')])
  })

  it('shows a whole answer without the mark where the call was drained', async () => {
    const { messages } = await asked(chat({}, { policy: { response: 'drain' } }), { interrupts: [at(85, 'second')] })
    expect(messages.at(-1)).toEqual([system, user('first'), assistant(answer), user('second')])
  })

  it('goes where the policy says, with the new input', async () => {
    const pipeline = chat({ stages: [stage({ policy: { then: 'next' } }), stage({ id: 'more' })] })
    const { requests } = await asked(pipeline, { interrupts: [at(85, 'second')] })
    expect(requests.map((each) => [each.stage, each.messages.at(-1)!.content])).toEqual([
      ['answer', 'first'],
      ['more', 'second'],
    ])
  })

  it('leaves the turns of a false interrupt alone', async () => {
    const { messages, record } = await asked(chat({}, { policy: { response: { hold: { confirm: 20 } } } }), {
      interrupts: [at(85, 'second')],
    })
    expect(messages).toHaveLength(1)
    expect(record.output).toBe(answer)
  })

  it('keeps both inputs where a second signal confirms the first', async () => {
    const { messages } = await asked(chat({}, { policy: { response: { hold: { confirm: 100 } } } }), {
      interrupts: [at(85, 'second'), at(95, 'third')],
    })
    expect(messages.at(-1)).toEqual([system, user('first'), assistant('one two three four…'), user('second\n\nthird')])
  })

  it('restarts a next stage that was fired with the older input, and keeps both', async () => {
    const { messages } = await asked(chat({}, { policy: { response: 'race' } }), {
      interrupts: [at(55, 'second'), at(75, 'third')],
    })
    expect(messages.at(-1)!.at(-1)).toEqual(user('second\n\nthird'))
  })

  it('goes to where the run began', async () => {
    const { record } = await asked(chat({ stages: [stage(), stage({ id: 'more' })] }), {
      interrupts: [at(250, 'second')],
    })
    expect(record.visits!.map(({ stage: id, from }) => [id, from])).toEqual([
      ['answer', 'order'],
      ['more', 'order'],
      ['answer', 'start'],
      ['more', 'order'],
    ])
  })
})

describe('a signal without an input', () => {
  it('ends the run, in a pipeline with a history', async () => {
    const pipeline = chat({ stages: [stage(), stage({ id: 'more' })] })
    const { record } = await asked(pipeline, { interrupts: [at(85)] })
    expect(record).toMatchObject({ outcome: 'completed', output: 'one two three four' })
    expect(record.stages).toHaveLength(1)
  })
})

describe('a trigger that fires by itself', () => {
  it('goes to the next stage within the turn', async () => {
    const pipeline = chat({ stages: [stage({ policy: { trigger: { after: 85 } } }), stage({ id: 'more' })] })
    const { requests } = await asked(pipeline)
    expect(requests.map((each) => [each.stage, each.messages.at(-1)!.content])).toEqual([
      ['answer', 'first'],
      ['more', 'first'],
    ])
  })
})

describe('without a history', () => {
  it('a signal goes on as before: to the next stage, and input stays', async () => {
    const pipeline = chat({ history: undefined, stages: [stage(), stage({ id: 'more' })] })
    const { requests, messages } = await asked(pipeline, { interrupts: [at(85, 'second')] })
    expect(requests.map(({ stage: id }) => id)).toEqual(['answer', 'more'])
    expect(messages.at(-1)).toEqual([system, user('first')])
  })
})

describe('a history', () => {
  it('stands where `messages` says', async () => {
    const messages = [{ role: 'system', content: 'S' }, { history: null }, { role: 'user', content: 'Q: {{ input }}' }]
    const { messages: seen } = await asked(chat({ stages: [{ id: 'answer', model: 'm', messages }] }), {
      interrupts: [at(85, 'second')],
    })
    expect(seen.at(-1)).toEqual([
      { role: 'system', content: 'S' },
      user('first'),
      assistant('one two three four…'),
      user('Q: second'),
    ])
  })

  it('is left out of `messages` that do not say where', async () => {
    const messages = [{ role: 'user', content: '{{ input }}' }]
    const { messages: seen } = await asked(chat({ stages: [{ id: 'answer', model: 'm', messages }] }), {
      interrupts: [at(85, 'second')],
    })
    expect(seen.at(-1)).toEqual([user('second')])
  })

  it('has the newest turns that it has room for', async () => {
    const { messages } = await asked(chat({ history: { turns: 1 } }), {
      interrupts: [at(85, 'second'), at(200, 'third')],
    })
    expect(messages.at(-1)![1]).toEqual(user('second'))
    const { messages: none } = await asked(chat({ history: { tokens: 1 } }), { interrupts: [at(85, 'second')] })
    expect(none.at(-1)).toEqual([system, user('second')])
  })

  it('marks what was cut as the pipeline says', async () => {
    const { messages } = await asked(chat({ history: { turns: 5, mark: ' [cut]' } }), {
      interrupts: [at(85, 'second')],
    })
    expect(messages.at(-1)![2]).toEqual(assistant('one two three four [cut]'))
  })

  it('has nothing of a stage that is not delivered, or not to be remembered', async () => {
    const stages = [stage({ id: 'guard', deliver: 'off' }), stage({ id: 'filler', remember: 'off' }), stage()]
    const { messages, record } = await asked(chat({ stages }), { interrupts: [at(400, 'second')] })
    const [, , third, fourth] = messages
    expect(third).toEqual([system, user('first')])
    expect(fourth!.slice(1)).toEqual([
      user('first'),
      assistant(expect.stringMatching(/^one/) as unknown as string),
      user('second'),
    ])
    expect(record.stages.map(({ id, tokens }) => [id, tokens.delivered > 0]).slice(0, 3)).toEqual([
      ['guard', false],
      ['filler', true],
      ['answer', true],
    ])
  })
})

describe('bad input', () => {
  const refusal = (value: object): string => {
    try {
      chat(value)
    } catch (error) {
      return String((error as Error).message)
    }
    throw new Error('it was taken')
  }
  const withParts = (parts: object[]) => ({
    stages: [{ id: 'answer', model: 'm', messages: [...parts, user('{{ input }}')] }],
  })

  it.each([
    [
      'a place for turns without a history',
      { history: undefined, ...withParts([{ history: null }]) },
      'without a history',
    ],
    ['two places for turns', withParts([{ history: null }, { history: null }]), 'a second time'],
    ['something in that place', withParts([{ history: 5 }]), 'messages[0]'],
    ['a busy that is none', { busy: 'maybe' }, 'busy must be interrupt, queue or reject'],
    ['a history that does not say how much', { history: {} }, 'history'],
    ['a history that says it twice', { history: { turns: 1, tokens: 1 } }, 'history'],
    ['a stage of a reserved name', { stages: [stage({ id: 'start' })] }, 'reserved'],
    [
      'a loop to the start that nothing ends',
      { stages: [stage({ policy: { trigger: { after: 5 }, then: 'start' } })] },
      'loop',
    ],
    ['a delivery that is none', { stages: [stage({ deliver: 'on' })] }, 'deliver'],
  ])('%s is refused with its place', (_, value, said) => {
    expect(refusal(value)).toContain(said)
  })
})
