import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { msToNs } from '../../src/core/clock.ts'
import type { HostedRun } from '../../src/machines/start-run.ts'
import { host, scripted } from './hosted.ts'

/** Where the run is, and where its actors are. */
const stateOf = (run: HostedRun) => {
  const { run: of, stages, interrupts, wakes } = run.persist()
  const places = Object.entries({ ...stages, ...interrupts }).map(([id, { at }]) => [id, at])
  return [of.at, { ...Object.fromEntries(places), ...wakes }]
}

const pipeline = (policy: object) =>
  definePipeline({
    name: 'p',
    stages: [
      { id: 'a', model: 'm', prompt: 'x', policy },
      { id: 'b', model: 'm', prompt: 'y' },
    ],
  })

describe('the state of a run', () => {
  it('has an actor for what goes on, and none for what is over', async () => {
    const { run, clock } = host(pipeline({ response: { grace: 30 }, trigger: { signal: null, debounce: 20 } }), {
      backend: scripted(),
    })
    expect(stateOf(run)).toEqual(['running', { 'a.1': 'waiting' }])
    await clock.advance(msToNs(15))
    expect(stateOf(run)).toEqual(['running', { 'a.1': 'answering' }])
    void run.interrupt({ input: 'x' })
    expect(stateOf(run)).toEqual(['running', { 'a.1': 'answering', debounce: msToNs(35) }])
    await clock.advance(msToNs(20))
    expect(stateOf(run)).toEqual(['running', { 'a.1': 'answering', 'interrupt.1': 'timed' }])
    await clock.advance(msToNs(31))
    expect(stateOf(run)).toEqual(['running', { 'a.1': 'cancelling', 'interrupt.1': 'waiting' }])
    await clock.advance(msToNs(10))
    expect(stateOf(run)).toEqual(['running', { 'b.1': 'waiting' }])
    run.cancel('enough')
    expect(stateOf(run)).toEqual(['ending', { 'b.1': 'cancelling' }])
    await clock.until(run.result)
    expect(stateOf(run)).toEqual(['cancelled', {}])
  })

  it('waits where nothing is due: a drain, a race', async () => {
    for (const [response, handled] of [
      ['drain', { 'a.1': 'answering', 'interrupt.1': 'waiting' }],
      ['race', { 'a.1': 'answering', 'b.1': 'waiting', 'interrupt.1': 'waiting' }],
    ] as const) {
      const { run, clock } = host(pipeline({ response }), { backend: scripted() })
      await clock.advance(msToNs(15))
      void run.interrupt({ input: 'x' })
      expect(stateOf(run)).toEqual(['running', handled])
      await clock.until(run.result)
      expect(stateOf(run)).toEqual(['completed', {}])
    }
  })

  it('pauses between two attempts, and ends as failed', async () => {
    const stage = { id: 'a', model: 'm', prompt: 'x', timeout: { firstToken: 5 }, retry: { attempts: 2, pause: 40 } }
    const { run, clock } = host(definePipeline({ name: 'p', stages: [stage] }), { backend: scripted() })
    await clock.advance(msToNs(11))
    expect(stateOf(run)).toEqual(['running', { 'a.1': 'pausing' }])
    await clock.until(run.result)
    expect(stateOf(run)).toEqual(['failed', {}])
  })
})
