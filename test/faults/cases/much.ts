import { createGzip } from 'node:zlib'
import type { Exchange } from '../../servers/fault-server.ts'
import type { FaultCase, FaultOutcome } from '../fault.ts'
import { lastLine, line, say, serve } from './scene.ts'

/** The longest line that the long ones have, bytes. */
export const LINE_BYTES = 64 * 1_048_576
const block = Buffer.alloc(65_536, 'x')
const tooLong: FaultOutcome = {
  settlement: 'failed',
  code: 'CAESURA_E_LINE_TOO_LONG',
  retried: false,
  text: 'a b',
  tokens: 2,
}
/** Tokens that readers do not keep up with. */
export const MANY_TOKENS = 20_000
const LIMIT_TOKENS = 5_000

async function sayMany(exchange: Exchange): Promise<void> {
  await exchange.head()
  const many = line('x').repeat(100)
  for (let sent = 0; sent < MANY_TOKENS; sent += 100) await exchange.chunk(many)
  await exchange.chunk(lastLine(MANY_TOKENS))
  await exchange.end()
}
const allOfIt: FaultOutcome = {
  settlement: 'completed',
  retried: false,
  text: 'x'.repeat(MANY_TOKENS),
  tokens: MANY_TOKENS,
}

/** More than anyone can keep: memory is bounded, and the bound is stated. */
export const muchCases: readonly FaultCase[] = [
  {
    group: 'much',
    fault: 'a line of 64 MB without an end',
    expected: tooLong,
    start: () =>
      serve(async (exchange) => {
        await say(exchange, 'a', ' b')
        for (let sent = 0; sent < LINE_BYTES && !exchange.socket.destroyed; sent += block.length) {
          await exchange.chunk(block)
        }
      }),
  },
  {
    group: 'much',
    fault: 'a line of 64 MB, 64 kB long as gzip',
    expected: tooLong,
    start: () =>
      serve(async (exchange) => {
        await exchange.head(200, { 'content-encoding': 'gzip' })
        const gzip = createGzip()
        gzip.on('data', (bytes) => void exchange.chunk(bytes))
        gzip.write(line('a') + line(' b'))
        for (let sent = 0; sent < LINE_BYTES; sent += block.length) gzip.write(block)
        gzip.end()
      }),
  },
  {
    group: 'much',
    fault: 'tokens for ever: more than `outputLimits` allow',
    expected: {
      settlement: 'failed',
      code: 'CAESURA_E_OUTPUT_LIMIT',
      retried: false,
      text: 'x'.repeat(LIMIT_TOKENS),
      tokens: LIMIT_TOKENS,
    },
    outputLimits: { tokens: LIMIT_TOKENS },
    start: () =>
      serve(async (exchange) => {
        await exchange.head()
        const many = line('x').repeat(100)
        while (!exchange.socket.destroyed) await exchange.chunk(many)
      }),
  },
  {
    group: 'much',
    fault: 'nobody reads the events of a run',
    expected: allOfIt,
    reader: 'never',
    start: () => serve(sayMany),
  },
  {
    group: 'much',
    fault: 'the events are read only after the end',
    expected: allOfIt,
    reader: 'late',
    start: () => serve(sayMany),
  },
]
