import type { FleetRedis } from './redis.ts'

/** Answer of a script to one of those that asked. */
export type Answer = readonly [string, ...unknown[]]

/** Where a call of the script is for so many, the next one waits for it, and goes at least so long after it, ms: more go along. */
const MANY = 8
const PACE_MS = 2
/** Calls of the script under way at once while each is for a few. */
const MOST_UNDER_WAY = 2
/** How many are asked for in one call of the script: Redis does nothing else meanwhile. */
const MOST_TOGETHER = 200

/** Asks for one thing. */
interface Asked {
  /** Asked when it is sent, so that they hold what came in between; undefined: nothing is to be written any more. */
  parameters(): readonly (string | number)[] | undefined
  /** Called when it is on its way: what is sent now comes after it. */
  sent?(): void
}

interface Item extends Asked {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/**
 * What a process writes for its many runs or calls through one script: at once while little is under way, else all together that
 * came meanwhile. In the order in which it was given; each has an answer of its own.
 */
export class GroupWriter {
  readonly #redis: FleetRedis
  readonly #script: 'appendAll' | 'tellAll'
  #waiting: Item[] = []
  #underWay = 0
  #areMany = false
  #isScheduled = false
  /** ms of the process. */
  #notBefore = 0

  constructor(redis: FleetRedis, script: 'appendAll' | 'tellAll') {
    this.#redis = redis
    this.#script = script
  }

  /** `['nothing']` where nothing was left to write. Rejects where Redis refused all of a call. */
  write(asked: Asked): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...asked, resolve, reject })
      this.#schedule()
    })
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
      const items: Item[] = []
      const parameters: (string | number)[] = []
      for (const item of this.#waiting.splice(0, MOST_TOGETHER)) {
        const own = parametersOf(item)
        if (own === undefined) continue
        parameters.push(own.length, ...own)
        items.push(item)
      }
      if (items.length === 0) continue
      this.#areMany = items.length >= MANY
      if (this.#areMany && items.length < MOST_TOGETHER) this.#notBefore = performance.now() + PACE_MS
      this.#underWay += 1
      void this.#redis
        .call(this.#script, ...parameters)
        .then(
          ([, ...answers]) => {
            for (const [index, { resolve }] of items.entries()) resolve(answers[index] as Answer)
          },
          (error: unknown) => {
            for (const { reject } of items) reject(error)
          },
        )
        .finally(() => {
          this.#underWay -= 1
          this.#schedule()
        })
      for (const { sent } of items) sent?.()
    }
  }
}

/** A fault of one is its own. */
function parametersOf(item: Item): readonly (string | number)[] | undefined {
  try {
    const parameters = item.parameters()
    if (parameters === undefined) item.resolve(['nothing'])
    return parameters
  } catch (error) {
    item.reject(error)
    return undefined
  }
}
