import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

/** What the server saw of one request. Instants in ms on the machine's monotonic clock, which all its processes share. */
export interface Seen {
  readonly arrivedAt: number
  /** From the arrival to the last line handed to the socket; absent for an answer that the client left. */
  readonly servedMs?: number
}

/** Ms on the machine's monotonic clock: the same scale in every process on Linux. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** The model's name says how it answers: `20/2/50` gives the first token after 20 ms, then one each 2 ms, 50 in all. */
function serve(): void {
  const server = createServer(async (request, response) => {
    const arrivedAt = monotonicMs()
    if (request.method !== 'POST') return void response.end('{"version":"0.0.0","models":[]}')
    tell({ type: 'arrived', arrivedAt })
    response.on('close', () => response.writableFinished || tell({ type: 'left', leftAt: monotonicMs() }))
    const { model } = JSON.parse((await request.toArray()).join('')) as { model: string }
    const [firstMs = 0, everyMs = 0, tokens = 1] = model.split('/').map(Number)
    let next = 0
    const write = () => {
      if (response.closed) return
      if (next === 0) response.writeHead(200, { 'content-type': 'application/x-ndjson' })
      next += 1
      writeLine(response, model, { content: ` t${next}` })
      // By its due time and not from the last write: every answer takes as long as every other.
      if (next < tokens) {
        const left = arrivedAt + firstMs + next * everyMs - monotonicMs()
        return void setTimeout(write, Math.max(1, left))
      }
      writeLine(response, model, { content: '' }, { done: true, done_reason: 'stop', eval_count: tokens })
      response.end()
      tell({ type: 'served', arrivedAt, servedMs: monotonicMs() - arrivedAt })
    }
    setTimeout(write, firstMs)
  })
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1', () => tell({ type: 'ready', port: (server.address() as AddressInfo).port }))
}

function writeLine(response: ServerResponse, model: string, message: object, rest: object = { done: false }): void {
  const at = new Date().toISOString()
  response.write(`${JSON.stringify({ model, created_at: at, message: { role: 'assistant', ...message }, ...rest })}\n`)
}

type Told =
  | { readonly type: 'ready'; readonly port: number }
  | { readonly type: 'arrived'; readonly arrivedAt: number }
  | { readonly type: 'served'; readonly arrivedAt: number; readonly servedMs: number }
  | { readonly type: 'left'; readonly leftAt: number }

const tell = (told: Told): void => void process.send?.(told)

/** An Ollama-like server in a process of its own. */
export class ModelServer implements Disposable {
  readonly url: string
  readonly #process: ChildProcess
  readonly #arrived: number[] = []
  readonly #served: number[] = []
  readonly #left: number[] = []
  #wake: () => void = () => undefined

  private constructor(process: ChildProcess, port: number) {
    this.#process = process
    this.url = `http://127.0.0.1:${port}`
    process.on('message', (told: Told) => {
      if (told.type === 'arrived') this.#arrived.push(told.arrivedAt)
      if (told.type === 'served') this.#served.push(told.servedMs)
      if (told.type === 'left') this.#left.push(told.leftAt)
      this.#wake()
    })
  }

  static async start(): Promise<ModelServer> {
    const process = fork(fileURLToPath(import.meta.url), ['serve'])
    const [ready] = (await once(process, 'message')) as [Extract<Told, { type: 'ready' }>]
    return new ModelServer(process, ready.port)
  }

  /** When the next `count` requests came, since the last time that this was asked. */
  arrivals(count: number): Promise<number[]> {
    return this.#take(this.#arrived, count)
  }

  /** How long the next `count` answers took inside the server, ms. */
  servedMs(count: number): Promise<number[]> {
    return this.#take(this.#served, count)
  }

  /** When the next `count` clients were seen to leave before their answer had ended. */
  leavings(count: number): Promise<number[]> {
    return this.#take(this.#left, count)
  }

  async #take(from: number[], count: number): Promise<number[]> {
    while (from.length < count) await new Promise<void>((resolve) => (this.#wake = resolve))
    return from.splice(0, count)
  }

  [Symbol.dispose](): void {
    this.#process.kill()
  }
}

if (process.argv[2] === 'serve' && process.send !== undefined) serve()
