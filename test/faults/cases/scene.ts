import { type Exchange, type FaultServerOptions, startFaultServer } from '../../servers/fault-server.ts'
import type { FaultScene } from '../fault.ts'

/** A line of an answer with one token. */
export const line = (content: string, rest: object = {}): string =>
  `${JSON.stringify({ model: 'demo', message: { role: 'assistant', content }, done: false, ...rest })}\n`

/** The line that ends an answer of so many tokens. */
export const lastLine = (tokens: number): string =>
  line('', { done: true, done_reason: 'stop', total_duration: 5_000_000, eval_count: tokens })

/** A scene whose server answers each request by `act`. */
export async function serve(
  act: (exchange: Exchange) => void | Promise<void>,
  options?: FaultServerOptions,
): Promise<FaultScene> {
  const server = await startFaultServer(act, options)
  return {
    url: server.url,
    requests: () => server.requests,
    accepted: () => server.accepted,
    bytesWritten: () => server.bytesWritten,
    quiet: () => server.quiet(),
    close: () => server.close(),
  }
}

/** Begins an answer with these tokens, in one chunk, so that no pause can come between them. */
export async function say(exchange: Exchange, ...tokens: readonly string[]): Promise<void> {
  await exchange.head()
  await exchange.chunk(tokens.map((token) => line(token)).join(''))
}

/** Sends a whole answer as one body. */
export const sayWhole = (exchange: Exchange, body: string | Uint8Array, headers: Record<string, string> = {}) =>
  exchange.answer(200, { 'content-type': 'application/x-ndjson', ...headers }, body)
