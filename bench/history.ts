/**
 * What a conversation costs: to put a history of 200 turns into a prompt, and the memory of many sessions. Scripted backend. Needs
 * --expose-gc; starts itself with it. Settings: `rounds=N`, `sessions=N`.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Turn } from '../src/core/turn.ts'
import { historyMessages } from '../src/core/turn.ts'
import { createEngine, definePipeline, scripted } from '../src/index.ts'
import { memorySessions } from '../src/records/stores/memory-sessions.ts'
import { model } from '../src/steps/model.ts'
import { fixed, judge, machine, printTable, setting, spread } from './figures.ts'

const TURNS = 200
const LIMIT_MS = 0.3
const TURNS_A_SESSION = 50
const LIMIT_SHARE = 0.2
const FLAT_WITHIN_KB_A_SESSION = 0.5
/** The texts of one turn, characters. */
const ASKED = 60
const ANSWERED = 440

const { gc } = globalThis
if (gc === undefined) {
  const [script = '', ...rest] = process.argv.slice(1)
  const { status } = spawnSync(process.execPath, ['--expose-gc', script, ...rest], { stdio: 'inherit' })
  process.exit(status ?? 1)
}

let made = 0
/** A text that no other one shares its memory with. */
const textOf = (length: number): string => `${++made} `.padEnd(length, 'How do I descale a kettle? ')

const turnOf = (runId: string): Turn => ({
  ...{ runId, number: 1, at: Date.now(), end: 'answered' },
  ...{ input: textOf(ASKED), text: textOf(ANSWERED) },
})

/** To read a session and to make messages of it. */
function putIn(rounds: number): number[] {
  const store = memorySessions()
  const name = { id: 's', tenant: '' }
  for (let index = 0; index < TURNS; index++) {
    const { end, text, ...begun } = turnOf(crypto.randomUUID())
    store.write(name, begun)
    store.write(name, { ...begun, text: text!, end: end! })
  }
  const wish = { turns: TURNS, keep: 'heard', mark: '…' } as const
  const step = { kind: 'model', system: 'Be brief.', prompt: '{{ input }}' } as const
  const opening = { stage: 'answer', render: (template: string) => template, emptyOutputs: () => [] }
  return Array.from({ length: rounds }, () => {
    const began = performance.now()
    const history = historyMessages(store.read('s')!.turns, wish)
    model.open(step, { ...opening, history })
    return performance.now() - began
  })
}

/** Whole runs of a session, one after the other: from the start to the call, ms. */
async function runs(turns: number, rounds: number): Promise<number[]> {
  let asked = 0
  const engine = createEngine({
    nodes: [
      scripted({
        name: 'n',
        script: () => {
          asked = performance.now()
          return { tokens: ['x'] }
        },
      }),
    ],
  })
  const stages = [{ id: 'answer', model: 'm', prompt: '{{ input }}' }] as const
  const pipeline = definePipeline({ name: 'chat', history: { turns: TURNS }, stages })
  const session = engine.session(pipeline, 's')
  for (let index = 0; index < turns; index++) await session.say(textOf(ASKED)).result
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const one = turns === 0 ? engine.session(pipeline, `s${round}`) : session
    const began = performance.now()
    const { result } = one.say('What now?')
    await result
    times.push(asked - began)
  }
  await engine.close()
  return times
}

async function memoryNow(): Promise<number> {
  for (let pass = 0; pass < 3; pass++) {
    gc?.()
    await sleep(20)
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

async function memory(sessions: number): Promise<void> {
  const store = memorySessions({ most: 2 * sessions })
  const fill = (round: number) => {
    let characters = 0
    for (let session = 0; session < sessions; session++) {
      for (let index = 0; index < TURNS_A_SESSION; index++) {
        const { end, text, ...begun } = turnOf(crypto.randomUUID())
        const name = { id: `${round}-${session}`, tenant: '' }
        store.write(name, begun)
        store.write(name, { ...begun, text: text!, end: end! })
        characters += begun.input.length + text!.length
      }
    }
    return characters
  }
  const empty = (round: number) => {
    for (let session = 0; session < sessions; session++) store.delete(`${round}-${session}`)
  }
  // What is compiled and made once is there before anything is measured.
  fill(0)
  empty(0)
  const before = await memoryNow()
  const texts = fill(1)
  const full = await memoryNow()
  empty(1)
  fill(2)
  const again = await memoryNow()
  empty(2)
  const after = await memoryNow()
  const mb = (bytes: number) => fixed(bytes / 2 ** 20)
  printTable(
    ['', 'MB'],
    [
      [`texts of ${sessions} sessions of ${TURNS_A_SESSION} turns`, mb(texts)],
      ['memory of these', mb(full - before)],
      ['of as many more, after those were deleted', mb(again - before)],
      ['after all were deleted', mb(after - before)],
    ],
  )
  judge('memory over the texts', (full - before) / texts - 1, LIMIT_SHARE, 'of them')
  judge('of a second lot, over the first', (again - full) / 1024 / sessions, FLAT_WITHIN_KB_A_SESSION, 'kB a session')
}

console.log(`${machine()}\n`)
const rounds = setting('rounds', 2000)
putIn(200)
const direct = spread(putIn(rounds))
const [none, all] = [spread(await runs(0, 300)), spread(await runs(TURNS, 300))]
printTable(
  ['', 'p50, ms', 'p95, ms'],
  [
    [`a history of ${TURNS} turns: read and put in`, fixed(direct.p50, 3), fixed(direct.p95, 3)],
    ['a run without a history: start → call', fixed(none.p50, 3), fixed(none.p95, 3)],
    [`a run with ${TURNS} turns: start → call`, fixed(all.p50, 3), fixed(all.p95, 3)],
  ],
)
judge('a history of 200 turns: read and put in', direct.p50, LIMIT_MS, 'ms')
judge('a history of 200 turns: of a whole run', all.p50 - none.p50, LIMIT_MS, 'ms')
console.log('')
await memory(setting('sessions', 1000))
