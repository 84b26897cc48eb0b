import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { CallCancelled } from '../../../src/core/errors.ts'
import { call, cleanups, lastLine, line, serve, serveRaw } from './ollama-call.ts'

describe('an answer that the server packs unasked', () => {
  const packers = { 'x-gzip': gzipSync, deflate: deflateSync, br: brotliCompressSync }
  it.each(Object.entries(packers))('is unpacked from %s', async (encoding, pack) => {
    const { backend } = await serveRaw((response) => {
      response.writeHead(200, { 'content-encoding': encoding })
      response.end(pack(line('packed') + lastLine))
    })
    expect(await call(backend)).toMatchObject({ end: { end: 'completed' }, text: 'packed' })
  })

  it('keeps what had come when its connection breaks', async () => {
    const { backend } = await serveRaw((response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' })
      const begun = gzipSync(line('a') + line(' b'), { finishFlush: constants.Z_SYNC_FLUSH })
      response.write(begun, () => setImmediate(() => response.socket?.resetAndDestroy()))
    })
    const { end, text } = await call(backend)
    expect(text).toBe('a b')
    expect(end).toMatchObject({ end: 'failed', error: { code: 'CAESURA_E_STREAM_CUT' } })
  })

  it('that is none of these fails as what it is', async () => {
    const { backend } = await serveRaw((response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' })
      response.end(line('plain') + lastLine)
    })
    expect((await call(backend)).end.error?.code).toBe('CAESURA_E_PROTOCOL')
  })
})

describe('a call that is cancelled in the turn in which another one starts', () => {
  it('is torn down only when the request of the other one has gone out', async () => {
    const order: string[] = []
    const told = (_: unknown, name: string | symbol) => order.push(String(name))
    const { backend } = await serve({ script: { intervalMs: 5, tokens: Array(40).fill('w ') } })
    // Two connections that were used before.
    await Promise.all([call(backend), call(backend)])
    await sleep(10)
    const controller = new AbortController()
    let next: Promise<unknown> | undefined
    const token = (count: number) => {
      if (count !== 3) return
      for (const name of ['undici:request:bodySent', 'undici:request:error']) {
        subscribe(name, told)
        cleanups.push(async () => unsubscribe(name, told))
      }
      controller.abort(new CallCancelled('another takes its place'))
      next = call(backend)
    }
    expect((await call(backend, {}, { signal: controller.signal, token })).end).toEqual({ end: 'cancelled' })
    await next
    expect(order).toEqual(['undici:request:bodySent', 'undici:request:error'])
  })
})
