import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { msToNs } from '../../src/core/clock.ts'
import type { SignalAnswer } from '../../src/core/engine.ts'
import { Estimates } from '../../src/core/estimates.ts'
import type { Backend } from '../../src/core/ports.ts'
import { scriptedRun, speak } from '../fixtures/scripted-run.ts'
import { host, scripted, twenty } from './hosted.ts'

const one = (more: object = {}) =>
  definePipeline({ name: 'p', stages: [{ id: 'a', model: 'm', prompt: 'x', ...more }] })
const two = (policy: object = {}) =>
  definePipeline({
    name: 'p',
    stages: [
      { id: 'a', model: 'm', prompt: 'x', policy },
      { id: 'b', model: 'm', prompt: 'y' },
    ],
  })

describe('a call', () => {
  it('takes marks as the backend observed them, else as they come', async () => {
    const backend: Backend = {
      ...scripted(),
      generate: async (_, { clock, mark, token }) => {
        await new Promise<void>((resolve) => clock.schedule(msToNs(7), resolve))
        mark('connect-start', msToNs(3))
        mark('connected')
        token('hi')
        return { end: 'completed' }
      },
    }
    const { run, clock } = host(one(), { backend })
    await clock.advance(msToNs(50))
    expect((await clock.until(run.result)).stages[0]!.marks).toEqual(
      expect.arrayContaining([
        { name: 'connect-start', ms: 3 },
        { name: 'connected', ms: 7 },
        { name: 'first-token', ms: 7 },
        { name: 'last-token', ms: 7 },
        { name: 'settled', ms: 7 },
      ]),
    )
  })

  it('that generates more than the run may is stopped, has failed, and is not made again', async () => {
    const record = await scriptedRun(one({ retry: { attempts: 3, pause: 0, afterFirstToken: 'restart' } }), {
      script: twenty,
      settings: { outputLimits: { tokens: 3 } },
    }).finish()
    expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_OUTPUT_LIMIT' }, output: 'w w w ' })
    expect(record.stages).toMatchObject([{ settlement: 'failed', text: 'w w w ' }])
  })

  it('that passes a limit but ends by itself all the same is whole; what was not taken in cannot be', async () => {
    const deaf: Backend = {
      ...scripted(),
      generate: async (_, { clock, token }) => {
        for (const text of ['one ', 'two']) {
          await new Promise<void>((resolve) => clock.schedule(clock.now() + msToNs(10), resolve))
          token(text)
        }
        return { end: 'completed' }
      },
    }
    const settings = { nodes: [{ name: 'n', backend: deaf, slots: 1, pool: 'default' }] }
    const late = await scriptedRun(one({ timeout: { total: 15 } }), { settings }).finish()
    expect(late).toMatchObject({ outcome: 'completed', output: 'one two' })
    const cut = await scriptedRun(one(), { settings: { ...settings, outputLimits: { tokens: 1 } } }).finish()
    expect(cut).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_OUTPUT_LIMIT' }, output: 'one ' })
  })

  it('that passes a limit before its first token may be made again', async () => {
    const stage = { timeout: { firstToken: 5 }, retry: { attempts: 2, pause: 0 } }
    expect((await scriptedRun(one(stage), { script: twenty }).finish()).stages).toHaveLength(2)
    // The first limit it passed is its fault, though it takes its time to stop.
    const both = { ...stage, timeout: { firstToken: 5, total: 8 } }
    const { stages } = await scriptedRun(one(both), { script: twenty }).finish()
    expect(stages.map(({ error }) => error)).toEqual(
      Array(2).fill({
        code: 'CAESURA_E_TIMEOUT_FIRST_TOKEN',
        message: "stage a: no first token within 5 ms (5 ms after the call's start)",
      }),
    )
  })

  it('says how long it had run when a limit that counts from a later token was passed', async () => {
    const script = { tokens: ['a', 'b'], firstTokenMs: 10, tokenMs: 10, hang: true }
    const stall = await scriptedRun(one({ timeout: { stall: 15 } }), { script }).finish()
    expect(stall.error!.message).toBe(
      "stage a: no next token within 15 ms (35 ms after the call's start; 2 pieces of text had come)",
    )
    const total = await scriptedRun(one({ timeout: { total: 15 } }), { script }).finish()
    expect(total.error!.message).toBe(
      "stage a: no end within 15 ms (15 ms after the call's start; 1 piece of text had come)",
    )
  })

  it('whose executor breaks its promise has failed', async () => {
    const { environment } = host(one(), { backend: scripted() })
    const executor = { ...environment.executor, execute: () => Promise.reject(new Error('out of order')) }
    const { run, clock } = host(one(), { backend: scripted(), executor })
    expect(await clock.until(run.result)).toMatchObject({
      outcome: 'failed',
      error: { code: 'CAESURA_E_INTERNAL', message: 'out of order' },
      stages: [{ settlement: 'failed' }],
    })
  })
})

describe('a run', () => {
  it('that breaks ends every call, then fails', async () => {
    const estimates = new Estimates()
    estimates.observe = () => {
      throw new Error('cannot learn')
    }
    const reasons: string[] = []
    const backend: Backend = {
      ...scripted(),
      generate: (request, context) => {
        context.signal.addEventListener('abort', () => reasons.push((context.signal.reason as Error).message))
        return scripted(request.stage === 'a' ? { ...twenty, tokens: ['w'] } : twenty).generate(request, context)
      },
    }
    const { run, clock, environment } = host(two({ trigger: { after: 5 }, response: 'race', carry: 'none' }), {
      backend,
      estimates,
    })
    const record = await clock.until(run.result)
    expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_INTERNAL', message: 'cannot learn' } })
    expect(reasons).toEqual(['the run has stopped'])
    expect(environment.inFlight.size).toBe(0)
    expect(clock.pending).toBe(0)
  })

  it('tells its host of its steps, and takes signals under a ticket', async () => {
    const { run, clock, environment } = host(two(), { backend: scripted() })
    let steps = 0
    run.onStep(() => (steps += 1))
    await clock.advance(msToNs(15))
    expect(steps).toBeGreaterThan(0)
    const answers: SignalAnswer[] = []
    environment.tickets.set(7, (answer) => answers.push(answer))
    run.signal(7, { input: 'x' })
    expect(answers).toMatchObject([{ accepted: true, decision: 'abort' }])
    environment.tickets.set(8, (answer) => answers.push(answer))
    run.signal(8, {})
    const record = await clock.until(run.result)
    expect(record.interrupts.map(({ input }) => input)).toEqual(['x', undefined])
    const { interrupts } = environment.journal
    expect(interrupts.map(({ ticket, cancelsAtOnce }) => [ticket, cancelsAtOnce])).toEqual([
      [7, true],
      [8, undefined],
    ])
    expect(record.stages[0]!.marks).toContainEqual({ name: 'interrupt', ms: 15 })
    expect(environment.tickets.size).toBe(0)
    expect(answers).toHaveLength(2)
  })

  it('that is left to another owner sends nothing any more', async () => {
    const planned = new Set([{ afterMs: 40 }])
    const { run, clock } = host(two(), { backend: scripted(), planned })
    await clock.advance(msToNs(15))
    expect(run.persist()).toMatchObject({ run: { at: 'running' } })
    run.abandon()
    await clock.advance(msToNs(500))
    expect(planned.size).toBe(1)
    expect(clock.pending).toBe(0)
  })

  it('can be read from any event on', async () => {
    const { run, finish } = scriptedRun(two(), { script: speak('one two') })
    await finish()
    const read: number[] = []
    for await (const { seq } of run.eventsAfter(3)) read.push(seq)
    expect(read[0]).toBe(4)
  })
})
