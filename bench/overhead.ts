/**
 * What the engine adds to a run of two stages: the whole of it (machines, marks, an attached reader, the record) against the bare
 * `ollama` client doing the same two calls, in turns; and, for comparison, the same two calls as a bare XState machine. Settings: `pairs=N`, `warmup=N`.
 */
import { Ollama } from 'ollama'
import { createActor, fromPromise, setup, toPromise } from 'xstate'
import { createEngine, definePipeline, ollama } from '../src/index.ts'
import { fixed, judge, machine, printTable, setting, spread } from './figures.ts'
import { ModelServer, monotonicMs } from './model-server.ts'

const LIMIT_MS = 0.8
const MODEL = '20/2/50'
const QUESTION = 'How do I descale a kettle?'

const pipeline = definePipeline({
  name: 'overhead',
  stages: [
    { id: 'draft', model: MODEL, prompt: '{{ input }}', policy: { trigger: 'signal', response: 'abort' } },
    { id: 'refine', model: MODEL, prompt: 'Question: {{ input }}\nDraft: {{ draft.output }}' },
  ],
})

using server = await ModelServer.start()
await using engine = createEngine({ nodes: [ollama({ name: 'bench', url: server.url })] })

async function throughEngine(): Promise<void> {
  const run = engine.start(pipeline, { input: QUESTION })
  let tokens = 0
  for await (const event of run.events) if (event.type === 'token') tokens += 1
  const record = await run.result
  if (record.outcome !== 'completed' || tokens !== 100) throw new Error(`a run went wrong: ${JSON.stringify(record)}`)
}

const client = new Ollama({ host: server.url })

async function ask(content: string): Promise<string> {
  let text = ''
  const answer = await client.chat({ model: MODEL, messages: [{ role: 'user', content }], stream: true })
  for await (const line of answer) text += line.message.content
  return text
}

async function bare(): Promise<void> {
  const draft = await ask(QUESTION)
  await ask(`Question: ${QUESTION}\nDraft: ${draft}`)
}

/** The least that an engine on XState can be: two states, each of which waits for a promise. */
const leastMachine = setup({
  actors: { ask: fromPromise<string, string>(({ input }) => ask(input)) },
}).createMachine({
  initial: 'draft',
  states: {
    draft: { invoke: { src: 'ask', input: QUESTION, onDone: 'refine' } },
    refine: {
      invoke: {
        src: 'ask',
        input: ({ event }) => `Question: ${QUESTION}\nDraft: ${'output' in event ? event.output : ''}`,
        onDone: 'done',
      },
    },
    done: { type: 'final' },
  },
})

async function throughXState(): Promise<void> {
  const actor = createActor(leastMachine)
  const done = toPromise(actor)
  actor.start()
  await done
}

interface Sample {
  readonly total: number
  /** What is left of the total without the time that the server itself took, which wavers with its timers. */
  readonly outside: number
}

async function sample(work: () => Promise<void>): Promise<Sample> {
  const from = monotonicMs()
  await work()
  const total = monotonicMs() - from
  const [first = 0, second = 0] = await server.servedMs(2)
  return { total, outside: total - first - second }
}

const pairs = setting('pairs', 80)
for (let round = setting('warmup', 60); round > 0; round--) {
  await sample(throughEngine)
  await sample(bare)
  await sample(throughXState)
}
const withEngine: Sample[] = []
const without: Sample[] = []
const withXState: Sample[] = []
for (let pair = 0; pair < pairs; pair++) {
  // Who goes first changes, so that nothing favours the second.
  if (pair % 2 === 0) withEngine.push(await sample(throughEngine))
  without.push(await sample(bare))
  if (pair % 2 === 1) withEngine.push(await sample(throughEngine))
  withXState.push(await sample(throughXState))
}

const difference = (samples: Sample[], read: (sample: Sample) => number) =>
  spread(samples.map((one, index) => read(one) - read(without[index]!)))
const total = difference(withEngine, (one) => one.total)
const outside = difference(withEngine, (one) => one.outside)
const leastOutside = difference(withXState, (one) => one.outside)
const row = (name: string, sample: { p50: number; p95: number; p99: number }) => [
  name,
  ...[sample.p50, sample.p95, sample.p99].map((ms) => fixed(ms)),
]
const engineTotal = spread(withEngine.map((one) => one.total))
const bareTotal = spread(without.map((one) => one.total))
const engineOutside = spread(withEngine.map((one) => one.outside))
const bareOutside = spread(without.map((one) => one.outside))

console.log(`Overhead of a two-stage run, ${pairs} pairs. ${machine()}\n`)
printTable(
  ['ms', 'p50', 'p95', 'p99'],
  [
    row('engine, whole run', engineTotal),
    row('bare client, whole run', bareTotal),
    row('difference of a pair', total),
    row('engine, outside of the server', engineOutside),
    row('bare client, outside of the server', bareOutside),
    row('difference of a pair, outside of the server', outside),
    row('the same of a bare XState machine', leastOutside),
  ],
)
console.log(
  `\nratio of the medians: whole run ${fixed(engineTotal.p50 / bareTotal.p50, 4)}, outside of the server ${fixed(engineOutside.p50 / bareOutside.p50)}`,
)
judge('overhead, p50 of the whole-run differences', total.p50, LIMIT_MS, 'ms')
judge('overhead, p50 of the differences outside of the server', outside.p50, LIMIT_MS, 'ms')
