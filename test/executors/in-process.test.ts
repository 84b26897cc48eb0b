import { describe, expect, it } from 'vitest'
import { type Script, scriptedBackend } from '../../src/backends/scripted.ts'
import type { CallRequest } from '../../src/core/call.ts'
import { msToNs, nsToMs } from '../../src/core/clock.ts'
import { CallCancelled } from '../../src/core/errors.ts'
import type { Node } from '../../src/core/ports.ts'
import { inProcessExecutor } from '../../src/executors/in-process.ts'
import { VirtualClock } from '../../src/simulation/virtual-clock.ts'

const ten: Script = { tokens: ['x'], firstTokenMs: 10 }
const node = (name: string, slots: number, models?: string[], script: Script = ten): Node => ({
  name,
  slots,
  pool: 'default',
  backend: scriptedBackend(script),
  ...(models && { models }),
})

function bench(nodes: Node[]) {
  const clock = new VirtualClock()
  const executor = inProcessExecutor(nodes)
  const log: string[] = []
  const call = (callId: string, more: Partial<CallRequest> = {}) => {
    const controller = new AbortController()
    const request: CallRequest = {
      callId,
      runId: 'r',
      stage: 's',
      attempt: 1,
      model: 'm',
      messages: [],
      options: {},
      placement: 'any',
      ...more,
    }
    const observer = {
      mark: (name: string) => {
        if (name === 'slot-acquired') log.push(`${callId} at ${nsToMs(clock.now())}`)
      },
      token: () => undefined,
      placed: ({ name }: { name: string }) => log.push(`${callId} on ${name}`),
    }
    return { controller, end: executor.execute(request, { clock, signal: controller.signal, observer }) }
  }
  return { clock, executor, call, log }
}

describe('the executor in process', () => {
  it('runs as many calls at once as a node has slots, the others in the order in which they came', async () => {
    const { clock, call, log } = bench([node('n', 2)])
    const calls = ['a', 'b', 'c', 'd', 'e'].map((id) => call(id))
    await clock.until(Promise.all(calls.map(({ end }) => end)))
    expect(log.filter((line) => line.includes(' at '))).toEqual(['a at 0', 'b at 0', 'c at 10', 'd at 10', 'e at 20'])
  })

  it('never sends a call that was cancelled while it waited, and gives its place to the next', async () => {
    const { clock, call, log } = bench([node('n', 1)])
    const [a, b, c] = [call('a'), call('b'), call('c')]
    b.controller.abort(new CallCancelled('not wanted'))
    expect(await b.end).toEqual({ end: 'cancelled' })
    await clock.until(Promise.all([a.end, c.end]))
    expect(log.filter((line) => line.includes(' at '))).toEqual(['a at 0', 'c at 10'])
  })

  it('sends nothing for a signal that was aborted before', async () => {
    const { executor, clock } = bench([node('n', 1)])
    const log: string[] = []
    const observer = { mark: (name: string) => log.push(name), token: () => undefined, placed: () => undefined }
    const request = {
      callId: 'a',
      runId: 'r',
      stage: 's',
      attempt: 1,
      model: 'm',
      messages: [],
      options: {},
      placement: 'any' as const,
    }
    expect(await executor.execute(request, { clock, signal: AbortSignal.abort(), observer })).toEqual({
      end: 'cancelled',
    })
    expect(log).toEqual([])
  })

  it('gives a call only to nodes that take its model', async () => {
    const { clock, call, log } = bench([node('small', 1, ['m1']), node('large', 1, ['m2'])])
    const calls = [call('a', { model: 'm2' }), call('b', { model: 'm2' }), call('c', { model: 'm1' })]
    await clock.until(Promise.all(calls.map(({ end }) => end)))
    expect(log).toEqual(['a at 0', 'a on large', 'c at 0', 'c on small', 'b at 10', 'b on large'])
    expect(await call('d', { model: 'm3' }).end).toMatchObject({ end: 'failed', error: { code: 'CAESURA_E_NO_MODEL' } })
  })

  it('heeds placement: same waits for the node of the call before, other avoids it', async () => {
    const { clock, call, log } = bench([node('n1', 1), node('n2', 1)])
    const calls = [
      call('a'),
      call('same', { placement: 'same', previousNode: 'n1' }),
      call('other', { placement: 'other', previousNode: 'n1' }),
    ]
    await clock.until(Promise.all(calls.map(({ end }) => end)))
    expect(log.filter((line) => line.includes(' on '))).toEqual(['a on n1', 'other on n2', 'same on n1'])
    const alone = bench([node('n1', 1)])
    expect(await alone.call('x', { placement: 'other', previousNode: 'n1' }).end).toMatchObject({ end: 'failed' })
  })

  it('frees the slot of a call that fails or is cancelled', async () => {
    const script: Script = (request) =>
      request.callId === 'bad'
        ? { tokens: [], fail: { code: 'CAESURA_E_SERVER', message: 'x', afterTokens: 0 } }
        : { tokens: ['x'], firstTokenMs: 1000, abortMs: 5 }
    const { clock, call, log } = bench([node('n', 1, undefined, script)])
    const bad = call('bad')
    const cut = call('cut')
    const last = call('last')
    await clock.until(bad.end)
    await clock.advance(msToNs(20))
    cut.controller.abort(new CallCancelled('enough'))
    await clock.advance(msToNs(10))
    expect(await cut.end).toMatchObject({ end: 'cancelled' })
    await clock.until(last.end)
    expect(log.filter((line) => line.includes(' at '))).toEqual(['bad at 0', 'cut at 0', 'last at 25'])
  })

  it('loads a model ahead only where a slot is free, and takes none', async () => {
    const { clock, call, executor, log } = bench([node('n', 2, ['m', 'next'])])
    const wish = (model: string) => ({ model, placement: 'any' as const })
    const a = call('a')
    expect(await executor.load(wish('next'))).toEqual({ outcome: 'loaded', node: 'n' })
    const b = call('b')
    expect(await executor.load(wish('next'))).toEqual({ outcome: 'skipped', reason: 'no free slot' })
    expect(await executor.load(wish('unknown'))).toEqual({
      outcome: 'skipped',
      reason: 'no node takes calls for unknown',
    })
    await clock.until(Promise.all([a.end, b.end]))
    expect(log.filter((line) => line.includes(' at '))).toEqual(['a at 0', 'b at 0'])
  })
})
