import { afterEach, describe, expect, it } from 'vitest'
import { noFigures } from '../../src/core/figures.ts'
import { type MetricsServer, serveMetrics } from '../../src/server/metrics-server.ts'

const open: MetricsServer[] = []
const serve = async (text: () => Promise<string> = async () => 'a_metric 1\n', port = 0) => {
  const figures = { ...noFigures, text, contentType: 'text/plain; version=0.0.4; charset=utf-8' }
  const server = await serveMetrics({ host: '127.0.0.1', port, figures })
  open.push(server)
  return server
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()))
})

describe('the server of figures alone', () => {
  it('answers GET and HEAD of /metrics and /healthz, and nothing else', async () => {
    const { url } = await serve()
    const found = await fetch(`${url}/metrics?x=1`)
    expect(found.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await found.text()).toBe('a_metric 1\n')
    expect(await (await fetch(`${url}/metrics`, { method: 'HEAD' })).text()).toBe('')
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' })
    for (const path of ['/', '/metrics/', '/v1/runs']) expect((await fetch(url + path)).status).toBe(404)
    const refused = await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  it('says where it listens, and refuses a port that is taken', async () => {
    const { url } = await serve()
    const port = Number(new URL(url).port)
    await expect(serve(undefined, port)).rejects.toMatchObject({
      code: 'CAESURA_E_LISTEN',
      message: expect.stringContaining(`127.0.0.1:${port}: another program listens there`),
    })
  })

  it('breaks off a request whose figures can’t be read, and answers the next', async () => {
    let isBroken = true
    const { url } = await serve(async () => {
      if (isBroken) throw new Error('no')
      return 'a_metric 2\n'
    })
    await expect(fetch(`${url}/metrics`)).rejects.toThrow()
    isBroken = false
    expect(await (await fetch(`${url}/metrics`)).text()).toBe('a_metric 2\n')
  })

  it('is gone when it is closed, whatever connections are open', async () => {
    const server = await serve()
    await (await fetch(`${server.url}/metrics`)).text()
    await server.close()
    open.length = 0
    await expect(fetch(`${server.url}/metrics`)).rejects.toThrow()
  })
})
