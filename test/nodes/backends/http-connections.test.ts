import { describe, expect, it } from 'vitest'
import { CallCancelled } from '../../../src/core/errors.ts'
import { backendFor, call, serve } from './ollama-call.ts'

describe('a spare connection', () => {
  it('is opened while a call runs, so that a call right after an abort opens none', async () => {
    const { server } = await serve({ script: { intervalMs: 5, tokens: Array(200).fill('w ') } })
    const backend = backendFor(server.url, { spareConnection: true })
    const cutAt = (last: number) => {
      const controller = new AbortController()
      const token = (count: number) => void (count === last && controller.abort(new CallCancelled('enough')))
      return call(backend, {}, { signal: controller.signal, token })
    }
    const first = await cutAt(40)
    expect(first.names).toContain('connected')
    expect(server.requests.map(({ path }) => path)).toEqual(['/api/chat', '/'])
    const second = await cutAt(2)
    expect(second.end).toEqual({ end: 'cancelled' })
    expect(second.names).not.toContain('connected')
  })

  it('is one, however many calls run', async () => {
    const { server } = await serve({ script: { intervalMs: 10, tokens: Array(20).fill('w ') } })
    const backend = backendFor(server.url, { spareConnection: true })
    const calls = await Promise.all(Array.from({ length: 8 }, () => call(backend)))
    expect(calls.every(({ end }) => end.end === 'completed')).toBe(true)
    expect(server.accepted).toBeLessThanOrEqual(9)
    expect(server.requests.filter(({ path }) => path === '/').length).toBeLessThanOrEqual(1)
  })

  it('that the server refuses hurts no call', async () => {
    const { server } = await serve({
      script: ({ path }) =>
        path === '/'
          ? { respond: (response) => void response.destroy() }
          : { intervalMs: 5, tokens: Array(10).fill('w ') },
    })
    const backend = backendFor(server.url, { spareConnection: true })
    for (let count = 0; count < 3; count++) expect((await call(backend)).text).toBe('w '.repeat(10))
  })
})
