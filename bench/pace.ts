/**
 * 10,000 tokens/s through one run: from the backend's token to the reader of the run's events, in real time, against the same
 * backend read through the least queue that an async iterator can be. In turns. Settings: `rounds=N`, `tokens=N`, `gapUs=N`.
 */
import type { Node } from '../src/core/ports.ts'
import { type Clock, createEngine, definePipeline, scripted, systemClock } from '../src/index.ts'
import { fixed, judge, machine, printTable, setting, spread } from './figures.ts'

const LIMIT_MS = 1
/** Nearer than this a timer would come late, ns. */
const NEAR_NS = 2e6

const rounds = setting('rounds', 12)
const count = setting('tokens', 10_000)
const gapUs = setting('gapUs', 100)

/** Real time. A timer of Node comes a millisecond late or so: what is due soon is looked for at each turn of the event loop. */
const exact: Clock = {
  ...systemClock,
  schedule(at, wake) {
    if (at > systemClock.now() + NEAR_NS) return systemClock.schedule(at, wake)
    let turn: NodeJS.Immediate
    const look = () => {
      if (systemClock.now() >= at) wake()
      else turn = setImmediate(look)
    }
    turn = setImmediate(look)
    return () => clearImmediate(turn)
  },
}

const tokens = Array.from({ length: count }, (_, index) => (index % 12 === 11 ? ' end.' : ' token'))
const { backend, ...rest } = scripted({ name: 'bench', script: { tokens, firstTokenMs: 5, tokenMs: gapUs / 1_000 } })
/** When the backend said each token of the call in progress, ns. */
let said: number[] = []
const node: Node = {
  ...rest,
  backend: {
    ...backend,
    generate: (request, context) => {
      said = []
      const token = (text: string) => {
        said.push(systemClock.now())
        context.token(text)
      }
      return backend.generate(request, { ...context, token })
    },
  },
}

const pipeline = definePipeline({
  name: 'pace',
  stages: [
    {
      id: 'answer',
      model: 'm',
      prompt: '{{ input }}',
      policy: { trigger: { any: ['signal', { tokens: 1_000_000 }, { sentence: 1_000_000 }] }, response: 'abort' },
    },
  ],
})
const engine = createEngine({ nodes: [node], clock: exact })

/** From the backend to the reader, ms, for each token. */
async function throughEngine(): Promise<number[]> {
  const run = engine.start(pipeline, { input: 'question' })
  const late: number[] = []
  for await (const { type } of run.events)
    if (type === 'token') late.push((systemClock.now() - said[late.length]!) / 1e6)
  await run.result
  return late
}

async function bare(): Promise<number[]> {
  const arrived: string[] = []
  let wake = () => {}
  const request = { callId: 'c', runId: 'r', stage: 's', attempt: 1, model: 'm', messages: [], options: {} } as const
  const done = node.backend.generate(
    { ...request, placement: 'any' },
    {
      clock: exact,
      signal: new AbortController().signal,
      mark: () => {},
      thinking: () => undefined,
      token: (text) => {
        arrived.push(text)
        wake()
      },
    },
  )
  const late: number[] = []
  async function* read() {
    for (let next = 0; next < count; ) {
      if (next < arrived.length) yield arrived[next++]
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  }
  for await (const text of read()) if (text !== undefined) late.push((systemClock.now() - said[late.length]!) / 1e6)
  await done
  return late
}

const arms = { engine: throughEngine, 'bare backend': bare }
const samples: Record<keyof typeof arms, number[][]> = { engine: [], 'bare backend': [] }
const paces: Record<keyof typeof arms, number[]> = { engine: [], 'bare backend': [] }
for (let round = -2; round < rounds; round++) {
  for (const name of ['engine', 'bare backend'] as const) {
    const late = await arms[name]()
    if (late.length !== count) throw new Error(`${name}: ${late.length} tokens`)
    if (round < 0) continue
    samples[name].push(late)
    paces[name].push((count - 1) / ((said.at(-1)! - said[0]!) / 1e9))
  }
}
await engine.close()

console.log(`${count} tokens, one each ${gapUs} µs, ${rounds} rounds. ${machine()}\n`)
const ofRounds = (name: keyof typeof arms) => samples[name].map((late) => spread(late))
const median = (values: number[]) => spread(values).p50
printTable(
  ['backend → reader, ms', 'p50', 'p99', 'worst p99 of a round', 'tokens/s'],
  (['engine', 'bare backend'] as const).map((name) => {
    const each = ofRounds(name)
    const p99s = each.map(({ p99 }) => p99)
    return [
      name,
      fixed(median(each.map(({ p50 }) => p50)), 4),
      fixed(median(p99s), 4),
      fixed(Math.max(...p99s), 4),
      fixed(median(paces[name]), 0),
    ]
  }),
)
const [ours, theirs] = [ofRounds('engine'), ofRounds('bare backend')]
console.log()
judge('added at p99, p50 of the rounds', median(ours.map(({ p99 }, round) => p99 - theirs[round]!.p99)), LIMIT_MS, 'ms')
judge('tokens/s short of the bare backend', 1 - median(paces.engine) / median(paces['bare backend']), 0.02, 'of it')
