import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** The way of one process to Redis. */
export class Link {
  readonly url: string
  /** Each chunk comes so much later, ms. */
  delayMs = 0
  /** Swallows what is sent on any connection, without a word to either side. */
  isSilent = false
  readonly #close: () => void
  readonly #pairs: Set<Pair>

  static async to(port: number): Promise<Link> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const pairs = new Set<Pair>()
    const link = new Link((server.address() as AddressInfo).port, pairs, () => server.close())
    server.on('connection', (near) => {
      const far = connect(port, '127.0.0.1')
      const pair: Pair = { near, far, isMute: false }
      pairs.add(pair)
      link.#pass(pair, near, far)
      link.#pass(pair, far, near)
    })
    return link
  }

  private constructor(port: number, pairs: Set<Pair>, close: () => void) {
    this.url = `redis://127.0.0.1:${port}`
    this.#pairs = pairs
    this.#close = close
  }

  /** The connections of now never say anything again; new ones do. */
  mute(): void {
    for (const pair of this.#pairs) pair.isMute = true
  }

  close(): void {
    this.#close()
    for (const { near, far } of this.#pairs) {
      near.destroy()
      far.destroy()
    }
  }

  #pass(pair: Pair, from: Socket, to: Socket): void {
    from.setNoDelay(true)
    from.on('error', () => undefined)
    let lastDue = 0
    const waiting: { chunk: Buffer; due: number }[] = []
    const drain = () => {
      const [first] = waiting
      if (first === undefined) return
      setTimeout(
        () => {
          waiting.shift()
          if (to.writable) to.write(first.chunk)
          drain()
        },
        Math.max(0, first.due - performance.now()),
      )
    }
    from.on('data', (chunk) => {
      if (this.isSilent || pair.isMute) {
        // What was lost on the way makes the rest unreadable.
        pair.isMute = true
        return
      }
      // In the order in which they came, also where the delay gets shorter.
      const now = performance.now()
      lastDue = Math.max(lastDue, now + this.delayMs)
      if (lastDue <= now && waiting.length === 0) to.write(chunk)
      else waiting.push({ chunk, due: lastDue })
      if (waiting.length === 1) drain()
    })
    from.on('close', () => {
      this.#pairs.delete(pair)
      if (!pair.isMute) to.end()
      else to.destroy()
    })
  }
}

interface Pair {
  readonly near: Socket
  readonly far: Socket
  isMute: boolean
}
