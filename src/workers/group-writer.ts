import type { FleetRedis } from './redis.ts'

/** Answer of a script to one of those that asked. */
export type Answer = readonly [string, ...unknown[]]

/** Calls of the script under way at once. */
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
  #isScheduled = false

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

  #schedule(): void {
    if (this.#isScheduled || this.#underWay >= MOST_UNDER_WAY) return
    this.#isScheduled = true
    // After the microtasks: what else is written in this turn of the event loop goes along.
    process.nextTick(() => {
      this.#isScheduled = false
      this.#send()
    })
  }

  #send(): void {
    while (this.#waiting.length > 0 && this.#underWay < MOST_UNDER_WAY) {
      const items: Item[] = []
      const parameters: (string | number)[] = []
      for (const item of this.#waiting.splice(0, MOST_TOGETHER)) {
        const own = parametersOf(item)
        if (own === undefined) continue
        parameters.push(own.length, ...own)
        items.push(item)
      }
      if (items.length === 0) continue
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
