/**
 * What is evaluated at each token of a call: its policy's trigger, alone and with the timers that it asks for; and the ends of
 * sentences, by the length of the answer. µs of CPU a token. Settings: `rounds=N`.
 */
import type { Factor, TriggerDefinition } from '../src/core/policy.ts'
import { SentenceScanner } from '../src/core/sentence.ts'
import { catalogue, systemClock } from '../src/index.ts'
import { Alarm } from '../src/machines/alarm.ts'
import { fixed, judge, machine, printTable, setting, spread } from './figures.ts'

const TRIGGER_LIMIT_US = 1
const SENTENCE_LIMIT_US = 5
const LIMIT_GROWTH = 1.3
const TOKENS = 20_000
/** Calls that a figure is measured over, at least, in tokens: the CPU clock counts in whole microseconds. */
const LEAST = 100_000

const rounds = setting('rounds', 30)

/** CPU µs a token of each round, after three rounds of warm-up. */
function measure(tokens: number, work: () => void): { p50: number; p95: number } {
  const us: number[] = []
  for (let round = -3; round < rounds; round++) {
    const before = process.cpuUsage()
    work()
    const { user, system } = process.cpuUsage(before)
    if (round >= 0) us.push((user + system) / tokens)
  }
  return spread(us)
}

/** None of these fires, so that each is evaluated at every token. */
const factors: readonly Factor[] = [
  { name: 'never', parameter: undefined },
  { name: 'signal', parameter: undefined },
  { name: 'after', parameter: 60_000 },
  { name: 'tokens', parameter: 1_000_000 },
  { name: 'sentence', parameter: 1_000_000 },
  { name: 'stall', parameter: 10_000 },
]
const all: Factor = { name: 'any', parameter: factors.slice(1) }

/** One call as the machines run it: a step at each token, and a timer wherever the trigger wants to be woken. */
function evaluate({ name, parameter }: Factor, withTimers: boolean): void {
  const { initial, step } = catalogue.triggers.find((trigger) => trigger.name === name) as TriggerDefinition
  let state = initial(parameter)
  const alarm = new Alarm(systemClock, () => undefined)
  for (let count = 0; count < TOKENS; count++) {
    const at = count * 1_000
    const event = count === 0 ? ({ type: 'started', at } as const) : ({ type: 'token', at, count, text: 'a' } as const)
    const { state: next, interrupt, wakeAt } = step(state, event, parameter)
    if (interrupt !== undefined) throw new Error(`${name} fired`)
    state = next
    if (withTimers && wakeAt !== undefined) alarm.set(systemClock.now() + wakeAt)
  }
  alarm.clear()
}

console.log(`What is evaluated at each token, ${rounds} rounds a figure. ${machine()}\n`)
const dearest = { alone: 0, timed: 0 }
const rows = [...factors, all].map((factor) => {
  const alone = measure(TOKENS, () => evaluate(factor, false))
  const timed = measure(TOKENS, () => evaluate(factor, true))
  dearest.alone = Math.max(dearest.alone, alone.p50)
  dearest.timed = Math.max(dearest.timed, timed.p50)
  const name = factor === all ? 'any of the five above' : factor.name
  return [name, ...[alone.p50, alone.p95, timed.p50, timed.p95].map((us) => fixed(us, 3))]
})
// `first-token` fires at the first one, and is not asked again.
printTable(['trigger', 'µs a token, p50', 'p95', 'with its timers, p50', 'p95'], rows)

/** Each says what the `index`-th token of an answer is. */
const texts: Readonly<Record<string, (index: number) => string>> = {
  'prose, a sentence each 12 tokens': (index) => (index % 12 === 11 ? ' end.' : index % 12 === 0 ? ' The' : ' token'),
  'Chinese, a sentence each 12 tokens': (index) => (index % 12 === 11 ? '完。' : '字词'),
  'code, a line each 12 tokens': (index) => (index % 12 === 11 ? ');\n' : index % 3 === 0 ? 'a.b' : ' call('),
  'no end, a dot in each token': () => 'a.b',
}
const LENGTHS = [1_000, 10_000, 100_000]
const growth = new Map<string, number>()
let dearestSentence = 0
const sentenceRows = Object.entries(texts).map(([name, textAt]) => {
  const cells = LENGTHS.map((length) => {
    const answer = Array.from({ length }, (_, index) => textAt(index))
    const answers = Math.max(1, LEAST / length)
    return measure(length * answers, () => {
      for (let repeat = 0; repeat < answers; repeat++) {
        const scanner = new SentenceScanner()
        for (const text of answer) scanner.feed(text)
      }
    }).p50
  })
  dearestSentence = Math.max(dearestSentence, ...cells)
  growth.set(name, cells.at(-1)! / cells[0]!)
  return [name, ...cells.map((us) => fixed(us))]
})
console.log()
printTable(['sentence ends, µs a token, p50', ...LENGTHS.map((length) => `of ${length} tokens`)], sentenceRows)
console.log()
judge('the dearest trigger, p50', dearest.alone, TRIGGER_LIMIT_US, 'µs')
judge('the dearest trigger with its timers, p50', dearest.timed, TRIGGER_LIMIT_US, 'µs')
judge('the dearest text for sentence ends, p50', dearestSentence, SENTENCE_LIMIT_US, 'µs')
for (const [name, ratio] of growth) {
  judge(`${name}: ${LENGTHS.at(-1)} tokens over ${LENGTHS[0]}`, ratio, LIMIT_GROWTH, '×')
}
