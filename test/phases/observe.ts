import { Worker } from 'node:worker_threads'
import { createEngine, definePipeline } from '../../src/app/compose.ts'
import type { Pipeline } from '../../src/core/pipeline.ts'
import type { Backend } from '../../src/core/ports.ts'
import type { CallRecord, Phase, PhaseName, RunRecord } from '../../src/core/record.ts'
import { ollamaBackend } from '../../src/nodes/backends/ollama.ts'
import { openaiBackend } from '../../src/nodes/backends/openai.ts'
import type { Scenario } from './scenario.ts'
import type { ToldInstants } from './told-server.ts'

/** What was said of one call, and what was true of it. Lengths in ms. */
export interface Observed {
  readonly record: RunRecord
  readonly call: CallRecord
  readonly phases: readonly Phase[]
  readonly truth: Readonly<Partial<Record<PhaseName, number>>>
}

/** How a pipeline is run: in this process, or elsewhere. */
export type RunWith = (backend: Backend, pipeline: Pipeline, input: string) => Promise<RunRecord>

const pipeline = definePipeline({
  name: 'phases',
  stages: [
    { id: 'a', model: 'a', prompt: 'x', policy: { trigger: { after: 30 }, response: 'abort', carry: 'none' } },
    { id: 'b', model: 'b', prompt: '{{ input }}' },
  ],
})

/** In this process. */
export const runHere: RunWith = async (backend, asked, input) => {
  await using engine = createEngine({ nodes: [{ name: 'n', backend, slots: 1, pool: 'default' }] })
  return await engine.start(asked, { input }).result
}

type Message = { readonly id: number; readonly port?: number; readonly told?: ToldInstants }

let thread: Worker | undefined
let scenariosPlayed = 0

/** Plays a scenario: its own server and proxy, one run whose first call is interrupted. */
export async function observe(scenario: Scenario, runWith: RunWith = runHere): Promise<Observed> {
  thread ??= new Worker(new URL('./told-server.ts', import.meta.url)).setMaxListeners(0)
  const id = ++scenariosPlayed
  const [port, told] = [Promise.withResolvers<number>(), Promise.withResolvers<ToldInstants>()]
  const hear = (message: Message) => {
    if (message.id !== id) return
    if (message.port !== undefined) port.resolve(message.port)
    if (message.told !== undefined) told.resolve(message.told)
  }
  thread.on('message', hear).once('error', port.reject)
  thread.postMessage({ id, scenario })
  try {
    const url = `http://127.0.0.1:${await port.promise}`
    const inner = scenario.wire === 'ollama' ? ollamaBackend({ url }) : openaiBackend({ url: `${url}/v1` })
    const backend = scenario.busyMs === undefined ? inner : busy(inner, scenario.busyMs)
    const record = await runWith(backend, pipeline, promptOf(scenario.promptBytes ?? 20))
    if (record.outcome !== 'completed') throw new Error(`the run has failed: ${JSON.stringify(record.error)}`)
    return observed(record, await told.promise, scenario.promptBytes !== undefined)
  } finally {
    thread.off('message', hear).off('error', port.reject)
  }
}

/** Ends the servers and proxies of all scenarios. */
export async function endServers(): Promise<void> {
  await thread?.terminate()
  thread = undefined
}

/** This process does something else when the first piece of `b` is about to come. */
const busy = (backend: Backend, ms: number): Backend => ({
  ...backend,
  generate(request, context) {
    if (request.model === 'b')
      setTimeout(() => {
        for (const from = performance.now(); performance.now() - from < ms; );
      }, 60)
    return backend.generate(request, context)
  },
})

function observed(record: RunRecord, told: ToldInstants, isLong: boolean): Observed {
  const call = record.stages.find(({ id, settlement }) => id === 'b' && settlement === 'completed')
  const interrupt = record.interrupts[0]
  if (call === undefined || interrupt?.toFirstTokenMs === undefined)
    throw new Error(`no answer: ${JSON.stringify(record.error ?? record.stages.map(({ settlement }) => settlement))}`)
  const at = (ms: number) => record.startedUnixMs! + ms
  const markAt = (name: string) => at(call.marks.find((mark) => mark.name === name)?.ms ?? call.startMs)
  const firstPieceAt = at(call.firstPieceMs ?? call.firstTokenMs!)
  const sendFrom = Math.max(markAt('connected'), markAt('slot-acquired'))
  const { uploadedAt, receivedAt, bodyAt, queueMs, loadMs, prefillMs, prefillEndAt } = told
  const backMs = firstPieceAt - told.firstPieceAt
  return {
    record,
    call,
    phases: interrupt.phases,
    truth: {
      send: uploadedAt - sendFrom,
      'server-queue': queueMs,
      // As Ollama counts it: from its first sight of the request, of which the rest is still to come.
      load: loadMs + (isLong ? 0 : bodyAt - receivedAt),
      prefill: prefillMs,
      'first-token': told.firstPieceAt - prefillEndAt,
      transport: Math.max(0, receivedAt - uploadedAt) + backMs,
      // From the first piece that was seen here on: one that came late leaves less of it.
      thinking: Math.max(0, told.firstTextAt - told.firstPieceAt - backMs),
    },
  }
}

/** Within this of the truth a length is right, ms. */
const tolerance = (ms: number) => Math.max(5, 0.1 * ms)

/** What is wrong with what was said; empty where every phase is right or honestly left open. */
export function faultsOf({ phases, truth, call, record }: Observed, scenario: Scenario): string[] {
  const said = (name: PhaseName) => phases.find((phase) => phase.name === name)?.ms ?? 0
  const open = phases.find(({ name }) => name === 'unattributed')
  const faults = (Object.entries(truth) as [PhaseName, number][]).flatMap(([name, ms]) => {
    // A mark that a busy machine sets late makes `send` longer than a request of a few bytes takes.
    if (name === 'send' && scenario.promptBytes === undefined) return []
    // A first text that was read late makes thinking longer.
    const late = name === 'thinking' ? (call.lateLoopMs ?? 0) : 0
    if (said(name) > ms + tolerance(ms) + late) return [`${name} is said to be ${said(name)} ms and was ${ms} ms`]
    const missing = ms - said(name)
    if (missing <= tolerance(ms)) return []
    if ((open?.ms ?? 0) < missing - tolerance(ms)) return [`${missing} ms of ${name} are nowhere`]
    return open?.candidates?.includes(name) ? [] : [`${missing} ms of ${name} are open, and it is no candidate`]
  })
  const sumNs = phases.reduce((sum, { ms }) => sum + Math.round(ms * 1e6), 0)
  if (sumNs !== Math.round(record.interrupts[0]!.toFirstTokenMs! * 1e6)) faults.push('the phases do not sum')
  const unused = call.server?.unused
  if (scenario.report === 'unused' && unused === undefined) faults.push('a wrong report was used')
  // A process that was not given the processor has seen little that could bear a report out.
  if (scenario.report === 'used' && unused !== undefined && call.lateLoopMs === undefined)
    faults.push(`a right report was not used: ${unused}`)
  return faults
}

/** A prompt of about so many bytes: an input has at most 1,048,576 characters, so a long one is made of characters of three bytes. */
const promptOf = (bytes: number): string =>
  bytes > 1_000_000 ? '\u6587'.repeat(Math.min(1_048_000, Math.floor(bytes / 3))) : 'x'.repeat(bytes)
