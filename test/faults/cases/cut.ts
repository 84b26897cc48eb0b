import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { startMortalServer } from '../../servers/mortal-server.ts'
import type { FaultCase, FaultOutcome } from '../fault.ts'
import { lastLine, line, say, sayWhole, serve } from './scene.ts'

const cut: FaultOutcome = {
  settlement: 'failed',
  code: 'CAESURA_E_STREAM_CUT',
  retried: false,
  text: 'a b',
  tokens: 2,
}
/** Longer than any machine needs to read what lies in a socket; nothing depends on it but how sharp the case is. */
const READ_MS = 20

/** Answers that end too early. Where tokens have come, none is tried again. */
export const cutCases: readonly FaultCase[] = [
  {
    group: 'cut',
    fault: 'ends before the first token',
    expected: { ...cut, retried: true, text: '', tokens: 0 },
    start: () =>
      serve(async (exchange) => {
        await exchange.head()
        await exchange.end()
      }),
  },
  {
    group: 'cut',
    fault: 'resets behind the headers, before the first token',
    expected: { ...cut, retried: true, text: '', tokens: 0 },
    start: () =>
      serve(async (exchange) => {
        await say(exchange, '')
        await sleep(READ_MS)
        exchange.reset()
      }),
  },
  {
    group: 'cut',
    fault: 'no last line',
    expected: cut,
    start: () =>
      serve(async (exchange) => {
        await say(exchange, 'a', ' b')
        await exchange.end()
      }),
  },
  {
    group: 'cut',
    fault: 'closes in the middle of a line',
    expected: cut,
    start: () =>
      serve(async (exchange) => {
        await say(exchange, 'a', ' b')
        await exchange.chunk(line(' c').slice(0, 30))
        exchange.close()
      }),
  },
  {
    group: 'cut',
    fault: 'resets in the middle of a character',
    expected: { ...cut, text: 'a 🫖' },
    start: (reader) =>
      serve(async (exchange) => {
        await say(exchange, 'a', ' 🫖')
        // A reset throws away what was not read yet.
        await reader.received(2)
        const bytes = Buffer.from(line(' 🫖'))
        await exchange.chunk(bytes.subarray(0, bytes.indexOf(Buffer.from('🫖')) + 2))
        await sleep(READ_MS)
        exchange.reset()
      }),
  },
  {
    group: 'cut',
    fault: 'an answer shorter than its Content-Length',
    expected: cut,
    start: () =>
      serve(async (exchange) => {
        await sayWhole(exchange, line('a') + line(' b'), { 'content-length': '4096' })
        exchange.close()
      }),
  },
  {
    group: 'cut',
    fault: 'a gzip stream that breaks off',
    expected: cut,
    start: () =>
      serve(async (exchange) => {
        const body = gzipSync(line('a') + line(' b') + lastLine(2), { level: 0 })
        const told = body.indexOf(' b') + line(' b').length
        await sayWhole(exchange, body.subarray(0, told), { 'content-encoding': 'gzip' })
      }),
  },
  {
    group: 'cut',
    fault: 'the server is killed (SIGKILL) in decode',
    expected: cut,
    async start(reader) {
      const server = await startMortalServer([line('a'), line(' b')])
      void reader.received(2).then(() => server.kill())
      return { url: server.url, close: () => server.kill() }
    },
  },
]
