/**
 * What the engine adds to a run of two stages: the whole of it (machines, marks, an attached reader, the record) against the bare
 * `ollama` client doing the same two calls, in turns. Settings: `pairs=N`, `warmup=N`.
 */
import { Ollama } from 'ollama'
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

async function bare(): Promise<void> {
  const ask = async (content: string) => {
    let text = ''
    const answer = await client.chat({ model: MODEL, messages: [{ role: 'user', content }], stream: true })
    for await (const line of answer) text += line.message.content
    return text
  }
  const draft = await ask(QUESTION)
  await ask(`Question: ${QUESTION}\nDraft: ${draft}`)
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
for (let round = setting('warmup', 10); round > 0; round--) {
  await sample(throughEngine)
  await sample(bare)
}
const withEngine: Sample[] = []
const without: Sample[] = []
for (let pair = 0; pair < pairs; pair++) {
  // Who goes first changes, so that nothing favours the second.
  if (pair % 2 === 0) withEngine.push(await sample(throughEngine))
  without.push(await sample(bare))
  if (pair % 2 === 1) withEngine.push(await sample(throughEngine))
}

const difference = (read: (sample: Sample) => number) =>
  spread(withEngine.map((one, index) => read(one) - read(without[index]!)))
const total = difference((one) => one.total)
const outside = difference((one) => one.outside)
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
  ],
)
console.log(`\nratio of the medians: whole run ${fixed(engineTotal.p50 / bareTotal.p50, 4)}`)
judge('overhead, p50 of the whole-run differences', total.p50, LIMIT_MS, 'ms')
judge('overhead, p50 of the differences outside of the server', outside.p50, LIMIT_MS, 'ms')
