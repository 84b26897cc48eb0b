import type { ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { Backend } from '../../../src/core/ports.ts'
import type { HttpAccess } from '../../../src/nodes/backends/http-access.ts'
import { type OllamaLikeOptions, startOllamaLike } from '../../servers/ollama-like.ts'
import { chunk, event, eventStream, said } from '../../servers/openai-like.ts'
import * as ollama from './ollama-call.ts'
import { call, cleanups, lastLine, line, ndjson } from './ollama-call.ts'
import * as openai from './openai-call.ts'

const MARK = 'MARK-0123456789'
const { signal } = new AbortController()

/** Both kinds of nodes, on one server that has what each of them asks for. */
const kinds = [
  ['ollama', ollama.backendFor, (response: ServerResponse) => ndjson(response).end(line('hi') + lastLine)],
  [
    'openai',
    openai.backendFor,
    (response: ServerResponse) => eventStream(response).end(said('hi') + event(chunk({}, 'stop')) + event('[DONE]')),
  ],
] as const

async function serverOf(options: OllamaLikeOptions) {
  const server = await startOllamaLike({
    ...options,
    routes: {
      '/v1/models': (response) => void response.end('{"data":[{"id":"demo"}]}'),
      '/slots': (response) => void response.end('[]'),
      ...options.routes,
    },
  })
  cleanups.push(() => server.close())
  return server
}

/** All that a backend can be asked, one after the other; what each of it threw. */
async function everything(backend: Backend): Promise<unknown[]> {
  const request = { model: 'demo', messages: [{ role: 'user', content: 'x' } as const], isCut: false, options: {} }
  const asked = [
    () => backend.server(signal),
    () => backend.models(signal),
    () => backend.load?.('demo', signal),
    () => backend.prefill?.(request, signal),
    () => backend.unload?.('demo', signal),
  ]
  const faults: unknown[] = []
  for (const ask of asked) await Promise.resolve(ask()).catch((error: unknown) => faults.push(error))
  const { end } = await call(backend)
  return end.end === 'failed' ? [...faults, end] : faults
}

describe.each(kinds)('what an %s node is reached with', (_kind, backendFor, answer) => {
  /** Answers chats by what they are for: a load, a prefill and an unload want an answer in one piece. */
  const respond = (response: ServerResponse, { body }: { body: { stream?: boolean } }) => {
    if (body.stream === true) answer(response)
    else response.end('{"done":true}')
  }

  it('goes with every request: calls, the spare connection, models, loads', async () => {
    const server = await serverOf({ models: ['demo'], script: { respond } })
    const settings = { headers: { 'X-Team': ' a b ', 'x-key': MARK }, apiKey: 'key-1234', spareConnection: true }
    const backend = backendFor(server.url, settings)
    expect(await everything(backend)).toEqual([])
    server.setScript({ respond: (response, seen) => void setTimeout(() => respond(response, seen), 30) })
    await call(backend)
    await call(backend)
    const posts = server.requests.filter(({ method }) => method === 'POST').length
    expect(posts).toBeGreaterThan(2)
    expect(server.requests.length).toBeGreaterThan(posts)
    for (const { headers, path } of server.requests)
      expect(headers, path).toMatchObject({ 'x-team': 'a b', 'x-key': MARK, authorization: 'Bearer key-1234' })
  })

  it('has the authorization of the headers before that of the key', async () => {
    const server = await serverOf({ script: { respond } })
    const backend = backendFor(server.url, { headers: { Authorization: 'Bearer tok-123456' }, apiKey: 'other' })
    await call(backend)
    expect(server.requests[0]?.headers.authorization).toBe('Bearer tok-123456')
  })

  it.each([401, 403])(
    'and is refused with %i is CAESURA_E_AUTH, with what to do, whatever is asked',
    async (status) => {
      const refuse = (response: ServerResponse) => void response.writeHead(status).end(`{"error":"no ${MARK}"}`)
      const paths = ['/api/version', '/api/tags', '/api/ps', '/v1/models']
      const routes = Object.fromEntries(paths.map((path) => [path, refuse]))
      const server = await serverOf({ routes, script: { respond: refuse } })
      const basic = `Basic ${Buffer.from(`me:${MARK}`).toString('base64')}`
      for (const access of [
        {},
        { headers: { authorization: basic } },
        { apiKey: MARK },
        { headers: { 'x-key': MARK } },
      ]) {
        const faults = await everything(backendFor(server.url, access))
        // `openai` has no loads.
        expect(faults.length).toBeGreaterThanOrEqual(4)
        for (const fault of faults) {
          const { code, message } =
            (fault as { error?: { code: string; message: string } }).error ?? (fault as Error & { code: string })
          expect(code).toBe('CAESURA_E_AUTH')
          expect(message).toMatch(/apiKeyEnv.*headers/)
        }
        if (Object.keys(access).length > 0) expect(inspect(faults, { depth: 20 })).not.toContain(MARK)
      }
    },
  )

  it('is in nothing that is told, though the server quotes it', async () => {
    const basic = Buffer.from(`me:${MARK}`).toString('base64')
    const quoting = `you said ${MARK}, and ${basic}, and x%2Fy${MARK}`
    const answers: ((response: ServerResponse) => unknown)[] = [
      (response) => response.writeHead(400).end(JSON.stringify({ error: quoting })),
      (response) => response.writeHead(429, { 'retry-after': '7' }).end(quoting),
      (response) => response.writeHead(502).end(`<html>${quoting}</html>`),
      (response) => response.writeHead(307, { location: `/login/${MARK}?key=${MARK}#${MARK}` }).end(),
      (response) => response.end(quoting),
      (response) => response.end(`{"error":"${quoting}"}\n`),
      (response) => response.end(`data: ${quoting}\n\n`),
      (response) => response.socket?.end(`HTTP/1.1 ${quoting}\r\n\r\n`),
    ]
    const accesses: HttpAccess[] = [
      { apiKey: MARK, headers: { 'x-basic': `Basic ${basic}` } },
      { headers: { 'x-key': MARK, authorization: `Basic ${basic}` } },
    ]
    for (const respond of answers)
      for (const access of accesses) {
        const routes = Object.fromEntries(
          ['/api/version', '/api/tags', '/v1/models'].map((path) => [path, respond as never]),
        )
        const server = await serverOf({ script: { respond: (response) => void respond(response) }, routes })
        const backend = backendFor(server.url, access)
        const faults = await everything(backend)
        expect(faults.length).toBeGreaterThan(0)
        const told = inspect([faults, backend], { depth: 20, maxStringLength: null })
        expect(told).not.toContain(MARK)
        expect(told).not.toContain(basic)
      }
  })

  it('keeps how long a busy server wants to be left alone', async () => {
    const respond = (response: ServerResponse) => void response.writeHead(429, { 'retry-after': '7' }).end(`no ${MARK}`)
    const server = await serverOf({ script: { respond } })
    const { end } = await call(backendFor(server.url, { headers: { 'x-key': MARK } }))
    expect(end).toMatchObject({ retryAfterMs: 7_000, retryable: true })
    expect(end.error?.message).not.toContain(MARK)
  })

  it.each([
    [{ headers: { 'x y': MARK } }, 'headers'],
    [{ headers: { [`${MARK} `]: 'x' } }, 'headers'],
    [{ headers: { 'x-key': `${MARK}\nb` } }, 'headers.x-key'],
    [{ headers: { 'x-key': '' } }, 'headers.x-key'],
    [{ headers: { 'x-key': MARK, 'X-Key': MARK } }, 'headers.X-Key'],
    [{ headers: { Host: MARK } }, 'headers.Host'],
    [{ headers: { 'Content-Type': MARK } }, 'headers.Content-Type'],
    [{ apiKey: `${MARK} x` }, undefined],
  ])('is refused as %j, without its value', (access, path) => {
    const make = () => backendFor('http://127.0.0.1:1', access)
    expect(make).toThrow(expect.objectContaining({ code: 'CAESURA_E_CONFIG', exitCode: 2 }))
    try {
      make()
    } catch (error) {
      expect((error as { place: { path?: string } }).place.path).toBe(path)
      expect(inspect(error, { depth: 9 })).not.toContain(MARK)
    }
  })
})

describe('a redirect', () => {
  const to = async (location: string | undefined, base = '') => {
    const respond = (response: ServerResponse) =>
      void response.writeHead(307, location === undefined ? {} : { location }).end('moved')
    const server = await serverOf({ script: { respond } })
    const { end } = await call(ollama.backendFor(server.url + base))
    return { message: end.error?.message ?? '', code: end.error?.code, server }
  }

  it.each([
    ['https://gpu.corp/api/chat?token=MARK', '', 'https://gpu.corp/api/chat', 'write https://gpu.corp as'],
    ['https://me:MARK@gpu.corp/api/chat', '', 'https://gpu.corp/api/chat', 'write https://gpu.corp as'],
    [
      'https://gpu.corp/ollama/api/chat',
      '/old',
      'https://gpu.corp/ollama/api/chat',
      'write https://gpu.corp/ollama as',
    ],
    ['https://sso.corp/login?next=MARK#MARK', '', 'https://sso.corp/login', 'headers'],
  ])('to %s from base %j names its target, and what to write', async (location, base, target, hint) => {
    const { message, code } = await to(location, base)
    expect(code).toBe('CAESURA_E_PROTOCOL')
    expect(message).toContain(`a redirect to ${target}, which is not followed`)
    expect(message).toContain(hint)
    expect(message).not.toContain('MARK')
  })

  it('is bounded, and names no target that is none', async () => {
    expect((await to(`https://gpu/${'x'.repeat(5000)}`)).message.length).toBeLessThan(500)
    expect((await to('javascript:MARK')).message).toMatch(/a redirect to no http URL/)
    expect((await to('http://[MARK')).message).toMatch(/a redirect to no http URL/)
    expect((await to(undefined)).message).toMatch(/\(a redirect, which is not followed\)/)
    expect((await to('/api/chat')).message).toMatch(/a redirect to itself/)
  })
})
