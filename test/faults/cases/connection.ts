import { startMortalServer } from '../../servers/mortal-server.ts'
import { startOllamaLike } from '../../servers/ollama-like.ts'
import { selfSigned } from '../../servers/self-signed.ts'
import type { FaultCase, FaultOutcome } from '../fault.ts'
import { lastLine, line, sayWhole, serve } from './scene.ts'

const lost: FaultOutcome = {
  settlement: 'failed',
  code: 'CAESURA_E_CONNECTION',
  retried: true,
  text: '',
  tokens: 0,
}
const survived: FaultOutcome = { settlement: 'completed', retried: false, text: 'a b', tokens: 2 }
const whole = line('a') + line(' b') + lastLine(2)

/** Faults before any answer. None of them has cost a token, so each is tried again. */
export const connectionCases: readonly FaultCase[] = [
  {
    group: 'connection',
    fault: 'nothing listens on the port',
    expected: { ...lost, code: 'CAESURA_E_REFUSED' },
    async start() {
      const scene = await serve(() => {})
      await scene.close()
      return { url: scene.url, close: async () => {} }
    },
  },
  {
    group: 'connection',
    fault: 'the name does not exist (DNS)',
    expected: lost,
    start: async () => ({ url: 'http://caesura.invalid:11434', close: async () => {} }),
  },
  {
    group: 'connection',
    fault: 'https to a server without TLS',
    expected: lost,
    async start() {
      const server = await startOllamaLike()
      return { url: `https://127.0.0.1:${server.port}`, close: () => server.close() }
    },
  },
  {
    group: 'connection',
    fault: 'a certificate that nobody vouches for',
    expected: lost,
    start: () => serve((exchange) => sayWhole(exchange, whole), { tls: selfSigned() }),
  },
  {
    group: 'connection',
    fault: 'closes the connection before the headers',
    expected: lost,
    start: () => serve((exchange) => exchange.close()),
  },
  {
    group: 'connection',
    fault: 'resets the connection before the headers',
    expected: lost,
    start: () => serve((exchange) => exchange.reset()),
  },
  {
    group: 'connection',
    fault: 'closes in the middle of the headers',
    expected: lost,
    start: () =>
      serve(async (exchange) => {
        await exchange.raw('HTTP/1.1 200 OK\r\ncontent-ty')
        exchange.close()
      }),
  },
  {
    group: 'connection',
    fault: 'the server is killed (SIGKILL) in prefill',
    expected: lost,
    async start() {
      const server = await startMortalServer([])
      void server.asked.then(() => server.kill())
      return { url: server.url, close: () => server.kill() }
    },
  },
  {
    group: 'connection',
    fault: 'closes an idle connection between two calls',
    expected: survived,
    second: true,
    spareConnection: false,
    start: () =>
      serve(async (exchange) => {
        await sayWhole(exchange, whole)
        exchange.close()
      }),
  },
  {
    group: 'connection',
    fault: 'breaks a kept connection while the next request is on its way',
    expected: survived,
    second: true,
    spareConnection: false,
    start: () => serve((exchange) => (exchange.onConnection === 1 ? sayWhole(exchange, whole) : void exchange.reset())),
  },
]
