import { setTimeout as sleep } from 'node:timers/promises'
import type { Exchange } from '../../servers/fault-server.ts'
import type { FaultCase, FaultOutcome } from '../fault.ts'
import { line, say, serve } from './scene.ts'

const nothing: FaultOutcome = {
  settlement: 'failed',
  code: 'CAESURA_E_TIMEOUT_FIRST_TOKEN',
  retried: true,
  text: '',
  tokens: 0,
}
const some: FaultOutcome = {
  settlement: 'failed',
  code: 'CAESURA_E_TIMEOUT_STALL',
  retried: false,
  text: 'a b',
  tokens: 2,
}
const shortly = '250ms'

/** One byte after the other, for as long as there is someone to read it. */
async function trickle(exchange: Exchange, byte: string): Promise<void> {
  while (!exchange.socket.destroyed) {
    await exchange.chunk(byte)
    await sleep(10)
  }
}

/** Connections that stay open while no token comes: only a limit ends them. */
export const silenceCases: readonly FaultCase[] = [
  {
    group: 'silence',
    fault: 'accepts and never answers',
    expected: nothing,
    timeout: { firstToken: shortly },
    start: () => serve(() => {}),
  },
  {
    group: 'silence',
    fault: 'accepts and never ends the TLS handshake',
    expected: nothing,
    timeout: { firstToken: shortly },
    async start() {
      const scene = await serve(() => {})
      return { ...scene, url: scene.url.replace('http:', 'https:') }
    },
  },
  {
    group: 'silence',
    fault: 'headers and then silence',
    expected: nothing,
    timeout: { firstToken: shortly },
    start: () => serve((exchange) => exchange.head()),
  },
  {
    group: 'silence',
    fault: 'empty lines for ever, and no token',
    expected: nothing,
    timeout: { firstToken: shortly },
    start: () =>
      serve(async (exchange) => {
        await exchange.head()
        await trickle(exchange, '\n')
      }),
  },
  {
    group: 'silence',
    fault: '500 with a body that never ends',
    expected: nothing,
    timeout: { firstToken: shortly },
    start: () =>
      serve(async (exchange) => {
        await exchange.head(500)
        await trickle(exchange, 'x')
      }),
  },
  {
    group: 'silence',
    fault: 'a stall longer than the limit',
    expected: some,
    timeout: { stall: shortly },
    start: () => serve((exchange) => say(exchange, 'a', ' b')),
  },
  {
    group: 'silence',
    fault: 'half a line for ever',
    expected: some,
    timeout: { stall: shortly },
    start: () =>
      serve(async (exchange) => {
        await say(exchange, 'a', ' b')
        await exchange.chunk(line(' c').slice(0, 30))
        await trickle(exchange, 'x')
      }),
  },
  {
    group: 'silence',
    fault: 'empty tokens for ever',
    expected: some,
    timeout: { stall: shortly },
    start: () =>
      serve(async (exchange) => {
        await say(exchange, 'a', ' b')
        await trickle(exchange, line(''))
      }),
  },
  {
    group: 'silence',
    fault: 'stalls with the whole answer but its last line',
    expected: { ...some, code: 'CAESURA_E_TIMEOUT_TOTAL' },
    timeout: { total: '1s' },
    start: () => serve((exchange) => say(exchange, 'a', ' b')),
  },
  {
    group: 'silence',
    fault: 'no byte for `idleDeadline` of the node, no token yet',
    expected: { ...nothing, code: 'CAESURA_E_TIMEOUT_STALL' },
    idleDeadlineMs: 250,
    start: () => serve((exchange) => say(exchange, '')),
  },
  {
    group: 'silence',
    fault: 'no byte for `idleDeadline` of the node, after tokens',
    expected: some,
    idleDeadlineMs: 250,
    start: () =>
      serve(async (exchange) => {
        await say(exchange, 'a', ' b')
        await exchange.chunk(line(' c').slice(0, 30))
      }),
  },
]
