import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { definePipeline } from '../../src/app/compose.ts'
import { connectFleet } from '../../src/app/fleet.ts'
import type { SignalAnswer } from '../../src/core/engine.ts'
import { CaesuraError } from '../../src/core/errors.ts'
import type { RunEvent } from '../../src/core/event.ts'
import type { Fleet } from '../../src/core/fleet.ts'
import { type Faults, type Story, verify } from '../chaos/verify.ts'

// One trial of a fleet over the Redis of an address, in a process of its own: `trial.ts URL`. It says `{ underWay: true }` to its parent
// while its calls go on, `{ result }` at the end.

const RUNS = 8
/** How long an interrupt's answer may come after the run's end, ms. */
const ANSWER_MS = 10_000
/** So many pieces of the draft have come when it is interrupted. */
const INTERRUPT_AT = 10
/** How long a run may take beyond which it is stuck, ms. A failover is in it. */
const STUCK_MS = 60_000
const workerFile = fileURLToPath(new URL('./worker.ts', import.meta.url))

/** What a trial found. */
export interface TrialResult {
  readonly runs: number
  /** Runs that ended with a record. */
  readonly ended: number
  /** Interrupts that were taken. */
  readonly interrupts: number
  /** Runs that went on when their host was killed. */
  readonly takenOver: number
  /** What was wrong, in words; empty where all was right. */
  readonly faults: readonly string[]
  /** Why the fleet refused to start. */
  readonly refused?: string
  readonly ms: number
}

const pipeline = definePipeline({
  name: 'where',
  stages: [
    {
      ...{ id: 'draft', model: 'scripted', prompt: 'draft {{ input }}' },
      policy: { trigger: 'signal', response: 'abort', carry: 'all', then: 'next' },
    },
    {
      ...{ id: 'refine', model: 'scripted', prompt: 'refine {{ input }} | {{ draft.output }} | {{ interrupt.input }}' },
      policy: { trigger: { never: null, signals: 'ignore' } },
    },
  ],
})

const asked = new Map<string, number>()
const children: ChildProcess[] = []
const loaded = new Map<ChildProcess, Promise<unknown>>()

function forkWorker(kind: string, url: string, name: string): ChildProcess {
  const child = fork(workerFile, [kind, url, name], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  children.push(child)
  child.on('message', ({ asked: call }: { asked?: string }) => {
    if (call !== undefined) asked.set(call, (asked.get(call) ?? 0) + 1)
  })
  loaded.set(child, once(child, 'message'))
  return child
}

/** Resolves when it works. It takes a second to load: a host that is to be there at once is forked before. */
async function begin(child: ChildProcess): Promise<void> {
  await loaded.get(child)
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('a worker did not start')))
  ended.catch(() => undefined)
  child.send('begin')
  const ready = new Promise<void>((resolve) => {
    child.on('message', ({ ready: id }: { ready?: string }) => id !== undefined && resolve())
  })
  await Promise.race([ready, ended])
}

/** Reads a run and interrupts it. Yields whether the interrupt was taken; it comes too late where its way was cut off until the draft stood. */
async function follow(fleet: Fleet, story: Story): Promise<boolean> {
  await fleet.submit(pipeline, { input: story.input, runId: story.runId })
  let answer: Promise<SignalAnswer | undefined> | undefined
  let tokens = 0
  for await (const event of fleet.events(story.runId, 0, AbortSignal.timeout(STUCK_MS))) {
    story.events.push(event)
    if (event.type === 'token') tokens += 1
    if (tokens < INTERRUPT_AT || answer !== undefined) continue
    const input = `change of ${story.runId}`
    story.signals.push(input)
    answer = fleet.interrupt(story.runId, { input })
    answer.catch(() => undefined)
  }
  const { record } = await fleet.read(story.runId)
  if (record !== undefined) story.record = record
  const answered = await Promise.race([answer, pause(ANSWER_MS, undefined, { ref: false })])
  if (answered === undefined) throw new Error('its interrupt has no answer')
  return answered.accepted
}

/** A second reader's view: what is kept. */
async function kept(fleet: Fleet, runId: string): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for await (const event of fleet.events(runId, 0, AbortSignal.timeout(STUCK_MS))) events.push(event)
  return events
}

async function trial(url: string): Promise<TrialResult> {
  const began = performance.now()
  const fleet = await connectFleet({ url })
  const [host, spare] = ['p1', 'p2'].map((name) => forkWorker('pipelines', url, name))
  const [node, other] = ['s1', 's2'].map((name) => forkWorker('stages', url, name))
  await Promise.all([host!, node!, other!].map(begin))
  await loaded.get(spare!)
  const stories = Array.from({ length: RUNS }, (_, index): Story => {
    return { runId: `where-${index}`, input: `question ${index}`, cancelled: false, signals: [], events: [] }
  })
  const following = Promise.allSettled(stories.map((story) => follow(fleet, story)))
  while (stories.some(({ events }) => events.every(({ type }) => type !== 'token'))) await pause(20)
  // The only host dies in the middle, and then a node. Another host is there.
  host!.kill('SIGKILL')
  const takenOver = stories.filter(({ events }) => events.at(-1)?.type !== 'run-end').length
  await begin(spare!)
  node!.kill('SIGKILL')
  process.send?.({ underWay: true })
  const taken = await following
  const faults: string[] = []
  if (takenOver === 0) faults.push('no run was under way when its host was killed')
  const found: Faults = { wrongText: [], crossKills: [], doubled: [] }
  for (const [index, story] of stories.entries()) {
    const ends = story.events.filter(({ type }) => type === 'run-end').length
    const outcome = taken[index]!
    if (outcome.status === 'rejected') faults.push(`${story.runId}: ${outcome.reason}`)
    if (story.record === undefined) faults.push(`${story.runId}: lost or stuck after ${story.events.at(-1)?.type}`)
    if (ends !== 1) faults.push(`${story.runId}: ended ${ends} times`)
    if (story.record === undefined) continue
    verify(story, await kept(fleet, story.runId), found)
  }
  for (const [call, times] of asked) if (times > 1) found.doubled.push(`${call}: asked ${times} times`)
  await fleet.close()
  return {
    ...{ runs: RUNS, ended: stories.filter(({ record }) => record !== undefined).length, takenOver },
    interrupts: taken.filter((each) => each.status === 'fulfilled' && each.value).length,
    faults: [...faults, ...Object.values(found).flat()],
    ms: Math.round(performance.now() - began),
  }
}

const began = performance.now()
const result: TrialResult = await trial(process.argv[2] ?? '').catch((error: Error) => {
  const none = { runs: RUNS, ended: 0, interrupts: 0, takenOver: 0, ms: Math.round(performance.now() - began) }
  if (error instanceof CaesuraError && error.code === 'CAESURA_E_REDIS')
    return { ...none, faults: [], refused: error.message }
  return { ...none, faults: [error.stack ?? String(error)] }
})
process.send?.({ result })
for (const child of children) child.kill('SIGKILL')
process.disconnect?.()
process.exit()
