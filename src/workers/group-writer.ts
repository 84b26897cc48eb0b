import type { Parameter } from './commands.ts'
import type { FleetRedis } from './redis.ts'
import { refusalOf } from './refusals.ts'

/** Answer of a command to one of those that asked. */
export type Answer = readonly [string, ...unknown[]]

/** Where a call of the command is for so many, the next one waits for it, and goes at least so long after it, ms: more go along. */
const MANY = 8
const PACE_MS = 2
/** Calls of the command under way at once while each is for a few. */
const MOST_UNDER_WAY = 2
/**
 * How many are asked for in one call of the command, with how many parameters and characters: Redis does nothing else meanwhile, and
 * a call has no room for more than about 100,000 parameters. One that is larger goes alone.
 */
const MOST_TOGETHER = 200
const MOST_PARAMETERS = 5000
const MOST_CHARACTERS = 1_048_576
/** How long what Redis refused for now waits, ms. */
const REFUSED_MS = 50

/** Asks for one thing. */
interface Asked {
  /** Asked when it is sent, so that they hold what came in between; undefined: nothing is to be written any more. */
  parameters(): readonly Parameter[] | undefined
  /** Called when it is on its way: what is sent now comes after it. */
  sent?(): void
}

interface Item extends Asked {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/**
 * What a process writes for its many runs or calls through one command: at once while little is under way, else all together that
 * came meanwhile. In the order in which it was given; each has an answer of its own. Who writes
 * has one write at a time: what Redis refuses for now is written again later.
 */
export class GroupWriter {
  readonly #redis: FleetRedis
  readonly #command: 'appendAll' | 'tellAll'
  #waiting: Item[] = []
  #underWay = 0
  #areMany = false
  #isScheduled = false
  /** ms of the process. */
  #notBefore = 0
  readonly #idle: (() => void)[] = []

  constructor(redis: FleetRedis, command: 'appendAll' | 'tellAll') {
    this.#redis = redis
    this.#command = command
  }

  /** `['nothing']` where nothing was left to write. Rejects where Redis refused all of a call. */
  write(asked: Asked): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...asked, resolve, reject })
      this.#schedule()
    })
  }

  /** Resolves when all that was asked for so far is written. */
  async idle(): Promise<void> {
    if (this.#underWay > 0 || this.#waiting.length > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  get #isFull(): boolean {
    return this.#underWay >= (this.#areMany ? 1 : MOST_UNDER_WAY)
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isFull || this.#waiting.length === 0) return
    this.#isScheduled = true
    const earlyMs = this.#notBefore - performance.now()
    if (earlyMs > 0) {
      setTimeout(() => {
        this.#isScheduled = false
        this.#send()
      }, earlyMs)
      return
    }
    // After the microtasks: what else is written in this turn of the event loop goes along.
    process.nextTick(() => {
      this.#isScheduled = false
      this.#send()
    })
  }

  #send(): void {
    while (this.#waiting.length > 0 && !this.#isFull) {
      const { items, parameters } = this.#together()
      if (items.length === 0) continue
      this.#areMany = items.length >= MANY
      if (this.#areMany && items.length < MOST_TOGETHER) this.#notBefore = performance.now() + PACE_MS
      this.#underWay += 1
      this.#redis
        .call(this.#command, ...parameters)
        .then(([, ...answers]) => this.#answered(items, answers as Answer[]))
        .catch((error: unknown) => {
          for (const { reject } of items) reject(error)
        })
        .finally(() => {
          this.#underWay -= 1
          this.#schedule()
          if (this.#underWay === 0 && this.#waiting.length === 0) for (const wake of this.#idle.splice(0)) wake()
        })
      for (const { sent } of items) sent?.()
    }
  }

  /** Takes from the front of what waits as much as one call of the command has room for. */
  #together(): { items: Item[]; parameters: Parameter[] } {
    const items: Item[] = []
    const parameters: Parameter[] = []
    let [taken, characters] = [0, 0]
    for (const item of this.#waiting) {
      if (taken === MOST_TOGETHER || parameters.length > MOST_PARAMETERS || characters > MOST_CHARACTERS) break
      taken += 1
      const own = parametersOf(item)
      if (own === undefined) continue
      parameters.push(own.length)
      for (const parameter of own) {
        parameters.push(parameter)
        if (typeof parameter === 'string') characters += parameter.length
      }
      items.push({ ...item, parameters: () => own })
    }
    this.#waiting.splice(0, taken)
    return { items, parameters }
  }

  #answered(items: readonly Item[], answers: readonly Answer[]): void {
    const again: Item[] = []
    for (const [index, item] of items.entries()) {
      const answer = answers[index] ?? ['error', 'Redis gave no answer']
      const refusal = answer[0] === 'error' ? refusalOf(answer[1]) : undefined
      if (refusal === undefined) item.resolve(answer)
      else {
        this.#redis.refusals.note(refusal)
        const { parameters, resolve, reject } = item
        again.push({ parameters, resolve, reject })
      }
    }
    if (again.length === 0) return
    // Nobody has two writes at once, so the order of each is kept.
    this.#waiting.unshift(...again)
    this.#notBefore = performance.now() + REFUSED_MS
  }
}

/** A fault of one is its own. */
function parametersOf(item: Item): readonly Parameter[] | undefined {
  try {
    const parameters = item.parameters()
    if (parameters === undefined) item.resolve(['nothing'])
    return parameters
  } catch (error) {
    item.reject(error)
    return undefined
  }
}
