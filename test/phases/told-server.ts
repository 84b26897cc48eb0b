import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer as createProxy, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort } from 'node:worker_threads'
import type { ProxyScript, Scenario, ServerScript } from './scenario.ts'

/**
 * A model server behind a proxy in a thread of their own, so that a client that is busy does not hold them up. Both note the instants of
 * what they do: ms since 1970 with fractions.
 */
export interface ToldInstants {
  /** The last byte of the request reached the proxy. */
  uploadedAt: number
  /** The server's first sight of the request. */
  receivedAt: number
  bodyAt: number
  queueMs: number
  loadMs: number
  prefillMs: number
  /** The first piece was made. */
  firstPieceAt: number
  prefillEndAt: number
  /** The first piece of text was made. */
  firstTextAt: number
}

const now = () => performance.timeOrigin + performance.now()

if (!isMainThread) {
  parentPort!.on('message', ({ id, scenario }: { id: number; scenario: Scenario }) => {
    void serve(scenario, (told) => parentPort!.postMessage({ id, told })).then((port) =>
      parentPort!.postMessage({ id, port }),
    )
  })
}

/** Returns the port of the proxy. Only calls of the model `b` are told of, and are held up. */
async function serve(scenario: Scenario, tell: (told: ToldInstants) => void): Promise<number> {
  const told = {} as ToldInstants
  const server = createServer((request, response) => {
    void answer(scenario, told, request, response).then((isTold) => isTold && tell(told))
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const proxy = createProxy((client) => relay(client, port, scenario.proxy ?? {}, told)).listen(0, '127.0.0.1')
  await new Promise((resolve) => proxy.once('listening', resolve))
  return (proxy.address() as AddressInfo).port
}

/** What a server says of itself. */
const about: Readonly<Record<string, unknown>> = {
  '/api/version': { version: '0.24.0' },
  '/api/tags': { models: [{ name: 'a' }, { name: 'b' }] },
  '/v1/models': { data: [{ id: 'a' }, { id: 'b' }] },
}

function relay(client: Socket, port: number, script: ProxyScript, told: ToldInstants): void {
  const server = connect(port, '127.0.0.1')
  let isHeldUp = false
  const there = new Pipe((bytes) => server.write(bytes))
  const back = new Pipe((bytes) => client.write(bytes))
  let heldUntil = 0
  let whole: Buffer[] = []
  client.on('data', (bytes: Buffer) => {
    if (/"model":"[ab]"/.test(bytes.toString('latin1'))) isHeldUp = bytes.includes('"model":"b"')
    if (!isHeldUp) return there.push(bytes, 0)
    told.uploadedAt = now()
    there.push(bytes, script.up ?? 0, script.uploadRate === undefined ? 0 : bytes.byteLength / script.uploadRate)
    // Backpressure: what it has not handed on yet, it does not read.
    if (script.uploadRate !== undefined) {
      client.pause()
      void there.empty().then(() => client.resume())
    }
  })
  server.on('data', (bytes: Buffer) => {
    if (!isHeldUp) return back.push(bytes, 0)
    const isLast = /"done":true|\[DONE\]/.test(bytes.toString('utf8'))
    if (script.buffers) {
      whole.push(bytes)
      if (isLast) back.push(Buffer.concat(whole), 0)
      if (isLast) whole = []
      return
    }
    if (heldUntil === 0) heldUntil = now() + (script.holdFirst ?? 0)
    const delay = Math.max(script.down ?? 0, heldUntil - now()) + (isLast ? (script.lateLast ?? 0) : 0)
    back.push(bytes, delay, script.slowDown ?? 0)
  })
  client.on('close', () => server.destroy()).on('error', () => {})
  server.on('close', () => client.destroy()).on('error', () => {})
}

/** Hands bytes on in order, each not before its time, with so much time behind it. */
class Pipe {
  readonly #write: (bytes: Buffer) => void
  #last: Promise<void> = Promise.resolve()

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write
  }

  push(bytes: Buffer, delayMs: number, takesMs = 0): void {
    const due = now() + delayMs
    this.#last = this.#last.then(async () => {
      await until(due)
      this.#write(bytes)
      if (takesMs > 0) await sleep(takesMs)
    })
  }

  empty(): Promise<void> {
    return this.#last
  }
}

async function until(due: number): Promise<void> {
  while (now() < due) await sleep(Math.max(1, due - now()))
}

/** How long something took, ms. */
async function took(ms = 0): Promise<number> {
  const from = now()
  await until(from + ms)
  return ms === 0 ? 0 : now() - from
}

async function answer(
  { wire, server: script = {} }: Scenario,
  told: ToldInstants,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const receivedAt = now()
  let body = ''
  for await (const part of request) body += part
  if (request.method === 'GET') {
    response.end(JSON.stringify(about[request.url ?? ''] ?? {}))
    return false
  }
  const say = wire === 'ollama' ? ollama(response) : openai(response)
  if (!body.startsWith('{"model":"b"')) return quick(say, response)
  const bodyAt = now()
  const queueBefore = await took(script.queueBefore)
  const loadMs = await took(script.load ?? 30)
  const queueAfter = await took(script.queueAfter)
  const prefillMs = await took(script.prefill ?? 100)
  const prefillEndAt = now()
  const samplingMs = await took(script.sampling)
  const firstPieceAt = now()
  // What the server calls prefill is the prefill: some count the step of the first token in it.
  const countedMs = script.samplingIn === 'prefill' ? prefillMs + samplingMs : prefillMs
  const samplesFrom = script.samplingIn === 'prefill' ? firstPieceAt : prefillEndAt
  const { decodeMs, firstTextAt, pieces } = await pieceByPiece(say, script)
  await took(script.lateLast)
  Object.assign(told, { receivedAt, bodyAt, loadMs, firstPieceAt, firstTextAt })
  Object.assign(told, { prefillMs: countedMs, prefillEndAt: samplesFrom })
  told.queueMs = queueBefore + queueAfter
  const rate = script.clockRate ?? 1
  const hidden = script.hidesQueue ? told.queueMs : 0
  const figures = {
    total: (now() - receivedAt - hidden) * rate,
    // As Ollama has it: from its first sight of the request on.
    load: script.loadAs ?? (loadMs + (bodyAt - receivedAt)) * rate,
    prefill: script.secondPass ? 2 : countedMs * rate,
    decode: (decodeMs + (script.samplingIn === 'decode' ? samplingMs : 0)) * rate,
    tokens: script.secondPass ? pieces - (script.thoughts ?? 0) : pieces,
  }
  say.last(figures, script, wire === 'openai with timings')
  return true
}

async function pieceByPiece(say: Say, script: ServerScript) {
  const { thoughts = 0, pieces = 12, pieceMs = 20, pause = 0, slowWrite = 0 } = script
  let decodeMs = 0
  let firstTextAt = 0
  for (let piece = 0; piece < thoughts + pieces; piece++) {
    if (piece > 0) {
      const step = await took(pieceMs)
      if (!script.secondPass || piece >= thoughts) decodeMs += step
      if (slowWrite > 0) await took(slowWrite)
    }
    if (piece === 3 && pause > 0) await took(pause)
    if (piece === thoughts) firstTextAt = now()
    say.piece(`w${piece} `, piece < thoughts)
  }
  return { decodeMs, firstTextAt, pieces: thoughts + pieces }
}

/** The call that is interrupted. */
async function quick(say: Say, response: ServerResponse): Promise<boolean> {
  for (let piece = 0; piece < 200 && !response.closed; piece++) {
    say.piece('a ', false)
    await sleep(10)
  }
  return false
}

interface Figures {
  readonly total: number
  readonly load: number
  readonly prefill: number
  readonly decode: number
  readonly tokens: number
}

interface Say {
  piece(text: string, isThought: boolean): void
  last(figures: Figures, script: ServerScript, timings: boolean): void
}

const ns = (ms: number) => Math.round(ms * 1e6)

function ollama(response: ServerResponse): Say {
  const line = (message: object, rest: object = {}) =>
    response.write(
      `${JSON.stringify({ model: 'b', created_at: new Date().toISOString(), message, done: false, ...rest })}\n`,
    )
  return {
    piece: (text, isThought) =>
      line(isThought ? { role: 'assistant', content: '', thinking: text } : { role: 'assistant', content: text }),
    last: ({ total, load, prefill, decode, tokens }, { without = [] }) => {
      line(
        { role: 'assistant', content: '' },
        {
          done: true,
          done_reason: 'stop',
          total_duration: ns(total),
          ...(!without.includes('load') && { load_duration: ns(load) }),
          prompt_eval_count: 10,
          ...(!without.includes('prefill') && { prompt_eval_duration: ns(prefill) }),
          eval_count: tokens,
          ...(decode > 0 && { eval_duration: ns(decode) }),
        },
      )
      response.end()
    },
  }
}

function openai(response: ServerResponse): Say {
  response.setHeader('content-type', 'text/event-stream')
  const event = (data: object) => response.write(`data: ${JSON.stringify(data)}\n\n`)
  return {
    piece: (text, isThought) =>
      event({ choices: [{ index: 0, delta: isThought ? { reasoning_content: text } : { content: text } }] }),
    last: ({ prefill, decode, tokens }, _script, timings) => {
      event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
      event({
        choices: [],
        usage: { prompt_tokens: 10, completion_tokens: tokens },
        ...(timings && { timings: { prompt_n: 10, prompt_ms: prefill, predicted_n: tokens, predicted_ms: decode } }),
      })
      response.end('data: [DONE]\n\n')
    },
  }
}
