import { describe, expect, it } from 'vitest'
import { answerFrom } from '../../../src/experiments/overhead/answer.ts'

const http = (ms: number, low: number, high: number) => ({ ms, interval: [low, high] as const, n: 8 })
const runs = (differenceMs: number, low: number, high: number, drain = differenceMs - 3) => ({
  differenceMs,
  interval: [low, high] as const,
  n: 8,
  parts: drain > 0 ? [{ name: 'drain' as const, ms: drain }] : [],
})

describe('the answer to "is it HTTP?"', () => {
  it.each([
    [
      'little and certain',
      answerFrom(http(0.9, 0.6, 1.2), runs(91, 85, 97), runs(86, 80, 92)),
      'No: HTTP costs 0.9 ms a call (95 % interval 0.6 to 1.2); of the 91 ms between the two runs 88 ms are the rest of the first stage that the drain waited for. In-process, without any HTTP, they differ by 86 ms.',
    ],
    [
      'most of the difference',
      answerFrom(http(80, 70, 90), runs(91, 85, 97, 0)),
      /^Yes: HTTP costs 80 ms a call .*no wait/,
    ],
    ['a part of it', answerFrom(http(35, 33, 38), runs(91, 85, 97)), /^In part: HTTP costs 35 ms/],
    [
      'between little and most, and not sure',
      answerFrom(http(30, 2, 60), runs(91, 85, 97)),
      /^Not known: the intervals/,
    ],
    [
      'a difference that may be none',
      answerFrom(http(1, 0.5, 2), runs(4, -3, 9)),
      /^Not known: the two runs do not differ/,
    ],
    ['a single block', answerFrom({ ms: 1, n: 1 }, runs(91, 85, 97)), /^Not known: HTTP costs 1\.0 ms .* no interval/],
    [
      'few blocks',
      answerFrom({ ...http(0.9, 0.6, 1.2), n: 5 }, runs(91, 85, 97)),
      /^No: HTTP costs 0\.9 ms a call \(range of 5 blocks 0\.6 to 1\.2\)/,
    ],
    ['no transport', answerFrom(undefined, runs(91, 85, 97)), /^Not known: too little/],
    ['no runs', answerFrom(http(1, 0.5, 2), { parts: [], n: 0 }), /^Not known: too little/],
    [
      'nothing certain in-process',
      answerFrom(http(1, 0.5, 2), runs(91, 85, 97), runs(8, -4, 20)),
      /8\.0 ms is not certain\.$/,
    ],
  ])('%s', (_, answer, expected) => {
    if (typeof expected === 'string') expect(answer).toBe(expected)
    else expect(answer).toMatch(expected)
  })
})
