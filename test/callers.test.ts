import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createEngine, definePipeline } from '../src/app/compose.ts'
import type { Backend, Node } from '../src/core/ports.ts'
import { scriptedBackend } from '../src/nodes/backends/scripted.ts'
import { speak, twoStages } from './fixtures/scripted-run.ts'

// biome-ignore lint/suspicious/noExplicitAny: as a program without types calls
type Untyped = any

const MIB = 1_048_576
const usage = (more: object = {}) => expect.objectContaining({ code: 'CAESURA_E_USAGE', ...more })
const at = (path: string) => usage({ place: expect.objectContaining({ path }) })

const slow = speak('one two three four five six seven', { firstTokenMs: 5, tokenMs: 20 })
const node = (backend: Untyped = scriptedBackend(slow), name = 'n') =>
  ({ name, slots: 2, pool: 'default', backend }) as Node

describe('an engine that is called without types', () => {
  it('refuses a signal that is none, and the run goes on as if it had not been', async () => {
    await using engine = createEngine({ nodes: [node()] })
    const run: Untyped = engine.start(twoStages(), { input: 'i' })
    for (const [signal, path] of [
      [{ input: 5 }, 'signal.input'],
      [{ input: null }, 'signal.input'],
      [{ input: ['a'] }, 'signal.input'],
      [{ text: 'a' }, 'signal.text'],
      ['stop', 'signal'],
      [{ input: 'a'.repeat(MIB + 1) }, 'signal.input'],
    ] as const)
      await expect(run.interrupt(signal)).rejects.toEqual(at(path))
    expect(await run.interrupt({ input: 'a'.repeat(MIB - 200) })).toMatchObject({ accepted: true })
    expect(() => run.cancel(5)).toThrow(at('reason'))
    expect(() => run.eventsAfter('1')).toThrow(at('seq'))
    expect(() => run.eventsAfter(-1)).toThrow(at('seq'))
    const record = await run.result
    expect(record.interrupts).toHaveLength(1)
    expect(record.outcome).toBe('completed')
    await expect(run.interrupt({ input: 5 })).rejects.toEqual(at('signal.input'))
  })

  it('takes a signal that says nothing in any way', async () => {
    await using engine = createEngine({ nodes: [node()] })
    const run: Untyped = engine.start(twoStages({ response: 'drain' }), {
      input: 'i',
      session: undefined,
      vars: undefined,
    } as Untyped)
    for (const signal of [undefined, null, {}, { input: undefined }])
      expect(await run.interrupt(signal)).toMatchObject({ accepted: true })
    run.cancel(undefined)
    expect(await run.result).toMatchObject({ outcome: 'cancelled', cancelReason: 'cancelled' })
  })

  it.each<[unknown, string]>([
    [undefined, 'options'],
    ['hello', 'options'],
    [{}, 'options.input'],
    [{ input: 5 }, 'options.input'],
    [{ input: 'a'.repeat(MIB + 1) }, 'options.input'],
    [{ input: 'i', vars: 'a' }, 'options.vars'],
    [{ input: 'i', vars: { a: 5 } }, 'options.vars.a'],
    [{ input: 'i', vars: { a: 'a'.repeat(MIB + 1) } }, 'options.vars.a'],
    [{ input: 'i', signals: {} }, 'options.signals'],
    [{ input: 'i', interrupts: [{ afterMs: Number.NaN }] }, 'options.interrupts[0].afterMs'],
    [{ input: 'i', interrupts: [], signals: [] }, 'options.signals'],
    [{ input: 'i', signals: [{ input: 'x' }] }, 'options.signals[0]'],
    [{ input: 'i', signals: [{ afterMs: Number.NaN }] }, 'options.signals[0].afterMs'],
    [{ input: 'i', signals: [{ afterMs: 1, afterTokens: 1 }] }, 'options.signals[0]'],
    [{ input: 'i', signals: [{ afterTokens: 1, input: 5 }] }, 'options.signals[0].input'],
    [{ input: 'i', signal: true }, 'options.signal'],
    [{ input: 'i', runId: 5 }, 'options.runId'],
    [{ input: 'i', session: 5 }, 'options.session'],
    [{ input: 'i', trace: { traceId: 'x' } }, 'options.trace'],
    [{ input: 'i', experiment: { name: 'x' } }, 'options.experiment'],
    [{ input: 'i', sesion: 's' }, 'options.sesion'],
  ])('starts nothing with wrong options (case %#)', async (options, path) => {
    await using engine = createEngine({ nodes: [node()] })
    expect(() => engine.start(twoStages(), options as Untyped)).toThrow(at(path))
  })

  it.each([
    undefined,
    null,
    'draft-refine',
    {},
    { name: 'p', stages: [] },
    { name: 'p', stages: [{ id: 'a', model: 'm', prompt: 'p' }] },
  ])('starts no pipeline that was not checked: %j', async (pipeline) => {
    await using engine = createEngine({ nodes: [node()] })
    expect(() => engine.start(pipeline as Untyped, { input: 'i' })).toThrow(at('pipeline'))
  })

  it('is not made of what are no nodes', () => {
    for (const wrong of [
      null,
      {},
      { name: 'n', slots: 1 },
      { name: '', slots: 1, backend: scriptedBackend(slow) },
      { name: 'n', slots: 1, backend: {} },
    ])
      expect(() => createEngine({ nodes: [wrong as Untyped] })).toThrow(
        expect.objectContaining({ code: 'CAESURA_E_CONFIG', place: expect.objectContaining({ path: 'nodes[0]' }) }),
      )
  })

  it('takes whatever it is given, or refuses it with the code: nothing else', async () => {
    await using engine = createEngine({ nodes: [node(scriptedBackend(speak('a', { firstTokenMs: 0, tokenMs: 0 })))] })
    const value = fc.anything({ maxDepth: 2 })
    await fc.assert(
      fc.asyncProperty(
        fc.record(
          { input: fc.oneof(fc.string(), value), vars: value, signals: value, session: value },
          { requiredKeys: [] },
        ),
        value,
        async (options, signal) => {
          let run: Untyped
          try {
            run = engine.start(twoStages(), options as Untyped)
          } catch (error) {
            expect((error as { errors?: unknown[] }).errors ?? [error]).toContainEqual(usage())
            return
          }
          await run
            .interrupt(signal)
            .catch((error: { errors?: unknown[] }) => expect(error.errors ?? [error]).toContainEqual(usage()))
          run.cancel()
          const { outcome, error } = await run.result
          // A prompt may be empty, where the input is.
          if (outcome === 'failed') expect(error.code).not.toBe('CAESURA_E_INTERNAL')
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('closing', () => {
  const onePipeline = definePipeline({ name: 'one', stages: [{ id: 'a', model: 'm', prompt: '{{ input }}' }] })
  const deaf = (over: Partial<Backend> = {}): Untyped => ({
    ...{ kind: 'deaf', generate: () => new Promise(() => {}), close: async () => {} },
    ...over,
  })
  const named = (message: RegExp) =>
    expect.objectContaining({ code: 'CAESURA_E_BACKEND', message: expect.stringMatching(message) })

  it('ends with a backend that never does, names it, and closes the rest', async () => {
    let closed = 0
    const other = {
      ...scriptedBackend(slow),
      close: async () => {
        closed += 1
      },
    }
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
    const mute = deaf({
      generate: () => {
        ask()
        return new Promise(() => {})
      },
    })
    const engine = createEngine({ nodes: [node(mute, 'first'), node(other, 'second')], closeWithinMs: 20 })
    const run = engine.start(onePipeline, { input: 'i' })
    await asked
    await expect(engine.close()).rejects.toEqual(
      named(/^the backend deaf of the node first has not ended a call that was told to stop, within 20 ms$/),
    )
    expect(closed).toBe(1)
    const record = await run.result
    expect(record).toMatchObject({
      outcome: 'cancelled',
      cancelReason: 'the engine is closing',
      stages: [{ node: 'first', settlement: 'failed', error: { code: 'CAESURA_E_BACKEND' } }],
    })
  })

  it('takes a backend that cannot list its models, and cancels a run while one takes its time to', async () => {
    const backend = { ...scriptedBackend(slow), takesAnyModel: false }
    const { models: _, ...mute } = backend
    await using engine = createEngine({ nodes: [node(mute, 'first'), node(mute, 'second')] })
    expect(await engine.start(onePipeline, { input: 'i' }).result).toMatchObject({ outcome: 'completed' })
    const endless = { ...backend, models: () => new Promise(() => {}) }
    await using waiting = createEngine({ nodes: [node(endless, 'first'), node(mute, 'second')] })
    const run = waiting.start(onePipeline, { input: 'i' })
    const startedAt = performance.now()
    run.cancel('enough')
    expect(await run.result).toMatchObject({ outcome: 'cancelled', cancelReason: 'enough' })
    // A list is waited for 3 s.
    expect(performance.now() - startedAt).toBeLessThan(2000)
  })

  it('ends with a backend that never closes, or throws when it does', async () => {
    const never = createEngine({ nodes: [node(deaf({ close: () => new Promise(() => {}) }))], closeWithinMs: 20 })
    await expect(never.close()).rejects.toEqual(named(/^the backend deaf of the node n has not closed, within 20 ms$/))
    const throws = () => {
      throw new Error('stuck')
    }
    const both = createEngine({
      nodes: [node(deaf({ close: throws }), 'a'), node(deaf({ close: throws }), 'b')],
      closeWithinMs: 20,
    })
    await expect(both.close()).rejects.toMatchObject({ errors: [named(/stuck/), named(/stuck/)] })
  })

  it('takes a backend whose close returns nothing', async () => {
    const engine = createEngine({ nodes: [node(deaf({ close: (() => undefined) as Untyped }))], closeWithinMs: 20 })
    await engine.close()
  })
})
