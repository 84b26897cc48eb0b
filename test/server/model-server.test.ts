import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { probeResultSchema } from '../../src/core/probe.ts'
import { scriptedPieces } from '../../src/nodes/backends/scripted-pieces.ts'
import { caesura, startCaesura } from '../cli/caesura.ts'
import { startModelServerProcess } from './model-server-process.ts'
import { ask, sendTo, textOf } from './ollama-request.ts'

const folder = mkdtempSync(join(tmpdir(), 'caesura-model-server-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const chat = (content: string, rest: object = {}) => ({
  model: 'scripted',
  messages: [{ role: 'user', content }],
  ...rest,
})
const wordsFor = (content: string, count: number) => scriptedPieces([{ role: 'user', content }], count).join('')

describe('caesura model-server', () => {
  it('prints where it listens, and exits 0 when it is told to stop', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const { child, printed, ended } = startCaesura(folder, ['model-server', '--port', '0', '--log-level', 'warn'])
      await printed('slot)\n')
      child.kill(signal)
      const { status, stdout, stderr } = await ended
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(stdout).toMatch(/^model-server: http:\/\/127\.0\.0\.1:\d+ \(model caesura-demo-3m, 1 slot\)\n$/)
    }
  })

  it('stops in the middle of an answer: the connection breaks, as that of Ollama does', async () => {
    const server = await startModelServerProcess('--backend', 'scripted', '--token-ms', '1000')
    const { answer, lines } = sendTo(server.url, 'POST', '/api/chat', JSON.stringify(chat('x')))
    await lines(1)
    expect(await server.stop()).toMatchObject({ status: 0, stderr: '' })
    await expect(answer).rejects.toThrow(/aborted|socket hang up/)
  })

  it('exits 3 where another program listens', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as { port: number }
    try {
      const { status, stdout } = await caesura(folder, ['model-server', '--port', String(port), '--json'])
      expect(status).toBe(3)
      expect(JSON.parse(stdout).error).toMatchObject({
        code: 'CAESURA_E_LISTEN',
        received: `127.0.0.1:${port}`,
        message: expect.stringContaining('another program listens there'),
      })
    } finally {
      other.close()
    }
  })

  it.each([
    [['--model', 'gemma3:1b'], 2, 'CAESURA_E_USAGE'],
    [['--model', 'nowhere.gguf'], 3, 'CAESURA_E_NO_MODEL'],
    [['--model', 'broken.gguf'], 3, 'CAESURA_E_NO_MODEL'],
    [['--slots', '0'], 2, 'CAESURA_E_USAGE'],
    [['--port', '70000'], 2, 'CAESURA_E_USAGE'],
    [['--token-ms', '5'], 2, 'CAESURA_E_USAGE'],
    [['--host', '192.0.2.1'], 3, 'CAESURA_E_LISTEN'],
  ])('refuses %j before it listens', async (flags, status, code) => {
    writeFileSync(join(folder, 'broken.gguf'), 'not a model at all')
    const ended = await caesura(folder, ['model-server', '--port', '0', '--json', ...flags])
    expect(ended.status, ended.stderr).toBe(status)
    expect(JSON.parse(ended.stdout).error).toMatchObject({ code })
  })

  it('with a script says what follows from the messages', async () => {
    const server = await startModelServerProcess('--backend', 'scripted', '--tokens', '5')
    try {
      expect(textOf(await ask(server.url, '/api/chat', chat('one')))).toBe(wordsFor('one', 5))
      const fewer = await ask(server.url, '/api/generate', {
        model: 'scripted',
        prompt: 'two',
        options: { num_predict: 3 },
      })
      expect(textOf(fewer)).toBe(wordsFor('two', 3))
      expect(fewer.lines.at(-1)).toMatchObject({ done: true, eval_count: 3 })
    } finally {
      await server.stop()
    }
  })

  it('answers 503 when more calls wait than it was told, and serves those that wait in their order', async () => {
    const flags = ['--queue', '2', '--tokens', '1000', '--token-ms', '20']
    const server = await startModelServerProcess('--backend', 'scripted', ...flags)
    try {
      const order: string[] = []
      const send = (content: string, tokens: number) => {
        const body = chat(content, { options: { num_predict: tokens } })
        const sent = sendTo(server.url, 'POST', '/api/chat', JSON.stringify(body))
        sent.answer.then(
          () => order.push(content),
          () => order.push(`not ${content}`),
        )
        return sent
      }
      const first = send('first', 1_000)
      await first.lines(1)
      const second = send('second', 3)
      // What came before an answer is in the queue.
      await ask(server.url, '/api/version')
      const third = send('third', 3)
      await ask(server.url, '/api/version')
      expect(await send('fourth', 3).answer).toMatchObject({
        status: 503,
        text: '{"error":"server busy, please try again.  maximum pending requests exceeded"}',
      })
      first.request.destroy()
      expect(textOf(await second.answer)).toBe(wordsFor('second', 3))
      expect(textOf(await third.answer)).toBe(wordsFor('third', 3))
      expect(order).toEqual(['fourth', 'not first', 'second', 'third'])
    } finally {
      await server.stop()
    }
  })

  it('answers whatever comes in the shapes of Ollama, and lives on', async () => {
    const server = await startModelServerProcess('--backend', 'scripted', '--model', 'm', '--tokens', '2')
    const turn = { role: 'user', content: 'a' }
    const value = fc.oneof(
      fc.constantFrom(null, true, 0, -1, 1.5, 'm', '', '5m', [], {}, turn, [turn], [null], { temperature: 'hot' }),
      fc.jsonValue(),
    )
    const keys = [
      'prompt',
      'messages',
      'stream',
      'options',
      'keep_alive',
      'format',
      'think',
      'system',
      'images',
      'tools',
      'name',
    ]
    const body = fc.record(
      { model: fc.oneof(fc.constant('m'), value), ...Object.fromEntries(keys.map((key) => [key, value])) },
      { requiredKeys: [] },
    )
    try {
      await fc.assert(
        fc.asyncProperty(fc.constantFrom('/api/chat', '/api/generate', '/api/show'), body, async (path, sent) => {
          const { status, lines } = await ask(server.url, path, sent)
          // 500 is Ollama's answer to an option of a wrong type, and to a format that is none.
          expect([200, 400, 404, 500]).toContain(status)
          if (status === 500)
            expect(lines[0]).toMatchObject({ error: expect.stringMatching(/^(option "|invalid format: )/) })
          if (status !== 200) expect(lines).toEqual([{ error: expect.any(String) }])
        }),
        { numRuns: 300, seed: 5 },
      )
      expect(textOf(await ask(server.url, '/api/chat', { ...chat('one'), model: 'm' }))).toBe(wordsFor('one', 2))
    } finally {
      await server.stop()
    }
  })

  it('refuses more than it renders, by count, before it looks at any of it', async () => {
    const server = await startModelServerProcess('--backend', 'scripted', '--tokens', '2')
    const messages = (count: number) => Array.from({ length: count }, () => ({ role: 'user', content: '' }))
    try {
      for (const count of [513, 100_000]) {
        const { status, lines } = await ask(server.url, '/api/chat', { model: 'scripted', messages: messages(count) })
        expect({ status, lines }).toEqual({
          status: 400,
          lines: [{ error: `${count} messages are too many: this server takes at most 512` }],
        })
      }
      expect((await ask(server.url, '/api/chat', { model: 'scripted', messages: messages(512) })).status).toBe(200)
      // The length is enough: the body is not waited for.
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
      socket.write('POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n')
      expect(await text(socket)).toMatch(/^HTTP\/1.1 413 [\s\S]*\r\n\r\n\{"error":"[^"]+"\}$/)
    } finally {
      await server.stop()
    }
  })

  it.each([
    ['the bundled model', 'caesura-demo', ['--slots', '2']],
    ['a script', 'scripted', ['--backend', 'scripted', '--slots', '2', '--token-ms', '3', '--first-token-ms', '5']],
  ])('with %s: fifty clients that leave at any moment leave no slot taken', async (_what, model, flags) => {
    const server = await startModelServerProcess(...flags)
    try {
      const body = (i: number) =>
        JSON.stringify({
          ...chat(`How do I clean ${i % 5} pans?`),
          model,
          options: { temperature: 0, num_predict: 24 },
        })
      const whole = await Promise.all(
        [0, 1, 2, 3, 4].map((i) => sendTo(server.url, 'POST', '/api/chat', body(i)).answer),
      )
      const clients = Array.from({ length: 100 }, async (_, i) => {
        const sent = sendTo(server.url, 'POST', '/api/chat', body(i))
        if (i % 2 === 1) return textOf(await sent.answer)
        // In the queue, in prefill, in the answer.
        const moment = (i * 0.618) % 1
        if (i % 4 === 0) await new Promise((resolve) => setTimeout(resolve, moment * 1_000))
        else await sent.lines(1 + Math.floor(moment * 20)).catch(() => {})
        sent.request.destroy()
        return undefined
      })
      const texts = await Promise.all(clients)
      for (const [i, text] of texts.entries()) if (i % 2 === 1) expect(text, `client ${i}`).toBe(textOf(whole[i % 5]!))
      // With a slot lost the second would wait for ever; with both, the first.
      const after = [0, 1].map((i) => sendTo(server.url, 'POST', '/api/chat', body(i)))
      await Promise.all(after.map(({ lines }) => lines(1)))
      expect((await Promise.all(after.map(({ answer }) => answer))).map(textOf)).toEqual(whole.slice(0, 2).map(textOf))
    } finally {
      await server.stop()
    }
  })

  it('gives a probe sane figures', async () => {
    const server = await startModelServerProcess('--slots', '2')
    try {
      const flags = [
        'probe',
        '--url',
        server.url,
        '--model',
        'caesura-demo',
        '--repetitions',
        '2',
        '--no-record',
        '--json',
      ]
      const { status, stdout, stderr } = await caesura(folder, flags)
      expect(status, stderr).toBe(0)
      expect(probeResultSchema.parse(JSON.parse(stdout))).toMatchObject({
        server: { kind: 'ollama', version: '0.32.15-caesura' },
        tokensPerSecond: { prefill: expect.any(Number), decode: expect.any(Number) },
        slotFreeAfterAbortMs: { decode: { n: 2 } },
        slots: 2,
        prefixReuse: true,
      })
    } finally {
      await server.stop()
    }
  }, 90_000)
})
