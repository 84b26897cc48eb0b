import { describe, expect, it } from 'vitest'
import type { CallRequest } from '../../src/core/call.ts'
import { msToNs, nsToMs } from '../../src/core/clock.ts'
import { CallCancelled } from '../../src/core/errors.ts'
import type { Node } from '../../src/core/ports.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { type Script, scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { inProcessExecutor } from '../../src/nodes/in-process.ts'

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
      thinking: () => undefined,
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
    const observer = {
      mark: (name: string) => log.push(name),
      token: () => undefined,
      thinking: () => undefined,
      placed: () => undefined,
    }
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

  it('takes any node where none satisfies the placement and any other will do', async () => {
    const where = async (nodes: Node[], more: Partial<CallRequest>) => {
      const { clock, call, log } = bench(nodes)
      const end = await clock.until(call('x', more).end)
      return end.error?.code ?? log.find((line) => line.includes(' on '))
    }
    const alone = () => [node('n1', 1)]
    const two = () => [node('n1', 1, ['m']), node('n2', 1, ['m2'])]
    expect(await where(alone(), { placement: 'other', previousNode: 'n1' })).toBe('CAESURA_E_NO_MODEL')
    expect(await where(alone(), { placement: 'other', previousNode: 'n1', otherwise: 'any' })).toBe('x on n1')
    // The node is gone, or does not have the model.
    expect(await where(alone(), { placement: 'same', previousNode: 'gone' })).toBe('CAESURA_E_NO_MODEL')
    expect(await where(alone(), { placement: 'same', previousNode: 'gone', otherwise: 'any' })).toBe('x on n1')
    expect(await where(alone(), { placement: 'other', previousNode: 'gone' })).toBe('x on n1')
    expect(await where(two(), { placement: 'same', previousNode: 'n2' })).toBe('CAESURA_E_NO_MODEL')
    expect(await where(two(), { placement: 'same', previousNode: 'n2', otherwise: 'any' })).toBe('x on n1')
    // A call before that never had a node.
    expect(await where(alone(), { placement: 'same' })).toBe('x on n1')
    expect(await where(alone(), { placement: 'other' })).toBe('x on n1')
  })

  it('waits for a node that satisfies the placement although any other would do and is free', async () => {
    const { clock, call, log } = bench([node('n1', 1), node('n2', 1), node('n3', 1)])
    const calls = [
      call('a', { node: 'n2' }),
      call('same', { placement: 'same', previousNode: 'n2', otherwise: 'any' }),
      call('other', { placement: 'other', previousNode: 'n1' }),
    ]
    await clock.until(Promise.all(calls.map(({ end }) => end)))
    expect(log.filter((line) => line.includes(' on '))).toEqual(['a on n2', 'other on n3', 'same on n2'])
  })

  it('keeps a pinned call on its node, whatever its placement', async () => {
    const { clock, call, log } = bench([node('n1', 2), node('n2', 1)])
    const calls = [call('a', { node: 'n2' }), call('b', { node: 'n2', placement: 'other', previousNode: 'n2' })]
    await clock.until(Promise.all(calls.map(({ end }) => end)))
    expect(log).toEqual(['a at 0', 'a on n2', 'b at 10', 'b on n2'])
  })

  it('prefers the node where something was done ahead, and does not wait for it', async () => {
    const { clock, call, log } = bench([node('n1', 1), node('n2', 1)])
    const calls = [call('a', { warmNode: 'n2' }), call('b', { warmNode: 'n2' }), call('c', { warmNode: 'gone' })]
    await clock.until(Promise.all(calls.map(({ end }) => end)))
    expect(log.filter((line) => line.includes(' on '))).toEqual(['a on n2', 'b on n1', 'c on n2'])
  })

  describe('reading a prompt ahead', () => {
    const wish = { model: 'm', placement: 'any' as const }
    const beginning = { model: 'm', messages: [], isCut: true, options: {} }
    const never = new AbortController().signal
    /** Reads until it is told to stop. */
    const endless = (name: string, slots: number, reads: string[]): Node => {
      const plain = node(name, slots)
      const prefill = (_: unknown, signal: AbortSignal) =>
        new Promise<void>((_resolve, reject) => {
          reads.push(`${name} begins`)
          signal.addEventListener('abort', () => {
            reads.push(`${name} ends`)
            reject(signal.reason)
          })
        })
      return { ...plain, backend: { ...plain.backend, prefill } }
    }

    it('takes no slot, and is given up as soon as a call is sent to its node', async () => {
      const reads: string[] = []
      const { clock, call, executor, log } = bench([endless('n', 1, reads)])
      const read = executor.prefill(wish, beginning, never)
      expect(reads).toEqual(['n begins'])
      const a = call('a')
      expect(reads).toEqual(['n begins', 'n ends'])
      expect(await read).toEqual({ outcome: 'skipped', node: 'n', reason: 'given up for a call' })
      await clock.until(a.end)
      expect(log).toEqual(['a at 0', 'a on n'])
    })

    it('is left alone by a call that goes to another node', async () => {
      const reads: string[] = []
      const { clock, call, executor } = bench([endless('n1', 1, reads), endless('n2', 1, reads)])
      const read = executor.prefill({ ...wish, placement: 'other', previousNode: 'n1' }, beginning, never)
      const [a, b] = [call('a'), call('b', { node: 'n1' })]
      await clock.until(Promise.all([a.end, b.end]))
      expect(reads).toEqual(['n2 begins'])
      await executor.close()
      expect(reads).toEqual(['n2 begins', 'n2 ends'])
      await read
    })

    it('is skipped where calls and other readings have all slots, or no node takes the model', async () => {
      const reads: string[] = []
      const { clock, call, executor } = bench([endless('n', 2, reads)])
      const a = call('a')
      const stop = new AbortController()
      const first = executor.prefill(wish, beginning, stop.signal)
      expect(await executor.prefill(wish, beginning, never)).toEqual({ outcome: 'skipped', reason: 'no free slot' })
      stop.abort()
      await first
      expect(await executor.prefill(wish, beginning, AbortSignal.abort())).toMatchObject({ outcome: 'skipped' })
      expect(reads).toEqual(['n begins', 'n ends'])
      await clock.until(a.end)
      const other = bench([node('n', 1, ['x'])]).executor
      expect(await other.prefill(wish, beginning, never)).toEqual({
        outcome: 'skipped',
        reason: 'no node takes calls for m',
      })
    })
  })
})
