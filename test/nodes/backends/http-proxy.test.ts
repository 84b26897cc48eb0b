import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { proxyFor } from '../../../src/nodes/backends/http-proxy.ts'
import { startFaultServer } from '../../servers/fault-server.ts'
import { type ForwardProxyOptions, startForwardProxy } from '../../servers/forward-proxy.ts'
import { selfSigned } from '../../servers/self-signed.ts'
import { backendFor, call, cleanups, lastLine, line, serve } from './ollama-call.ts'

const password = 'pw-marker:@1'
const encoded = encodeURIComponent(password)

async function proxied(options: Partial<ForwardProxyOptions> = {}) {
  const { server } = await serve({ models: ['demo'] })
  const proxy = await startForwardProxy({ hosts: { 'gpu.test:11434': server.port }, ...options })
  cleanups.push(() => proxy.close())
  return { server, proxy }
}

describe('the proxy for a server', () => {
  const both = { HTTP_PROXY: 'http://p:1', HTTPS_PROXY: 'http://q:2' }
  it.each([
    ['HTTP_PROXY for http', 'http://gpu:11434', both, 'http://p:1'],
    ['HTTPS_PROXY for https', 'https://gpu', both, 'http://q:2'],
    ['HTTP_PROXY for https where that is all', 'https://gpu', { HTTP_PROXY: 'http://p:1' }, 'http://p:1'],
    ['none for http where HTTPS_PROXY is all', 'http://gpu', { HTTPS_PROXY: 'http://q:2' }, undefined],
    ['the name in lower case first', 'http://gpu', { http_proxy: 'http://low:1', ...both }, 'http://low:1'],
    ['none where the name in lower case is empty', 'http://gpu', { http_proxy: '', ...both }, undefined],
    ['one without a scheme', 'http://gpu', { HTTP_PROXY: 'p:3128' }, 'http://p:3128'],
    ['one with TLS', 'http://gpu', { HTTP_PROXY: 'https://p' }, 'https://p'],
    ['none where nothing is set', 'http://gpu', {}, undefined],
    ['none for 127.0.0.1', 'http://127.0.0.1:11434', both, undefined],
    ['none for all of 127/8', 'http://127.8.0.1', both, undefined],
    ['none for ::1', 'http://[::1]:11434', both, undefined],
    ['none for localhost', 'http://localhost:11434', both, undefined],
    ['one for a name that begins so', 'http://localhost.corp', both, 'http://p:1'],
    ['none in NO_PROXY', 'http://gpu', { ...both, NO_PROXY: 'x, gpu' }, undefined],
    ['none below a name of NO_PROXY', 'http://gpu.corp', { ...both, NO_PROXY: 'corp' }, undefined],
    ['none below a name with a dot', 'http://gpu.corp', { ...both, no_proxy: '.corp' }, undefined],
    ['none below a name with a star', 'http://gpu.corp', { ...both, no_proxy: '*.CORP' }, undefined],
    ['one for a name that only ends so', 'http://gpucorp', { ...both, NO_PROXY: 'corp' }, 'http://p:1'],
    ['none for the port of NO_PROXY', 'http://gpu:8080', { ...both, NO_PROXY: 'gpu:8080' }, undefined],
    ['one for another port', 'http://gpu:8081', { ...both, NO_PROXY: 'gpu:8080' }, 'http://p:1'],
    ['none for the port of the scheme', 'https://gpu', { ...both, NO_PROXY: 'gpu:443' }, undefined],
    ['none for all', 'http://gpu', { ...both, NO_PROXY: 'x,*' }, undefined],
    ['none in a network', 'http://10.1.2.3:80', { ...both, NO_PROXY: '10.0.0.0/8' }, undefined],
    ['one outside of a network', 'http://11.1.2.3:80', { ...both, NO_PROXY: '10.0.0.0/8' }, 'http://p:1'],
    ['none for an IPv6 address', 'http://[fd00::1]:80', { ...both, NO_PROXY: '[fd00::1]' }, undefined],
    ['none in an IPv6 network', 'http://[fd00::1]:80', { ...both, NO_PROXY: 'fd00::/8' }, undefined],
  ])('is %s', (_, server, environment, shown) => {
    expect(proxyFor(new URL(server), environment)?.shown).toBe(shown)
  })

  it('has its user for the proxy, and never in what is shown', () => {
    const proxy = proxyFor(new URL('http://gpu'), { HTTP_PROXY: `http://me:${encoded}@p:1/` })
    expect(proxy).toMatchObject({
      shown: 'http://p:1',
      authorization: `Basic ${Buffer.from(`me:${password}`).toString('base64')}`,
    })
    const odd = proxyFor(new URL('http://gpu'), { HTTP_PROXY: 'me:50%@p:1' })
    expect(odd?.authorization).toBe(`Basic ${Buffer.from('me:50%').toString('base64')}`)
  })

  it.each(['socks5://me:pw-marker@p:1', 'http://me:pw-marker@', 'me:pw-marker@p:1:2'])(
    'is refused as %s, without its password',
    (HTTP_PROXY) => {
      const make = () => proxyFor(new URL('http://gpu'), { HTTP_PROXY })
      expect(make).toThrow(
        expect.objectContaining({ code: 'CAESURA_E_CONFIG', message: expect.stringContaining('HTTP_PROXY') }),
      )
      try {
        make()
      } catch (error) {
        expect(inspect(error, { depth: 9 })).not.toContain('marker')
      }
    },
  )
})

describe('a call through a proxy', () => {
  it('names its server to the proxy, shares its connections, and marks them once', async () => {
    const { server, proxy } = await proxied()
    const backend = backendFor('http://gpu.test:11434', { environment: { HTTP_PROXY: proxy.url } })
    const first = await call(backend)
    expect(first.end.end).toBe('completed')
    expect(first.names.filter((name) => /^connect/.test(name))).toEqual(['connect-start', 'connected'])
    const second = await call(backend)
    expect(second.end.end).toBe('completed')
    expect(second.names).not.toContain('connected')
    expect(proxy.requests.map(({ method, target, connection }) => [method, target, connection])).toEqual(
      Array(2).fill(['POST', 'http://gpu.test:11434/api/chat', 1]),
    )
    expect(server.requests.map(({ headers }) => headers.host)).toEqual(Array(2).fill('gpu.test:11434'))
    expect(backend.address).toBe('gpu.test:11434')
  })

  it('sends all requests that way: the spare connection, versions and models, loads', async () => {
    const { proxy } = await proxied()
    const backend = backendFor('http://gpu.test:11434', {
      environment: { HTTP_PROXY: proxy.url },
      spareConnection: true,
    })
    const { signal } = new AbortController()
    expect((await backend.server(signal)).address).toBe('http://gpu.test:11434')
    expect(await backend.models(signal)).toEqual([{ name: 'demo', bytes: 1 }])
    await backend.load?.('demo', signal)
    await call(backend)
    const paths = proxy.requests.map(({ target }) => new URL(target).pathname)
    expect(paths).toEqual(expect.arrayContaining(['/api/version', '/api/tags', '/api/chat']))
  })

  it('gives the proxy its user and password, and the server none of it', async () => {
    const authorization = `Basic ${Buffer.from(`me:${password}`).toString('base64')}`
    const { server, proxy } = await proxied({ authorization })
    const HTTP_PROXY = proxy.url.replace('//', `//me:${encoded}@`)
    const backend = backendFor('http://gpu.test:11434', { environment: { HTTP_PROXY } })
    expect((await call(backend)).end.end).toBe('completed')
    expect(server.requests[0]?.headers).not.toHaveProperty('proxy-authorization')
  })

  it.each(['http://gpu.test:11434', 'https://gpu.test'])('to %s tells of a proxy that wants a user', async (url) => {
    const { proxy } = await proxied({ authorization: 'Basic other' })
    const HTTP_PROXY = proxy.url.replace('//', '//me:pw-marker@')
    const { end } = await call(backendFor(url, { environment: { HTTP_PROXY } }))
    expect(end).toMatchObject({ end: 'failed', error: { code: 'CAESURA_E_AUTH' } })
    expect(end.error?.message).toContain(proxy.url)
    expect(end.error?.message).toContain('gpu.test')
    expect(JSON.stringify(end)).not.toContain('marker')
  })

  it.each(['http://gpu.test:11434', 'https://gpu.test'])('to %s tells of a proxy that is not there', async (url) => {
    const environment = { HTTP_PROXY: 'http://me:pw-marker@127.0.0.1:9' }
    const backend = backendFor(url, { environment })
    const { end } = await call(backend)
    expect(end).toMatchObject({ end: 'failed', retryable: true, error: { code: 'CAESURA_E_REFUSED' } })
    expect(end.error?.message).toMatch(/^the proxy http:\/\/127\.0\.0\.1:9 refused the connection; .*gpu\.test/)
    const error = await backend.server(new AbortController().signal).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'CAESURA_E_NO_SERVER',
      place: { hint: expect.stringMatching(/HTTP_PROXY.*NO_PROXY/) },
    })
    expect(inspect([error, end, backend], { depth: 20 })).not.toContain('marker')
  })

  it('tells of a server that the proxy does not reach, with both', async () => {
    const { proxy } = await proxied({ hosts: {} })
    const environment = { HTTP_PROXY: proxy.url }
    const { end } = await call(backendFor('http://gpu.test:11434', { environment }))
    expect(end.error).toMatchObject({ code: 'CAESURA_E_SERVER' })
    expect(end.error?.message).toMatch(new RegExp(`gpu\\.test:11434 .*${proxy.url}.* 502`))
    const tunnel = await call(backendFor('https://gpu.test', { environment }))
    expect(tunnel.end.error).toMatchObject({ code: 'CAESURA_E_CONNECTION' })
    expect(tunnel.end.error?.message).toMatch(new RegExp(`${proxy.url}.*502.*gpu\\.test`))
  })
})

describe('a call over TLS', () => {
  const { key, cert } = selfSigned()
  const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
  beforeAll(() => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  })
  afterAll(() => {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
  })
  const encrypted = async () => {
    const server = await startFaultServer(
      async (exchange) => {
        await exchange.head()
        await exchange.chunk(line('hello') + lastLine)
        await exchange.end()
      },
      { tls: { key, cert } },
    )
    cleanups.push(() => server.close())
    return server
  }

  it('goes through a tunnel, which is a part of connecting', async () => {
    const server = await encrypted()
    const tunnelMs = 60
    const proxy = await startForwardProxy({ hosts: { 'gpu.test:443': server.port }, tunnelMs })
    cleanups.push(() => proxy.close())
    const backend = backendFor('https://gpu.test', { environment: { https_proxy: proxy.url } })
    const { end, text, marks, names } = await call(backend)
    expect([end.end, text]).toEqual(['completed', 'hello'])
    expect(names.slice(0, 4)).toEqual(['connect-start', 'connected', 'request-sent', 'headers'])
    const at = (wanted: string) => Number(marks.find(({ name }) => name === wanted)?.at)
    expect(at('connected') - at('connect-start')).toBeGreaterThanOrEqual(tunnelMs * 1e6 * 0.9)
    expect((await call(backend)).names).not.toContain('connected')
    expect(proxy.requests.map(({ method, target }) => [method, target])).toEqual([['CONNECT', 'gpu.test:443']])
  })

  it('or without, reaches a proxy that speaks TLS itself', async () => {
    const server = await encrypted()
    const plain = await serve()
    const hosts = { 'gpu.test:443': server.port, 'gpu.test:11434': plain.server.port }
    const proxy = await startForwardProxy({ hosts, tls: { key, cert } })
    cleanups.push(() => proxy.close())
    const environment = { HTTP_PROXY: proxy.url }
    for (const url of ['https://gpu.test', 'http://gpu.test:11434'])
      expect((await call(backendFor(url, { environment }))).end.end).toBe('completed')
    expect(proxy.requests.map(({ method }) => method)).toEqual(['CONNECT', 'POST'])
  })
})
