import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface FakeOllama extends AsyncDisposable {
  readonly url: string
  /** Requests whose connection was closed before their answer ended. */
  readonly cut: number
  /** The models that calls asked for, in order. */
  readonly asked: readonly string[]
}

interface Script {
  readonly models: readonly string[]
  /** The pieces of every answer; `for ever` never ends. */
  readonly tokens?: readonly string[] | 'for ever'
  readonly tokenMs?: number
}

function* endless(): Generator<string> {
  for (;;) yield 'on '
}

/** A server that speaks as much of Ollama's interface as a run needs. */
export async function fakeOllama({ models, tokens = ['Hel', 'lo.'], tokenMs = 0 }: Script): Promise<FakeOllama> {
  let cut = 0
  const asked: string[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    if (request.url === '/api/version') return response.end('{"version":"0.32.0"}')
    if (request.url === '/api/tags')
      return response.end(JSON.stringify({ models: models.map((name) => ({ name, size: 1 })) }))
    const { model } = JSON.parse(Buffer.concat(chunks).toString())
    asked.push(model)
    const head = { model, created_at: '2026-08-01T10:00:00Z' }
    const line = (content: string) =>
      response.write(`${JSON.stringify({ ...head, message: { role: 'assistant', content }, done: false })}\n`)
    response.on('close', () => {
      if (!response.writableFinished) cut += 1
    })
    response.setHeader('content-type', 'application/x-ndjson')
    const pieces = tokens === 'for ever' ? endless() : tokens
    for (const piece of pieces) {
      if (response.destroyed) return response
      line(piece)
      await sleep(tokenMs)
    }
    return response.end(
      `${JSON.stringify({ ...head, message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop', eval_count: tokens.length })}\n`,
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    get cut() {
      return cut
    },
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
