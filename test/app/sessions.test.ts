import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createEngine, type EngineSettings } from '../../src/app/compose.ts'
import type { CallRequest } from '../../src/core/call.ts'
import { msToNs } from '../../src/core/clock.ts'
import type { Said } from '../../src/core/engine.ts'
import { CaesuraError } from '../../src/core/errors.ts'
import type { Turn } from '../../src/core/turn.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { memorySessions } from '../../src/records/stores/memory-sessions.ts'
import { sqliteStore } from '../../src/records/stores/sqlite.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { speak } from '../fixtures/scripted-run.ts'

const chat = (more: object = {}, policy: object = {}) =>
  pipelineFrom({
    name: 'chat',
    history: { turns: 50 },
    stages: [{ id: 'answer', model: 'm', prompt: '{{ input }}', policy }],
    ...more,
  })

/** An engine on one node in virtual time; a model that says five words, one each 10 ms after 50 ms. */
function talk(settings: Partial<EngineSettings> = {}) {
  const clock = new VirtualClock()
  const requests: CallRequest[] = []
  const backend = scriptedBackend((request) => {
    requests.push(request)
    return speak('one two three four five')
  })
  const engine = createEngine({ nodes: [{ name: 'n', backend, slots: 2, pool: 'default' }], clock, ...settings })
  onTestFinished(() => engine.close())
  const read = <S extends Said>(said: S): S => {
    void (async () => {
      for await (const _ of said.events);
    })().catch(() => undefined)
    return said
  }
  const until = (ms: number) => new Promise<void>((resolve) => void clock.schedule(msToNs(ms), resolve))
  return { clock, engine, requests, read, until: (ms: number) => clock.until(until(ms)) }
}
const told = (turns: readonly Turn[]) => turns.map(({ input, text, end, cut }) => [input, text, end, cut])
const five = 'one two three four five'

describe('a session', () => {
  it('shows the next run what was said before', async () => {
    const { engine, clock, requests } = talk()
    const session = engine.session(chat(), 's')
    await clock.until(session.say('first').result)
    const record = await clock.until(session.say('second').result)
    expect(requests.at(-1)!.messages).toEqual([
      { role: 'user', content: 'first' },
      { role: 'assistant', content: five },
      { role: 'user', content: 'second' },
    ])
    expect(told(await session.turns())).toEqual([
      ['first', five, 'answered', undefined],
      ['second', five, 'answered', undefined],
    ])
    expect(record).toMatchObject({ session: 's', input: 'second' })
  })

  it('shares its turns with runs that were started with its id', async () => {
    const { engine, clock, requests } = talk()
    await clock.until(engine.start(chat(), { input: 'first', session: 's' }).result)
    await clock.until(engine.session(chat(), 's').say('second').result)
    expect(requests.at(-1)!.messages).toHaveLength(3)
  })

  it('interrupts the live run, whose next turn it is', async () => {
    const { engine, clock, read, until } = talk()
    const session = engine.session(chat(), 's')
    const first = read(session.say('first'))
    await until(75)
    const second = session.say('second')
    expect(second.runId).toBe(first.runId)
    expect(await clock.until(second.became)).toMatchObject({ kind: 'signal', isSeen: true, answer: { accepted: true } })
    expect((await second.answeredIn).runId).toBe(first.runId)
    await clock.until(first.result)
    expect(told(await session.turns())).toEqual([
      ['first', 'one two three', 'interrupted', true],
      ['second', five, 'answered', undefined],
    ])
  })

  it.each([
    ['a filter refused', {}, { trigger: { signal: null, minimum: { words: 2 } } }],
    ['signals: ignore refused', {}, { trigger: { never: null, signals: 'ignore' } }],
    ['ended the run', {}, { then: 'end' }],
    ['came too often', { maxInterrupts: 1 }, { response: 'drain', then: 'end' }],
  ])('makes an input that %s the next run', async (_, more, policy) => {
    const { engine, clock, read, until, requests } = talk()
    const session = engine.session(chat(more, policy), 's')
    read(session.say('first'))
    await until(75)
    const said = [session.say('second'), session.say('third')]
    for (const each of said) expect(await clock.until(each.became)).toMatchObject({ kind: 'signal', isSeen: false })
    const runs = await Promise.all(said.map((each) => each.answeredIn))
    for (const run of runs) expect((await clock.until(run.result)).outcome).toBe('completed')
    expect((await session.turns()).map(({ input }) => input)).toEqual(['first', 'second', 'third'])
    expect(requests.at(-1)!.messages.at(-1)!.content).toBe('third')
  })

  it('makes an input that a hold took for a false interrupt the next run', async () => {
    const { engine, clock, read, until } = talk()
    const session = engine.session(chat({}, { response: { hold: { confirm: 10 } } }), 's')
    read(session.say('first'))
    await until(75)
    const second = session.say('second')
    expect(await clock.until(second.became)).toMatchObject({ isSeen: false, answer: { decision: 'resume' } })
    await clock.until((await second.answeredIn).result)
    expect(told(await session.turns())).toEqual([
      ['first', five, 'answered', undefined],
      ['second', five, 'answered', undefined],
    ])
  })

  it('puts an input that was refused before the one that was not', async () => {
    const { engine, clock, read, until } = talk()
    const session = engine.session(chat({}, { trigger: { signal: null, minimum: { words: 2 } } }), 's')
    const first = read(session.say('first'))
    await until(75)
    const second = session.say('second')
    const third = session.say('the third')
    expect(await clock.until(second.became)).toMatchObject({ isSeen: true, answer: { accepted: false } })
    expect(await clock.until(third.became)).toMatchObject({ isSeen: true, answer: { accepted: true } })
    await clock.until(first.result)
    expect(told(await session.turns())).toEqual([
      ['first', 'one two three', 'interrupted', true],
      ['second', undefined, 'interrupted', undefined],
      ['the third', five, 'answered', undefined],
    ])
  })

  it('with busy: queue lets the live run end first', async () => {
    const { engine, clock } = talk()
    const session = engine.session(chat({ busy: 'queue' }), 's')
    const said = ['first', 'second', 'third'].map((input) => session.say(input))
    expect(await Promise.all(said.map(({ became }) => became))).toEqual([
      { kind: 'run' },
      { kind: 'queue' },
      { kind: 'queue' },
    ])
    const records = await clock.until(Promise.all(said.map(({ result }) => result)))
    expect(records.map(({ input, runId }) => [input, runId])).toEqual(
      ['first', 'second', 'third'].map((input, at) => [input, said[at]!.runId]),
    )
    expect(told(await session.turns()).map(([input, text]) => [input, text])).toEqual([
      ['first', five],
      ['second', five],
      ['third', five],
    ])
  })

  it('never lets an input overtake one that waits for the end of the live run', async () => {
    const { engine, clock } = talk()
    const session = engine.session(chat(), 's')
    session.say('first')
    session.say('second', { busy: 'queue' })
    const third = session.say('third')
    expect(await third.became).toEqual({ kind: 'queue' })
    await clock.until(third.result)
    expect((await session.turns()).map(({ input }) => input)).toEqual(['first', 'second', 'third'])
  })

  it('with busy: reject refuses while a run is live, and not after', async () => {
    const { engine, clock } = talk()
    const session = engine.session(chat({ busy: 'reject' }), 's')
    const first = session.say('first')
    expect(() => session.say('second')).toThrow(expect.objectContaining({ code: 'CAESURA_E_SESSION_BUSY' }))
    await clock.until(first.result)
    await clock.until(session.say('third').result)
    expect((await session.turns()).map(({ input }) => input)).toEqual(['first', 'third'])
  })

  it('keeps the turn of a run that was cancelled, with what was heard', async () => {
    const { engine, clock, read, until } = talk()
    const session = engine.session(chat(), 's')
    const first = read(session.say('first'))
    await until(75)
    first.cancel()
    await clock.until(first.result)
    expect(told(await session.turns())).toEqual([['first', 'one two three', 'cancelled', true]])
  })

  it('cancels a run that waits when its turn has come, and keeps its input', async () => {
    const { engine, clock } = talk()
    const session = engine.session(chat({ busy: 'queue' }), 's')
    const first = session.say('first')
    const second = session.say('second')
    second.cancel('never mind')
    expect((await clock.until(first.result)).outcome).toBe('completed')
    expect(await clock.until(second.result)).toMatchObject({ outcome: 'cancelled', cancelReason: 'never mind' })
    expect((await session.turns()).map(({ input, end }) => [input, end])).toEqual([
      ['first', 'answered'],
      ['second', 'cancelled'],
    ])
  })

  it('is deleted with what is live in it, and nothing of it comes back', async () => {
    const { engine, clock, read, until } = talk()
    const session = engine.session(chat({ busy: 'queue' }), 's')
    const first = read(session.say('first'))
    const second = session.say('second')
    await until(75)
    expect(await session.delete()).toBe(true)
    expect((await clock.until(first.result)).outcome).toBe('cancelled')
    await expect(second.result).rejects.toMatchObject({ code: 'CAESURA_E_SESSION_UNKNOWN' })
    expect(await session.turns()).toEqual([])
    expect(await session.delete()).toBe(false)
  })

  it('belongs to one tenant', async () => {
    const { engine, clock } = talk()
    await clock.until(engine.session(chat(), 's', { tenant: 'one' }).say('first').result)
    const other = engine.session(chat(), 's', { tenant: 'two' })
    const unknown = expect.objectContaining({ code: 'CAESURA_E_SESSION_UNKNOWN' })
    expect(() => other.say('second')).toThrow(unknown)
    expect(() => engine.start(chat(), { input: 'x', session: 's' })).toThrow(unknown)
    await expect(other.turns()).rejects.toEqual(unknown)
    await expect(other.delete()).rejects.toEqual(unknown)
  })

  it('keeps turns of a pipeline without a history, and shows them to nobody', async () => {
    const { engine, clock, requests } = talk()
    const session = engine.session(chat({ history: undefined }), 's')
    await clock.until(session.say('first').result)
    await clock.until(session.say('second').result)
    expect((await session.turns()).map(({ input }) => input)).toEqual(['first', 'second'])
    expect(requests.at(-1)!.messages).toHaveLength(1)
  })

  it('is in the records file, where there is one', async () => {
    const store = sqliteStore(':memory:')
    const { engine, clock } = talk({ store })
    await clock.until(engine.session(chat(), 's').say('first').result)
    expect(store.sessions.read('s')?.turns).toMatchObject([{ input: 'first', text: five }])
  })

  it('goes on while its store fails, and writes what it could not', async () => {
    const sessions = memorySessions()
    let isAway = false
    const write: typeof sessions.write = (...turn) => {
      if (isAway) throw new CaesuraError('CAESURA_E_RECORDS', 'the disk is full')
      return sessions.write(...turn)
    }
    const { engine, clock, read, until } = talk({ sessions: { ...sessions, write } })
    const session = engine.session(chat(), 's')
    isAway = true
    const first = read(session.say('first'))
    await until(75)
    isAway = false
    await clock.until(first.result)
    expect(told(await session.turns())).toEqual([['first', five, 'answered', undefined]])
    isAway = true
    await expect(clock.until(session.say('second').result)).rejects.toMatchObject({ code: 'CAESURA_E_RECORDS' })
  })

  it('ends what waits when the engine closes: no input is lost', async () => {
    const { engine, clock } = talk()
    const session = engine.session(chat({ busy: 'queue' }), 's')
    const said = ['first', 'second'].map((input) => session.say(input))
    await clock.until(engine.close())
    expect((await Promise.all(said.map(({ result }) => result))).map(({ outcome }) => outcome)).toEqual([
      'cancelled',
      'cancelled',
    ])
    expect((await session.turns()).map(({ input }) => input)).toEqual(['first', 'second'])
  })

  it.each([
    ['an id of 10 kB', 'x'.repeat(10_000), undefined],
    ['an empty id', ' ', undefined],
    ['an id that is no text', 5, undefined],
    ['a tenant that is none', 's', { tenant: 'a b' }],
    ['an unknown option', 's', { tenants: 'a' }],
  ])('is refused with %s', (_, id, options) => {
    const { engine } = talk()
    expect(() => engine.session(chat(), id as string, options as object)).toThrow(
      expect.objectContaining({ code: 'CAESURA_E_USAGE' }),
    )
  })

  it.each([
    ['no text', 5, undefined],
    ['a busy that is none', 'x', { busy: 'maybe' }],
  ])('refuses to say %s', (_, input, options) => {
    const { engine } = talk()
    expect(() => engine.session(chat(), 's').say(input as string, options as object)).toThrow(
      expect.objectContaining({ code: 'CAESURA_E_USAGE' }),
    )
  })
})

describe('a random conversation', () => {
  const response = fc.constantFrom<unknown>(
    'drain',
    'abort',
    'overlap',
    'race',
    { grace: 20 },
    { boundary: { cap: 30 } },
    { hold: { confirm: 30 } },
    { hold: { confirm: 30, otherwise: 'abort' } },
    'adaptive',
  )
  const trigger = fc.constantFrom<unknown>(
    'signal',
    { signal: null, minimum: { words: 2 } },
    { signal: null, debounce: 15 },
    { signal: null, cooldown: 40 },
    { never: null, signals: 'ignore' },
    { after: 80 },
  )
  const policy = fc.record({
    trigger,
    response,
    carry: fc.constantFrom('none', 'all', 'sentences', 'delivered'),
    then: fc.constantFrom(undefined, 'start', 'again', 'next', 'end'),
    limit: fc.constant(3),
  })
  const step = fc.record({
    afterMs: fc.nat(90),
    what: fc.constantFrom('say', 'say', 'say', 'say', 'signal', 'cancel'),
    words: fc.integer({ min: 1, max: 3 }),
    busy: fc.constantFrom(undefined, undefined, undefined, 'queue' as const, 'interrupt' as const),
  })
  const script = fc.record({
    count: fc.nat(6),
    firstTokenMs: fc.nat(60),
    tokenMs: fc.nat(15),
    fail: fc.constantFrom(false, false, false, true),
  })

  it('loses, doubles and reorders no turn, and a prompt has them all', async () => {
    const cases = fc.asyncProperty(
      fc.array(policy, { minLength: 1, maxLength: 2 }),
      fc.array(step, { minLength: 1, maxLength: 10 }),
      fc.array(script, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 4 }),
      async (policies, steps, scripts, maxInterrupts) => {
        const clock = new VirtualClock()
        const requests: CallRequest[] = []
        const backend = scriptedBackend((request) => {
          const { count, fail, ...times } = scripts[requests.push(request) % scripts.length]!
          return {
            tokens: Array(count).fill('Word. '),
            ...times,
            abortMs: 3,
            ...(fail && { fail: { code: 'CAESURA_E_SERVER', message: 'broken', afterTokens: 1, retryable: false } }),
          }
        })
        const engine = createEngine({ nodes: [{ name: 'n', backend, slots: 1, pool: 'default' }], clock })
        const stages = policies.map((each, index) => ({
          id: `s${index}`,
          model: 'm',
          prompt: '{{ input }}',
          policy: JSON.parse(JSON.stringify(each)) as object,
        }))
        const pipeline = readable({ name: 'p', history: { turns: 1000 }, maxInterrupts, stages })
        if (pipeline === undefined) return
        const session = engine.session(pipeline, 's')
        const said: { input: string; run: Said }[] = []
        for (const [index, { afterMs, what, words, busy }] of steps.entries()) {
          if (what === 'say') {
            const input = Array(words).fill(`i${index}`).join(' ')
            const run = session.say(input, busy === undefined ? {} : { busy })
            said.push({ input, run })
            void (async () => {
              for await (const _ of run.events);
            })()
          } else if (what === 'signal') void said.at(-1)?.run.interrupt()
          else said.at(-1)?.run.cancel()
          await clock.until(new Promise<void>((resolve) => void clock.schedule(clock.now() + msToNs(afterMs), resolve)))
        }
        for (const { run } of said) await clock.until((await clock.until(run.answeredIn)).result)
        const turns = await session.turns()
        const inputs = said.map(({ input }) => input)
        expect(turns.map(({ input }) => input)).toEqual(inputs)
        expect(turns.every(({ end }) => end !== undefined)).toBe(true)
        expect(new Set(turns.map(({ runId, number }) => `${runId} ${number}`)).size).toBe(turns.length)
        // A prompt has every input up to its own, each once and in order.
        for (const { messages } of requests) {
          const asked = messages.filter(({ role }) => role === 'user').flatMap(({ content }) => content.split('\n\n'))
          expect(asked).toEqual(inputs.slice(0, asked.length))
        }
        await engine.close()
      },
    )
    await fc.assert(cases, { numRuns: 300 })
  }, 60_000)
})

/** Undefined for a policy whose parts contradict each other. */
function readable(value: object) {
  try {
    return pipelineFrom(value)
  } catch {
    return undefined
  }
}
