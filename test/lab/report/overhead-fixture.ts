import { range } from 'd3-array'
import { randomNormal, randomUniform } from 'd3-random'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Overhead, Slope } from '../../../src/lab/overhead/result.ts'

const generator = xoroshiro128plus(7)
const source = () => (generator.next() >>> 0) / 2 ** 32
const moment = randomUniform.source(source)(2, 180)
const noise = randomNormal.source(source)(0, 4)

/** First tokens after `fixed` ms and, for a drain, the rest of a first stage of 187 ms. */
function slopeOf(handoff: string, transport: Slope['transport'], value: number, fixed: number): Slope {
  const points = range(60).map(() => {
    const sinceCallMs = moment()
    return { sinceCallMs, toFirstTokenMs: Math.max(1, fixed + value * (sinceCallMs - 187) + noise()) }
  })
  return { handoff, transport, value, interval: [value - 0.04, value + 0.04], points, n: points.length }
}

export const overhead: Overhead = {
  schema: 'caesura.overhead/1',
  execution: '7e2b61d0',
  startedAt: '2026-11-25T18:00:00.000Z',
  durationMs: 58_200,
  quick: true,
  setting: {
    model: 'caesura-demo-3m.q8_0.gguf',
    seed: 1,
    blocks: 24,
    maxTokens: 48,
    promptTokens: 31,
    servers: [{ name: 'embedded server', version: '0.9.0' }],
    skipped: [{ transport: 'ollama', reason: 'no Ollama answered' }],
  },
  contrasts: (
    [
      ['transport', 'embedded server', 0.62, [0.51, 0.74], 'request → first token over HTTP, less the same in-process'],
      ['connection', 'embedded server', 0.31, [0.18, 0.46], 'a fresh connection, less a reused one'],
      ['load', 'embedded server', 41.2, [38.9, 44.1], 'the model not loaded, less loaded'],
      ['preparation', 'embedded server', 0.05, [0.04, 0.06], 'what the server does before a warm call'],
      ['drain', 'embedded server', 88.4, [86.2, 90.9], 'interrupt → old call settled, while it is waited for'],
      ['abort', 'embedded server', 3.1, [2.4, 3.9], 'abort requested → old call settled'],
      ['slot', 'embedded server', 12.5, [-1.2, 24.8], 'fire without abort on one slot, less on two'],
      ['prefill', 'embedded server', 1.9, [1.6, 2.3], 'a prompt of its own, less a shared prefix'],
    ] as const
  ).map(([name, server, ms, interval, is]) => ({ name, server, ms, interval, is, level: 0.95, n: 24 })),
  slopeInsideFirstStage: { value: -0.99, interval: [-1.03, -0.95] },
  slopes: [
    slopeOf('drain', 'http', -0.99, 22),
    slopeOf('abort and wait', 'http', 0.01, 25),
    slopeOf('drain', 'in-process', -1.01, 21),
    { handoff: 'abort and fire', transport: 'http', n: 2 },
  ],
  replication: {
    at100Ms: 109.4,
    at500Ms: 21.2,
    differenceMs: 88.2,
    interval: [85.9, 90.6],
    n: 24,
    firstStageMs: 187.3,
    abortAt100Ms: 24.9,
    parts: [
      { name: 'drain', ms: 87.1 },
      { name: 'prefill', ms: 1.9 },
      { name: 'send', ms: -0.4 },
      { name: 'unattributed', ms: -0.4 },
    ],
    transport: 'http',
    note: 'At 500 ms the first stage had been over for 313 ms: that run is a control in which nothing is interrupted.',
  },
  replicationInProcess: {
    at100Ms: 108.1,
    at500Ms: 20.7,
    differenceMs: 87.4,
    interval: [85.1, 89.7],
    n: 24,
    firstStageMs: 187,
    parts: [
      { name: 'drain', ms: 87 },
      { name: 'prefill', ms: 0.4 },
    ],
    transport: 'in-process',
    note: '',
  },
  cells: (['in-process', 'http'] as const).flatMap((transport) =>
    (['none', 'queued', 'first token', 'decode 50 %'] as const).map((interrupt, index) => ({
      id: `${transport}/${interrupt}`,
      transport,
      interrupt,
      handoff: interrupt === 'none' ? ('none' as const) : ('drain' as const),
      slots: 1,
      connection: transport === 'http' ? ('reused' as const) : ('none' as const),
      prefix: 'unique' as const,
      load: 'warm' as const,
      n: 24,
      p50Ms: 21 + index * 30,
      p95Ms: 26 + index * 31,
      lost: 0,
      ...(interrupt !== 'none' && {
        phases: [
          { name: 'drain' as const, ms: index * 30 },
          { name: 'prefill' as const, ms: 18 },
        ],
      }),
    })),
  ),
  warmUps: 96,
  finding: 'no',
  unknown: [],
  scope: 'The answer is for a server of our own on this machine.',
  cautions: ['the machine was busy: 3 % of the trials waited for a core'],
  answer:
    'No: HTTP costs 0.6 ms (95 % interval 0.5 to 0.7) a call to the embedded server on this machine; waiting for the old call (drain) costs 88 ms (95 % interval 86 to 91). The two runs, which both pay for HTTP, differ by 88 ms (95 % interval 86 to 91); in-process, without any HTTP, by 87 ms (95 % interval 85 to 90).',
}
