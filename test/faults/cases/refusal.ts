import type { FaultCase } from '../fault.ts'
import { serve } from './scene.ts'

const refusal = (
  fault: string,
  [status, body, headers = {}]: readonly [number, string, Record<string, string>?],
  code: NonNullable<FaultCase['expected']['code']>,
  retried = false,
): FaultCase => ({
  group: 'refusal',
  fault,
  expected: { settlement: 'failed', code, retried, text: '', tokens: 0 },
  start: () => serve((exchange) => exchange.answer(status, { 'content-type': 'application/json', ...headers }, body)),
})

/** Answers with a status that is not 2xx. */
export const refusalCases: readonly FaultCase[] = [
  refusal('400', [400, '{"error":"invalid options: temperature"}'], 'CAESURA_E_REQUEST'),
  refusal(
    '400, the prompt is too long',
    [400, '{"error":"the input length exceeds the context length"}'],
    'CAESURA_E_CONTEXT_FULL',
  ),
  refusal('404, no such model', [404, '{"error":"model \'demo\' not found"}'], 'CAESURA_E_NO_MODEL'),
  refusal('404, no such path', [404, '404 page not found'], 'CAESURA_E_PROTOCOL'),
  refusal(
    '429 with Retry-After',
    [429, '{"error":"slow down"}', { 'retry-after': '1' }],
    'CAESURA_E_SERVER_BUSY',
    true,
  ),
  refusal('500', [500, '{"error":"llama runner process has terminated"}'], 'CAESURA_E_SERVER', true),
  refusal('502 with a page of HTML', [502, '<html><body>Bad Gateway</body></html>'], 'CAESURA_E_SERVER', true),
  refusal('504', [504, ''], 'CAESURA_E_SERVER', true),
  refusal('503, the queue is full', [503, '{"error":"server busy, please try again"}'], 'CAESURA_E_SERVER_BUSY', true),
  refusal('a redirect', [307, '', { location: 'http://127.0.0.1:9/api/chat' }], 'CAESURA_E_PROTOCOL'),
]
