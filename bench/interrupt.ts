/**
 * From an interrupt in the middle of an answer to the arrival of the next call's request at the server: `abort` and `overlap`
 * against a hand-written abort (await the rejection, then fetch again; or fetch again at once), in turns. The arrival is stamped in the server's process,
 * on the monotonic clock that both processes share. Settings: `rounds=N`, `warmup=N`.
 */
import { createEngine, definePipeline, ollama, type Pipeline } from '../src/index.ts'
import { fixed, judge, machine, printTable, setting, spread } from './figures.ts'
import { ModelServer, monotonicMs } from './model-server.ts'

const ABORT_LIMIT_RATIO = 1.2
const OVERLAP_LIMIT_MS = 1
/** The first answer would go on for 400 ms; the next one is short. */
const LONG = '5/2/200'
const SHORT = '1/1/2'
/** The token after which the interrupt comes. */
const AT_TOKEN = 12

const pipelineWith = (response: 'abort' | 'overlap'): Pipeline =>
  definePipeline({
    name: response,
    stages: [
      { id: 'draft', model: LONG, prompt: '{{ input }}', policy: { trigger: 'signal', response } },
      { id: 'refine', model: SHORT, prompt: '{{ input }} {{ draft.output }} {{ interrupt.input }}' },
    ],
  })
const pipelines = { abort: pipelineWith('abort'), overlap: pipelineWith('overlap') }

using server = await ModelServer.start()
await using engine = createEngine({ nodes: [ollama({ name: 'bench', url: server.url, slots: 2 })] })

/** Interrupt → arrival of the second request, ms. */
async function throughEngine(response: 'abort' | 'overlap'): Promise<number> {
  const run = engine.start(pipelines[response], { input: 'question' })
  let interruptedAt = 0
  let tokens = 0
  for await (const event of run.events) {
    if (event.type === 'token' && ++tokens === AT_TOKEN) {
      interruptedAt = monotonicMs()
      void run.interrupt({ input: 'change' })
    }
  }
  const { outcome, interrupts } = await run.result
  if (outcome !== 'completed' || interrupts[0]?.decision !== response) throw new Error(`a run went wrong: ${outcome}`)
  const [, second = 0] = await server.arrivals(2)
  return second - interruptedAt
}

async function byHand(atOnce: boolean): Promise<number> {
  const ask = (model: string, content: string, signal?: AbortSignal) =>
    fetch(`${server.url}/api/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content }], stream: true }),
      ...(signal !== undefined && { signal }),
    })
  const controller = new AbortController()
  let interruptedAt = 0
  let text = ''
  let next: Promise<Response> | undefined
  try {
    const decoder = new TextDecoder()
    let rest = ''
    let tokens = 0
    const { body } = await ask(LONG, 'question', controller.signal)
    for await (const piece of body ?? []) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        text += (JSON.parse(line) as { message: { content: string } }).message.content
        tokens += 1
        if (tokens === AT_TOKEN) {
          interruptedAt = monotonicMs()
          controller.abort()
          if (atOnce) next = ask(SHORT, `question ${text} change`)
        }
      }
    }
    throw new Error('the answer was not cut')
  } catch (error) {
    if (!controller.signal.aborted) throw error
  }
  next ??= ask(SHORT, `question ${text} change`)
  await (await next).text()
  const [, second = 0] = await server.arrivals(2)
  return second - interruptedAt
}

const arms = {
  'by hand': () => byHand(false),
  'by hand, at once': () => byHand(true),
  abort: () => throughEngine('abort'),
  overlap: () => throughEngine('overlap'),
}
const names = Object.keys(arms) as (keyof typeof arms)[]
const samples: Record<keyof typeof arms, number[]> = { 'by hand': [], 'by hand, at once': [], abort: [], overlap: [] }
const rounds = setting('rounds', 150)
const warmup = setting('warmup', 50)
for (let round = 0; round < warmup + rounds; round++) {
  for (let turn = 0; turn < names.length; turn++) {
    // Who goes first changes from round to round.
    const name = names[(turn + round) % names.length]!
    const ms = await arms[name]()
    if (round >= warmup) samples[name].push(ms)
  }
}

const hand = spread(samples['by hand'])
console.log(`Interrupt → the next request at the server, ${rounds} rounds after ${warmup}. ${machine()}\n`)
printTable(
  ['ms', 'p50', 'p95', 'p99', 'p50 ratio to by hand'],
  names.map((name) => {
    const { p50, p95, p99 } = spread(samples[name])
    return [name, fixed(p50), fixed(p95), fixed(p99), fixed(p50 / hand.p50)]
  }),
)
console.log()
judge('abort, p50 over by hand', spread(samples.abort).p50 / hand.p50, ABORT_LIMIT_RATIO, '×')
judge('overlap, p50', spread(samples.overlap).p50, OVERLAP_LIMIT_MS, 'ms')
