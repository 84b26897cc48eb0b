import type { FaultCase, FaultOutcome } from '../fault.ts'
import { lastLine, line, say, sayWhole, serve } from './scene.ts'

const wrong: FaultOutcome = {
  settlement: 'failed',
  code: 'CAESURA_E_PROTOCOL',
  retried: false,
  text: 'a b',
  tokens: 2,
}
const empty = { text: '', tokens: 0 }

/** A whole answer in which these lines follow two good ones. */
const after = (rest: string | Uint8Array) => () =>
  serve(async (exchange) => {
    await say(exchange, 'a', ' b')
    await exchange.chunk(rest)
    await exchange.end()
  })

/** Answers that are not what Ollama says. */
export const wrongCases: readonly FaultCase[] = [
  {
    group: 'wrong',
    fault: 'an answer that is not HTTP',
    expected: { ...wrong, ...empty },
    start: () => serve((exchange) => exchange.raw('SSH-2.0-OpenSSH_9.7\r\n\r\n')),
  },
  {
    group: 'wrong',
    fault: 'HTML instead of NDJSON',
    expected: { ...wrong, ...empty },
    start: () =>
      serve((exchange) =>
        sayWhole(exchange, '<!doctype html>\n<title>Sign in</title>\n', { 'content-type': 'text/html' }),
      ),
  },
  {
    group: 'wrong',
    fault: 'invalid JSON in the middle',
    expected: wrong,
    start: after(`{"message":{"content":\n${line(' c')}${lastLine(3)}`),
  },
  {
    group: 'wrong',
    fault: 'a line of the wrong shape',
    expected: wrong,
    start: after(`{"done":"soon"}\n${lastLine(2)}`),
  },
  {
    group: 'wrong',
    fault: 'an answer that stops being HTTP',
    expected: wrong,
    start: () =>
      serve(async (exchange) => {
        await say(exchange, 'a', ' b')
        await exchange.raw('this is no length of a chunk\r\n')
      }),
  },
  {
    group: 'wrong',
    fault: 'bytes that are not UTF-8',
    expected: wrong,
    start: after(Buffer.from([0x7b, 0xff, 0xfe, 0x0a])),
  },
  {
    group: 'wrong',
    fault: '`{"error"}` before the first token',
    expected: { ...wrong, ...empty, code: 'CAESURA_E_MODEL_ERROR', retried: true },
    start: () => serve((exchange) => sayWhole(exchange, '{"error":{"code":502,"message":"upstream is gone"}}\n')),
  },
  {
    group: 'wrong',
    fault: 'an error beside text',
    expected: { ...wrong, code: 'CAESURA_E_MODEL_ERROR' },
    start: () =>
      serve((exchange) =>
        sayWhole(exchange, line('a') + line(' b').replace('"done"', '"error":{"message":"oh"},"done"') + lastLine(2)),
      ),
  },
  {
    group: 'wrong',
    fault: 'the model is loaded, and nothing is generated',
    expected: { ...wrong, ...empty, code: 'CAESURA_E_MODEL_ERROR', retried: true },
    start: () =>
      serve((exchange) => sayWhole(exchange, '{"message":{"content":""},"done":true,"done_reason":"load"}\n')),
  },
  {
    group: 'wrong',
    fault: '`{"error"}` after tokens',
    expected: { ...wrong, code: 'CAESURA_E_MODEL_ERROR' },
    start: after('{"error":"an error was encountered while running the model: unexpected EOF"}\n'),
  },
]
