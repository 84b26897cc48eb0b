import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../../src/app/fleet-serving.ts'
import { runEventSchema } from '../../src/core/event.ts'
import { until } from '../fixtures/until.ts'
import { ask, eventsOf, lines, startRun, tokensOf } from './api-fixture.ts'
import { type Site, sites } from './sites.ts'

const SLOW = Array.from({ length: 30 }, (_, index) => `s${index} `)
/** More than the sockets between two processes hold. */
const MUCH = Array.from({ length: 40 }, (_, index) => `${index} ${'x'.repeat(400_000)}`)

describe.each(sites)('of runs that %s hosts,', (_, open) => {
  let site: Site
  let api: Api
  beforeAll(async () => {
    site = await open({
      slots: 16,
      script: ({ messages }) => {
        const asked = messages.at(-1)!.content
        return asked.includes('slow')
          ? { tokens: SLOW, firstTokenMs: 5, tokenMs: 30 }
          : asked.includes('much')
            ? { tokens: MUCH, firstTokenMs: 5, tokenMs: 1 }
            : { tokens: ['a ', 'b'], firstTokenMs: 5, tokenMs: 1 }
      },
    })
    api = await site.api({ times: { heartbeatMs: 100, stallMs: 3000 } })
  })
  afterAll(() => site.close())

  const NDJSON = { accept: 'application/x-ndjson' }
  const follow = (runId: string, after = '', headers: Record<string, string> = {}, url = api.url) =>
    fetch(`${url}/v1/runs/${runId}/events${after}`, { headers })
  const start = (body: object, accept: string, signal?: AbortSignal) =>
    fetch(`${api.url}/v1/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept },
      body: JSON.stringify({ pipeline: 'one', ...body }),
      ...(signal && { signal }),
    })
  const outcomeOf = async (runId: string) => {
    const read = async () => (await ask(`${api.url}/v1/runs/${runId}`)).body as { outcome?: string }
    await until(async () => (await read()).outcome !== undefined)
    return (await read()).outcome
  }

  describe('the events of a run', () => {
    it('come as server-sent events with their numbers as ids', async () => {
      const response = await follow(await startRun(api, { pipeline: 'one' }))
      expect(response.headers.get('content-type')).toBe('text/event-stream')
      const all: string[] = []
      for await (const line of lines(response)) all.push(line)
      const data = all
        .filter((line) => line.startsWith('data: '))
        .map((line) => runEventSchema.parse(JSON.parse(line.slice(6))))
      expect(all.filter((line) => line.startsWith('id: '))).toEqual(data.map(({ seq }) => `id: ${seq}`))
      expect(data.map(({ seq }) => seq)).toEqual(data.map((_, index) => index + 1))
      expect(tokensOf(data)).toBe('a b')
      expect(data.at(-1)).toMatchObject({ type: 'run-end', outcome: 'completed' })
    })

    it('come one a line where Accept asks for that', async () => {
      const response = await follow(await startRun(api, { pipeline: 'one' }), '', NDJSON)
      expect(response.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8')
      expect(tokensOf(await eventsOf(response))).toBe('a b')
    })

    it('stream out of the request that starts the run', async () => {
      for (const accept of ['text/event-stream', 'application/x-ndjson']) {
        const response = await start({ input: 'i' }, accept)
        expect(response.status).toBe(201)
        const events = await eventsOf(response)
        expect(response.headers.get('location')).toBe(`/v1/runs/${events[0]!.runId}`)
        expect(events.at(-1)).toMatchObject({ type: 'run-end' })
      }
    })

    it('go on after any cut without a gap and without a double', async () => {
      const runId = await startRun(api, { pipeline: 'one', input: 'slow' })
      const first = await eventsOf(await follow(runId), ({ seq }) => seq === 9)
      const second = await eventsOf(await follow(runId, '', { 'last-event-id': '9' }), ({ seq }) => seq === 17)
      // The header is the newer one: a browser sends it with the address that it began with.
      const third = await eventsOf(
        await follow(runId, '?after=3', { 'last-event-id': '17', ...NDJSON }),
        ({ seq }) => seq === 20,
      )
      const rest = await eventsOf(await follow(runId, '?after=20'))
      const all = [...first, ...second, ...third, ...rest]
      expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1))
      expect(tokensOf(all)).toBe(SLOW.join(''))
      const last = all.at(-1)!.seq
      expect((await follow(runId, `?after=${last - 1}`)).status).toBe(200)
      expect((await follow(runId, `?after=${last}`)).status).toBe(204)
      expect(tokensOf(await eventsOf(await follow(runId)))).toBe(SLOW.join(''))
    })

    it('go to many readers', async () => {
      const runId = await startRun(api, { pipeline: 'one', input: 'slow' })
      const read = await Promise.all(
        Array.from({ length: 20 }, async () => tokensOf(await eventsOf(await follow(runId)))),
      )
      expect(new Set(read)).toEqual(new Set([SLOW.join('')]))
    })

    it('have signs of life between them', async () => {
      const runId = await startRun(api, { pipeline: 'one', input: 'slow' })
      const beats: string[] = []
      for await (const line of lines(await follow(runId))) if (line.startsWith(':')) beats.push(line)
      expect(beats.length).toBeGreaterThan(2)
    })
  })

  describe('a client that leaves', () => {
    it('leaves its run alone', async () => {
      const leaving = new AbortController()
      const response = await start({ input: 'slow' }, 'text/event-stream', leaving.signal)
      const { runId } = (await eventsOf(response, ({ seq }) => seq === 4))[0]!
      leaving.abort()
      expect(await outcomeOf(runId)).toBe('completed')
    })

    it('cancels it where it asked for that', async () => {
      const leaving = new AbortController()
      const response = await start({ input: 'slow', cancelOnDisconnect: true }, 'text/event-stream', leaving.signal)
      const { runId } = (await eventsOf(response, ({ seq }) => seq === 4))[0]!
      leaving.abort()
      expect(await outcomeOf(runId)).toBe('cancelled')
    })
  })

  describe('a client that takes nothing', () => {
    it('is cut off, is told so, and can read on', async () => {
      const runId = await startRun(api, { pipeline: 'one', input: 'much' })
      expect(await outcomeOf(runId)).toBe('completed')
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
      socket.write(`GET /v1/runs/${runId}/events HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n`)
      await once(socket, 'readable')
      await until(async () =>
        String((await ask(`${api.url}/metrics`)).body).includes('streams{format="application/x-ndjson"} 0'),
      )
      const received = await text(socket)
      const seen = received.split(/\r?\n/).flatMap((line) => (line.startsWith('{"seq"') ? [line] : []))
      expect(received).toMatch(/"type":"problem".*CAESURA_E_READER_SLOW/)
      const last = seen.length
      const rest = await eventsOf(await follow(runId, `?after=${last}`))
      expect(rest[0]!.seq).toBe(last + 1)
      expect(rest.at(-1)!.type).toBe('run-end')
    }, 180_000)
  })

  describe('a request that comes behind a stream on its connection', () => {
    /** Sends requests in one piece and, when `now` says so, others behind them; reads until the connection ends. */
    async function pipelined(first: string, second: string, behind: 'at once' | 'later'): Promise<string> {
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
      const received = text(socket)
      socket.write(behind === 'at once' ? first + second : first)
      if (behind === 'later') {
        await once(socket, 'readable')
        socket.write(second)
      }
      return received
    }
    const head = (line: string, more = '') => `${line} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`
    const order = (body: object, more: string) => {
      const json = JSON.stringify(body)
      return `${head('POST /v1/runs', `${more}Content-Type: application/json\r\nContent-Length: ${json.length}\r\n`)}${json}`
    }

    it.each(['at once', 'later'] as const)(
      'is refused and not done, and the stream ends with why: %s',
      async (behind) => {
        const runId = await startRun(api, { pipeline: 'one', input: 'slow' })
        const received = await pipelined(head(`GET /v1/runs/${runId}/events`), head(`DELETE /v1/runs/${runId}`), behind)
        expect(received).toMatch(/^HTTP\/1.1 200 OK\r\n/)
        expect(received).toMatch(/connection: close\r\n/i)
        expect(received).toMatch(/event: problem\ndata: .*"another request came on the connection of a stream/)
        expect(received.match(/HTTP\/1.1 /g)).toHaveLength(1)
        expect(await outcomeOf(runId)).toBe('completed')
      },
    )

    it('ends a stream that starts a run, and leaves the run alone', async () => {
      const first = order({ pipeline: 'one', input: 'slow', runId: 'piped' }, 'Accept: text/event-stream\r\n')
      const received = await pipelined(first, head('GET /healthz'), 'at once')
      expect(received).toMatch(/^HTTP\/1.1 201 Created\r\n[\s\S]*event: problem\n/)
      expect(received).not.toMatch(/"status":"ok"/)
      expect(await outcomeOf('piped')).toBe('completed')
    })

    it('is answered where there was no stream after all, or where it comes behind another answer', async () => {
      const unknown = await pipelined(head('GET /v1/runs/nobody/events'), head('GET /healthz'), 'at once')
      expect(unknown.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 400'])
      const plain = await pipelined(head('GET /healthz'), head('GET /readyz', 'Connection: close\r\n'), 'at once')
      expect(plain.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200'])
    })
  })
})
