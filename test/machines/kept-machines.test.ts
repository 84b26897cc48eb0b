import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createActor } from 'xstate'
import { msToNs } from '../../src/core/clock.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { bindEnvironment } from '../../src/machines/environment.ts'
import { keptMachinesSchema, machinesOf, machinesOfSnapshot, snapshotOf } from '../../src/machines/kept-machines.ts'
import { runMachine } from '../../src/machines/run.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { environmentFor, scripted } from './hosted.ts'

const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

/** A run of two stages whose first attempt fails, with signals, looked at in a moment. */
const moments = fc.record({
  response: fc.constantFrom(
    'drain',
    'abort',
    'overlap',
    'race',
    { grace: 25 },
    { boundary: { cap: 30 } },
    { hold: { confirm: 20 } },
  ),
  debounce: fc.constantFrom(0, 15),
  signals: fc.array(fc.nat(150), { maxLength: 3 }),
  fails: fc.boolean(),
  moment: fc.nat(400),
})

describe('what is kept of a run’s machines', () => {
  it('is what XState keeps of them, in every moment, and they are built from it as from that', async () => {
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(moments, async ({ response, debounce, signals, fails, moment }) => {
        const clock = new VirtualClock()
        const fail = { code: 'CAESURA_E_NO_SERVER', message: 'x', afterTokens: 0, retryable: true } as const
        const script = { tokens: Array(12).fill('w. '), firstTokenMs: 10, tokenMs: 10, abortMs: 5 }
        const environment = environmentFor(
          pipelineFrom({
            name: 'p',
            stages: [
              {
                ...{ id: 'a', model: 'm', prompt: 'x', retry: { attempts: 2, pause: 40 } },
                policy: { response, trigger: { signal: null, debounce } },
              },
              { id: 'b', model: 'm', prompt: 'y' },
            ],
          }),
          { clock, backend: scripted(({ attempt }) => (fails && attempt === 1 ? { ...script, fail } : script)) },
        )
        const actor = createActor(runMachine)
        bindEnvironment(actor.system, environment)
        actor.start()
        actor.send({ type: 'start' })
        for (const at of signals) clock.schedule(msToNs(at), () => actor.send({ type: 'signal', input: 'i' }))
        await clock.advance(msToNs(moment))
        const kept = machinesOf(actor)
        const persisted = asJson(actor.getPersistedSnapshot()) as { status: string }
        // Nobody goes on with a run that has ended: what is left of its actors does not matter.
        if (persisted.status === 'done') expect(snapshotOf(kept)).toMatchObject({ status: 'done', value: kept.run.at })
        else expect(asJson(snapshotOf(kept))).toEqual(persisted)
        expect(machinesOfSnapshot(persisted)).toEqual(asJson(kept))
        expect(keptMachinesSchema.parse(asJson(kept))).toEqual(asJson(kept))
        for (const { at } of [kept.run, ...Object.values(kept.stages), ...Object.values(kept.interrupts)]) seen.add(at)
        if (Object.keys(kept.wakes).length > 0) seen.add('wakes')
        actor.stop()
      }),
      { numRuns: 600 },
    )
    const places = ['running', 'completed', 'waiting', 'answering', 'cancelling', 'pausing', 'timed', 'wakes']
    expect([...seen]).toEqual(expect.arrayContaining(places))
  })

  it.each([
    undefined,
    null,
    5,
    {},
    { value: 'running', context: null },
    { value: 'running', context: {}, children: 3 },
  ])('is nothing where no run was kept: %j', (snapshot) => expect(machinesOfSnapshot(snapshot)).toBeUndefined())
})
