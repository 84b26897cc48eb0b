import { gzipSync } from 'node:zlib'
import type { FaultCase, FaultOutcome } from '../fault.ts'
import { lastLine, line, say, sayWhole, serve } from './scene.ts'

const fine: FaultOutcome = { settlement: 'completed', retried: false, text: 'a b', tokens: 2 }
const whole = line('a') + line(' b') + lastLine(2)
const A_DAY_MS = 86_400_000

/** Answers that look wrong and are not: the first last line is the end, and bytes may be cut anywhere. */
export const oddCases: readonly FaultCase[] = [
  {
    group: 'odd',
    fault: 'two last lines',
    expected: fine,
    start: () => serve((exchange) => sayWhole(exchange, whole + lastLine(7))),
  },
  {
    group: 'odd',
    fault: 'tokens after the last line',
    expected: fine,
    start: () => serve((exchange) => sayWhole(exchange, whole + line(' c') + lastLine(3))),
  },
  {
    group: 'odd',
    fault: 'lines for ever after the last line',
    expected: fine,
    start: () =>
      serve(async (exchange) => {
        await exchange.head()
        await exchange.chunk(whole)
        const more = line(' c').repeat(1000)
        while (!exchange.socket.destroyed) await exchange.chunk(more)
      }),
  },
  {
    group: 'odd',
    fault: 'a chunk that comes twice',
    // The protocol numbers nothing: what came twice was said twice.
    expected: { ...fine, text: 'a b b', tokens: 3 },
    start: () => serve((exchange) => sayWhole(exchange, line('a') + line(' b') + line(' b') + lastLine(3))),
  },
  {
    group: 'odd',
    fault: 'counts and durations that are none',
    expected: fine,
    start: () => {
      const odd = '"eval_count":9007199254740992,"prompt_eval_count":null,"load_duration":-5,"eval_duration":"long"'
      return serve((exchange) => sayWhole(exchange, `${line('a')}${line(' b')}{"done":true,${odd}}\n`))
    },
  },
  {
    group: 'odd',
    fault: 'thinking between the tokens',
    // The thinking is a token too.
    expected: { ...fine, tokens: 3 },
    start: () =>
      serve((exchange) => sayWhole(exchange, `${line('a')}{"message":{"thinking":"hm"}}\n${line(' b')}${lastLine(3)}`)),
  },
  {
    group: 'odd',
    fault: 'the answer in one piece, over many lines',
    expected: { ...fine, tokens: 2 },
    start: () =>
      serve((exchange) =>
        sayWhole(exchange, JSON.stringify({ message: { content: 'a b' }, done: true, eval_count: 2 }, null, 2)),
      ),
  },
  {
    group: 'odd',
    fault: 'lines wrapped in an event stream',
    expected: fine,
    start: () =>
      serve((exchange) =>
        sayWhole(exchange, `data: ${line('a')}\ndata: ${line(' b')}\n: ping\n\ndata: ${lastLine(2)}\n`),
      ),
  },
  {
    group: 'odd',
    fault: 'empty lines and empty tokens',
    expected: fine,
    start: () =>
      serve((exchange) =>
        sayWhole(exchange, `\n${line('')}${line('a')}\r\n\n${line('')}${line(' b')}${line('')}${lastLine(2)}\n`),
      ),
  },
  {
    group: 'odd',
    fault: 'chunks of one byte',
    expected: { ...fine, text: 'é 🫖' },
    start: () =>
      serve(async (exchange) => {
        await exchange.head()
        for (const byte of Buffer.from(line('é') + line(' 🫖') + lastLine(2))) await exchange.chunk(Buffer.of(byte))
        await exchange.end()
      }),
  },
  {
    group: 'odd',
    fault: 'gzip',
    expected: fine,
    start: () => serve((exchange) => sayWhole(exchange, gzipSync(whole), { 'content-encoding': 'gzip' })),
  },
  {
    group: 'odd',
    fault: 'the wall clock jumps by a day, forth and back',
    expected: { ...fine, text: 'a b c', tokens: 3 },
    async start(reader) {
      const wall = Date.now
      const jumpTo = (ms: number) => {
        Date.now = () => wall() + ms
      }
      const scene = await serve(async (exchange) => {
        jumpTo(A_DAY_MS)
        await say(exchange, 'a')
        await reader.received(1)
        jumpTo(-A_DAY_MS)
        await exchange.chunk(line(' b', { created_at: '1970-01-01T00:00:00Z' }))
        await reader.received(2)
        await exchange.chunk(line(' c') + lastLine(3))
        await exchange.end()
      })
      return {
        ...scene,
        close() {
          Date.now = wall
          return scene.close()
        },
      }
    },
  },
]
