/**
 * CPU a token of one run, and how it grows with the answer's length: trigger evaluated at each token, a reader attached, against
 * the scripted backend alone. Settings: `rounds=N`.
 */

import { type Clock, createEngine, definePipeline, type Pipeline, scripted } from '../src/index.ts'
import { scriptedBackend } from '../src/nodes/backends/scripted.ts'
import { fixed, judge, machine, printTable, setting, spread } from './figures.ts'

const LIMIT_GROWTH = 1.3
const LENGTHS = [100, 1_000, 10_000]

/** Real time whose timers fire in the next turn of the event loop: a token a turn, nothing waits. */
const eager: Clock = {
  now: () => Math.round(performance.now() * 1e6),
  wall: () => Date.now(),
  schedule(_at, wake) {
    const turn = setImmediate(wake)
    return () => clearImmediate(turn)
  },
}
/** The same with real timers where they lie far ahead, as stall timers do. */
const eagerWithTimers: Clock = {
  ...eager,
  schedule(at, wake) {
    if (at <= eager.now() + 1e6) return eager.schedule(at, wake)
    const timer = setTimeout(wake, (at - eager.now()) / 1e6)
    return () => clearTimeout(timer)
  },
}

/** English-like: a sentence each twelve tokens. */
const prose = (length: number) =>
  Array.from({ length }, (_, index) => (index % 12 === 0 ? ' The' : index % 12 === 11 ? ' end.' : ' token'))
/** One sentence that never ends, each token with what could end one. */
const dotted = (length: number) => Array.from({ length }, () => 'a.b')

interface Case {
  readonly name: string
  readonly pipeline: Pipeline
  readonly clock: Clock
  readonly text: (length: number) => string[]
}
const pipelineWith = (stage: object): Pipeline =>
  definePipeline({
    name: 'tokens',
    stages: [
      {
        id: 'answer',
        model: 'm',
        prompt: '{{ input }}',
        policy: { trigger: { any: ['signal', { tokens: 1_000_000 }] }, response: 'abort' },
        ...stage,
      },
    ],
  })
const plain = pipelineWith({})
const cases: readonly Case[] = [
  { name: 'prose', pipeline: plain, clock: eager, text: prose },
  {
    name: 'prose, stall and total timeouts',
    pipeline: pipelineWith({ timeout: { stall: '10s', total: '60s' } }),
    clock: eagerWithTimers,
    text: prose,
  },
  { name: 'no sentence ends, dots in each token', pipeline: plain, clock: eager, text: dotted },
]

/** CPU µs a token. */
async function cpuATokenOf(length: number, work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / length
}

async function throughEngine({ pipeline, clock }: Case, tokens: readonly string[]): Promise<void> {
  await using engine = createEngine({ nodes: [scripted({ name: 'bench', script: { tokens } })], clock })
  const run = engine.start(pipeline, { input: 'question' })
  let seen = 0
  for await (const event of run.events) if (event.type === 'token') seen += 1
  const { outcome } = await run.result
  if (outcome !== 'completed' || seen !== tokens.length) throw new Error(`a run went wrong: ${outcome}, ${seen} tokens`)
}

async function backendAlone(tokens: readonly string[]): Promise<void> {
  const request = { callId: 'c', runId: 'r', stage: 's', attempt: 1, model: 'm', messages: [], options: {} } as const
  await scriptedBackend({ tokens }).generate(
    { ...request, placement: 'any' },
    {
      clock: eager,
      signal: new AbortController().signal,
      mark: () => undefined,
      token: () => undefined,
      thinking: () => undefined,
    },
  )
}

const rounds = setting('rounds', 20)
console.log(`CPU a token, ${rounds} rounds a figure. ${machine()}\n`)
const rows: string[][] = []
const growth = new Map<string, number>()
for (const one of cases) {
  const medians: number[] = []
  for (const length of LENGTHS) {
    const tokens = one.text(length)
    // Short answers are measured many at a time: the CPU clock counts in whole microseconds and the parts of a run in dozens.
    const repeats = Math.max(1, 5_000 / length)
    const engineUs: number[] = []
    const aloneUs: number[] = []
    const measure = async (into: number[], work: () => Promise<void>) => {
      const us = await cpuATokenOf(length * repeats, async () => {
        for (let repeat = 0; repeat < repeats; repeat++) await work()
      })
      into.push(us)
    }
    for (let round = -3; round < rounds; round++) {
      const [engineInto, aloneInto] = round < 0 ? [[], []] : [engineUs, aloneUs]
      await measure(engineInto, () => throughEngine(one, tokens))
      await measure(aloneInto, () => backendAlone(tokens))
    }
    const [engine, alone] = [spread(engineUs), spread(aloneUs)]
    medians.push(engine.p50)
    rows.push([
      one.name,
      String(length),
      fixed(engine.p50),
      fixed(engine.p95),
      fixed(alone.p50),
      fixed(engine.p50 / alone.p50),
    ])
  }
  growth.set(one.name, medians.at(-1)! / medians.at(-2)!)
}
printTable(['answer', 'tokens', 'µs a token, p50', 'p95', 'backend alone, p50', 'ratio'], rows)
console.log()
for (const [name, ratio] of growth) judge(`${name}: 10,000 tokens over 1,000`, ratio, LIMIT_GROWTH, '×')
